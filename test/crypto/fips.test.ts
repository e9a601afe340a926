/** Who uses what FIPS mode refuses: each of them asks fips.ts at its door, and no other room comes in unnoticed. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { fipsRefusal } from '#src/crypto/fips.js';

const src = fileURLToPath(new URL('../../src/', import.meta.url));

/** File → where its door asks. */
const USERS: Readonly<Record<string, string>> = {
  'agent/sources/lab/envelope.ts': 'agent/create-agent.ts',
  'crypto/des-string-to-key.ts': 'crypto/string-to-key.ts',
  'crypto/string-to-key.ts': 'crypto/string-to-key.ts',
  'hasher/fallback/envelope.ts': 'hasher/create-hasher.ts',
  'hasher/fallback/fallback.ts': 'hasher/create-hasher.ts',
  'hasher/nt-hash.ts': 'hasher/create-hasher.ts',
  'protocol/ssp/ntlm/keys.ts': 'protocol/ssp/ntlm/ntlm-context.ts',
  'protocol/ssp/ntlm/message-stream.ts': 'protocol/ssp/ntlm/ntlm-context.ts',
  'protocol/ssp/ntlm/ntlm-context.ts': 'protocol/ssp/ntlm/ntlm-context.ts',
};

const read = (path: string): string => readFileSync(join(src, path), 'utf8');

it('MD4, MD5, RC4 and DES are used behind doors that ask', () => {
  const users = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && /from '(?:[^']*crypto|\.)\/(md4|md5|rc4|des)\.js'/.test(read(path)),
  );
  expect(users.sort()).toEqual(Object.keys(USERS).sort());
  for (const door of new Set(Object.values(USERS))) expect(read(door), door).toMatch(/\b(checkFips|fipsRefusal)\(/);
});

it('nobody hashes with a name of OpenSSL that FIPS mode refuses', () => {
  const direct = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && /\((?:\(\) => \w+\()?'(md4|md5|rc4|rc4-hmac|des-ecb)'/.test(read(path)),
  );
  expect(direct).toEqual(['crypto/md5.ts']);
});

it('nothing is refused where FIPS mode is off', () => {
  expect(fipsRefusal('NTLM', 'MD4')).toBeUndefined();
});
