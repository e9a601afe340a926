/**
 * MD5 (RFC 1321) and HMAC-MD5 (RFC 2104): OpenSSL's where it serves them, pure JavaScript where it does not, as in FIPS
 * mode. Whether they may be used there at all is asked beforehand, see fips.ts.
 */

import { createHash, createHmac, getFips, hash } from 'node:crypto';
import { hmac } from '@noble/hashes/hmac.js';
import { md5 as nobleMd5 } from '@noble/hashes/legacy.js';

interface Running {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** OpenSSL decides at call time, since FIPS mode can be switched on in a running process. */
function openssl<T>(work: () => T): T | undefined {
  // Asked first: a refusal costs an exception.
  if (getFips() === 1) return undefined;
  try {
    return work();
  } catch {
    // Refused, by a build or a policy without MD5: the only reason to fail before a byte was given.
    return undefined;
  }
}

// A Buffer's `slice` would share its memory, a Uint8Array's copies: hand out what the type says.
const plain = (digest: Uint8Array): Uint8Array => new Uint8Array(digest.buffer, digest.byteOffset, digest.length);

function digestOf(running: Running, parts: readonly Uint8Array[]): Uint8Array {
  for (const part of parts) {
    running.update(part);
  }
  return plain(running.digest());
}

/** MD5 over the parts one after another: 16 bytes, the caller's own. */
export function md5(...parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1) return plain(openssl(() => hash('md5', only!, 'buffer')) ?? nobleMd5(only!));
  return digestOf(openssl(() => createHash('md5')) ?? nobleMd5.create(), parts);
}

/** HMAC-MD5 over the parts one after another: 16 bytes, the caller's own. */
export function hmacMd5(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return digestOf(openssl(() => createHmac('md5', key)) ?? hmac.create(nobleMd5, key), parts);
}
