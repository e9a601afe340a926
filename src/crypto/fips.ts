/**
 * FIPS mode and the hashes and ciphers that it knows no more. Active Directory's replication and NTLM are made of MD4,
 * MD5 and RC4; our own code could go on computing them where OpenSSL refuses, but whoever runs in FIPS mode decides.
 * Rule: they are refused unless `allowMd5InFips` is set, as `enforceFIPSPolicy` has to be for Microsoft's own agent.
 * Every room that uses md4.ts, md5.ts, rc4.ts or des.ts asks here at its door, whatever computes them behind it.
 */

import { getFips } from 'node:crypto';

/** The code of the error that the refusal becomes. */
export const FIPS_CODE = 'config-fips';

/**
 * The refusal's text, or undefined where `what` (`NTLM`) may use `algorithms` (`MD4, MD5 and RC4`). Asked at every call:
 * FIPS mode can be switched on in a running process.
 */
export function fipsRefusal(what: string, algorithms: string, allowMd5InFips = false): string | undefined {
  if (allowMd5InFips || getFips() !== 1) return undefined;
  return (
    `${what} needs ${algorithms}, refused because FIPS mode is on; to allow MD4, MD5 and RC4 for password hash ` +
    'synchronization, set allowMd5InFips: true (an option of createHasher, a key of agent.yaml and tenant.yaml; ' +
    '--allow-md5-in-fips for the commands hash, verify and demo)'
  );
}
