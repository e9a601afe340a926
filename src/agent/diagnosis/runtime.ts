/** Checks of what the agent runs on: Node.js, the hasher, FIPS mode, and the Kerberos library where it is asked for. */

import { getFips } from 'node:crypto';
import { fipsRefusal } from '../../crypto/fips.js';
import { createHasher } from '../../hasher/create-hasher.js';
import type { AgentConfig } from '../config.js';
import { type CheckResult, failure, known, ok, warning } from './check.js';

/** `engines` of package.json. */
const OLDEST: readonly [number, number] = [20, 19];

export function checkNode(version = process.versions.node): CheckResult {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const facts = { version, platform: `${process.platform}-${process.arch}`, openssl: process.versions.openssl };
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) {
    return ok('node', `Node.js ${version}, ${facts.platform}`, facts);
  }
  const expected = OLDEST.join('.');
  return failure(
    'node',
    `Node.js ${version} is older than ${expected}, the oldest that phsync runs on`,
    `Install Node.js ${expected} or later (the versions 20, 22 and 24 are tested).`,
    facts,
  );
}

export async function checkHasher(allowMd5InFips: boolean): Promise<CheckResult> {
  let hasher: ReturnType<typeof createHasher>;
  try {
    hasher = createHasher({ allowMd5InFips });
  } catch (error) {
    const { code, message } = known(error);
    return failure('hasher', message, 'Correct PHSYNC_BACKEND and PHSYNC_KERNEL, or unset them.', { code });
  }
  const { backend, kernel, threads, whyNotNative } = hasher.info;
  await hasher.close();
  const facts = { backend, kernel, threads };
  if (backend === 'native') return ok('hasher', `native, kernel ${kernel}, ${threads} threads`, facts);
  const why = whyNotNative?.replaceAll(/\s*\n\s*/g, ' ') ?? 'PHSYNC_BACKEND asks for the fallback';
  return warning(
    'hasher',
    `the native addon is not used, and hashing takes many times as long: ${why}`,
    'Reinstall phsync where the addon can be built or comes ready-made, and unset PHSYNC_BACKEND; `phsync info` tells more.',
    { ...facts, whyNotNative: why },
  );
}

export function checkFips(allowMd5InFips: boolean): CheckResult {
  const on = getFips() === 1;
  const facts = { fips: on, allowMd5InFips };
  const refusal = fipsRefusal('replication', 'MD4, MD5 and RC4', allowMd5InFips);
  if (refusal !== undefined) {
    return failure(
      'fips',
      refusal,
      'Set allowMd5InFips: true in agent.yaml if your rules permit these algorithms for password hash synchronization.',
      facts,
    );
  }
  return ok('fips', on ? 'on, and MD4, MD5 and RC4 are allowed by allowMd5InFips' : 'off', facts);
}

export const KERBEROS_LIBRARY =
  'Install MIT Kerberos (Debian and Ubuntu: apt install libgssapi-krb5-2; Red Hat: dnf install krb5-libs).';

/** Undefined where no connector logs on with Kerberos. `whyNot`: what keeps it from being spoken. */
export function checkGssapi({ connectors }: AgentConfig, whyNot: () => string | undefined): CheckResult | undefined {
  const mechanisms = connectors.flatMap(({ enabled, directory }) =>
    enabled && directory.type === 'drs' ? [directory.auth.mechanism] : [],
  );
  if (mechanisms.every((mechanism) => mechanism === 'ntlm')) return undefined;
  const why = whyNot();
  if (why === undefined) return ok('gssapi', 'there, for the mechanisms kerberos and negotiate');
  // `negotiate` goes on with NTLM.
  if (mechanisms.includes('kerberos')) return failure('gssapi', why, KERBEROS_LIBRARY);
  return warning('gssapi', `${why}; NTLM is spoken instead`, KERBEROS_LIBRARY);
}
