/** The text form of an OrgId credential: `v1;PPH1_MD4,<salt>,<iterations>,<hash>;`. */

import { checkBytes, checkIterations } from './arguments.js';
import { PhsyncError } from './errors.js';
import { type Credential, DIGEST_SIZE, MAX_ITERATIONS, SALT_SIZE } from './types.js';

const VERSION = 'v1';
const ALGORITHM = 'PPH1_MD4';
/** The longest text: six digits of iterations and the last `;`. */
const MAX_LENGTH = 105;

// The text itself stays out of the message: it is what an attacker would want to guess passwords from.
function bad(part: string, expected: string): PhsyncError {
  return new PhsyncError('bad-credential', `credential: ${part}: expected ${expected}`, { facts: { part } });
}

/** By character code; -1: no hex digit. */
const HEX_DIGITS = Int8Array.from({ length: 128 }, (_, code) => {
  return '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase());
});

const hexDigit = (text: string, at: number): number => HEX_DIGITS[text.charCodeAt(at)] ?? -1;

// Not Buffer.from: this is on every sign-in's way, where a call into C++ and two copies are a tenth of all that the main
// thread does.
function hexBytes(part: string, text: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let wrong = text.length - 2 * size;
  for (let i = 0; i < size && wrong === 0; i++) {
    const byte = (hexDigit(text, 2 * i) << 4) | hexDigit(text, 2 * i + 1);
    if (byte < 0) wrong = byte;
    bytes[i] = byte;
  }
  if (wrong !== 0) throw bad(part, `${2 * size} hex digits`);
  return bytes;
}

/**
 * Reads a credential. Hex in either case and a missing last `;` (hashcat's form) are accepted.
 *
 * @throws {PhsyncError} `bad-credential`, with the fact `part`; it never repeats the text.
 * @throws {TypeError} where `text` is not a string.
 * @example
 * const text = 'v1;PPH1_MD4,317ee9d1dec6508fa510,1000,7eaea8e1628dffee62cf319f4e1fc05254da30a1d42ff755ff352f5b13497531;';
 * parseCredential(text).iterations; // 1000
 */
export function parseCredential(text: string): Credential {
  if (typeof text !== 'string') throw new TypeError(`credential: expected a string, got ${typeof text}`);
  const form = `\`${VERSION};${ALGORITHM},<salt>,<iterations>,<hash>;\``;
  if (text.length > MAX_LENGTH) throw bad('length', `at most ${MAX_LENGTH} characters, got ${text.length}`);
  const [version, body, end, ...more] = text.split(';');
  if (version !== VERSION) throw bad('version', VERSION);
  if (body === undefined || more.length > 0 || (end !== undefined && end !== '')) throw bad('form', form);
  const [algorithm, salt, iterations, hash, ...rest] = body.split(',');
  if (algorithm !== ALGORITHM) throw bad('algorithm', ALGORITHM);
  if (salt === undefined || iterations === undefined || hash === undefined || rest.length > 0) throw bad('form', form);
  if (!/^[1-9][0-9]{0,5}$/.test(iterations)) {
    throw bad('iterations', `a decimal number from 1 to ${MAX_ITERATIONS} without sign or leading zero`);
  }
  return {
    salt: hexBytes('salt', salt, SALT_SIZE),
    iterations: Number(iterations),
    hash: hexBytes('hash', hash, DIGEST_SIZE),
  };
}

/** A parsed credential's parts, checked. */
export function checkCredential(credential: Credential): Credential {
  if (typeof credential !== 'object' || credential === null) {
    throw new TypeError(`credential: expected an object with salt, iterations and hash, got ${String(credential)}`);
  }
  checkBytes('credential.salt', credential.salt, SALT_SIZE);
  checkIterations('credential.iterations', credential.iterations);
  checkBytes('credential.hash', credential.hash, DIGEST_SIZE);
  return credential;
}

/**
 * Writes a credential in its one canonical form: lower-case hex and a `;` at the end.
 *
 * @throws {TypeError} for a part of the wrong kind, {RangeError} for one of the wrong size.
 * @example
 * const credential = { salt: new Uint8Array(10), iterations: 1000, hash: new Uint8Array(32) };
 * formatCredential(credential); // 'v1;PPH1_MD4,00000000000000000000,1000,0000000000000000000000000000000000000000000000000000000000000000;'
 */
export function formatCredential(credential: Credential): string {
  const { salt, iterations, hash } = checkCredential(credential);
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return `${VERSION};${ALGORITHM},${hex(salt)},${iterations},${hex(hash)};`;
}
