/** Checks of the configuration itself: readable, valid, and every secret that it names to be had. */

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { readCa } from '../../config/ca.js';
import { fileErrorText } from '../../config/file-error.js';
import { fileOf, filesOpenToOthers } from '../../config/open-files.js';
import type { SecretReference } from '../../config/schemas.js';
import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
import { type AgentConfig, loadAgentConfig } from '../config.js';
import { writebackConnectors } from '../write-back/write-back.js';
import { type CheckResult, counted, failure, known, ok, warning } from './check.js';

/** `config` is undefined where the file cannot be used: then nothing else can be told. */
export async function checkConfiguration(
  file: string,
): Promise<{ readonly result: CheckResult; readonly config: AgentConfig | undefined }> {
  try {
    const config = await loadAgentConfig(file);
    const { connectors } = config;
    return { config, result: ok('configuration', `${file}: ${counted(connectors.length, 'connector')}`, { file }) };
  } catch (error) {
    if (!(error instanceof PhsyncError && error.code.startsWith('config-'))) throw error;
    const { code, message, facts } = error;
    const advice =
      code === 'config-unreadable'
        ? 'Name the right file with --config, and run this as a user who may read it.'
        : 'Correct the file; `phsync agent --help` and `phsync init` show how it looks.';
    return { config: undefined, result: failure('configuration', message, advice, { ...facts, code }) };
  }
}

interface Wanted {
  read(): Promise<unknown>;
  /** Nobody else may read it. */
  readonly secretFile?: string | undefined;
}

/** All secrets and keytabs, and the certificates of `tenant.ca`. */
export async function checkSecrets(config: AgentConfig, env: Readonly<NodeJS.ProcessEnv>): Promise<CheckResult> {
  const wanted = wantedFiles(config, env);
  const missing: string[] = [];
  const credentials: string[] = [];
  for (const { read } of wanted) {
    try {
      await read();
    } catch (error) {
      const { message, facts } = known(error);
      missing.push(message);
      if (facts.credential !== undefined) credentials.push(String(facts.credential));
    }
  }
  if (missing.length > 0)
    return failure('secrets', missing.join('; '), missingAdvice(missing, credentials), { missing });
  const open = await filesOpenToOthers(
    wanted.flatMap(({ secretFile }) => secretFile ?? []),
    env,
  );
  if (open.length === 0) return ok('secrets', `all ${wanted.length} can be read`, { count: wanted.length });
  return warning(
    'secrets',
    `open to other users of this machine: ${open.map(({ file, mode }) => `${file} (mode ${mode})`).join(', ')}`,
    `Whoever reads them can act as the agent: chmod 600 ${open.map(({ file }) => file).join(' ')}, owned by the agent's user.`,
    { count: wanted.length, open },
  );
}

function wantedFiles(config: AgentConfig, env: Readonly<NodeJS.ProcessEnv>): readonly Wanted[] {
  const secret = (reference: SecretReference, name: string): Wanted => ({
    read: () => resolveSecret(reference, name, env),
    secretFile: fileOf(reference),
  });
  const { tenant, connectors } = config;
  const wanted = [secret(tenant.auth.clientSecret, 'tenant.auth.clientSecret')];
  const { ca, proxy } = tenant;
  if (ca !== undefined) wanted.push({ read: () => readCa(ca) });
  const { certificates } = config.domainServices ?? {};
  if (certificates !== undefined) wanted.push({ read: () => readCa(certificates, 'domainServices.certificates') });
  if (proxy?.password !== undefined) wanted.push(secret(proxy.password, 'tenant.proxy.password'));
  for (const [i, { enabled, directory }] of connectors.entries()) {
    if (!enabled || directory.type !== 'drs') continue;
    const { password, keytab } = directory.auth;
    if (keytab !== undefined) {
      wanted.push({
        read: () => readable(keytab, `connectors[${i}].directory.auth.keytab`),
        secretFile: keytab,
      });
    }
    if (password !== undefined) wanted.push(secret(password, `connectors[${i}].directory.auth.password`));
  }
  for (const { name, passwordWriteback } of writebackConnectors(config)) {
    const { auth, ca: caOfDirectory } = passwordWriteback ?? {};
    const key = `connectors[${connectors.findIndex((each) => each.name === name)}].passwordWriteback`;
    if (auth !== undefined) wanted.push(secret(auth.password, `${key}.auth.password`));
    if (caOfDirectory !== undefined) wanted.push({ read: () => readCa(caOfDirectory, `${key}.ca`) });
  }
  return wanted;
}

/** `credentials`: of those, what only CREDENTIALS_DIRECTORY says the place of. */
function missingAdvice(missing: readonly string[], credentials: readonly string[]): string {
  const others =
    'Run this as the user and with the environment that the agent has, or correct the reference in agent.yaml.';
  if (credentials.length === 0) return others;
  const files = `${credentials.length === 1 ? 'the file' : 'the files'} ${credentials.join(', ')}`;
  const directory =
    `Set CREDENTIALS_DIRECTORY to the directory that holds ${files}: the one that LoadCredential= of the ` +
    'unit names, as in CREDENTIALS_DIRECTORY=/etc/phsync phsync diagnose …';
  return missing.length === credentials.length ? directory : `${directory}. ${others}`;
}

/** @throws PhsyncError `config-secret` */
async function readable(file: string, name: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (cause) {
    throw new PhsyncError('config-secret', `${name}: cannot read the keytab ${file}: ${fileErrorText(cause)}`, {
      cause,
      facts: { file },
    });
  }
}
