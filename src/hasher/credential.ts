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

/** The whole form; a last `;` may be missing. */
const FORM = /^v1;PPH1_MD4,[0-9a-fA-F]{20},([1-9][0-9]{0,5}),[0-9a-fA-F]{64};?$/;
const SALT_AT = 'v1;PPH1_MD4,'.length;

/** What is wrong with a text that is not of the form. */
function whyBad(text: string): PhsyncError {
  const form = `\`${VERSION};${ALGORITHM},<salt>,<iterations>,<hash>;\``;
  if (text.length > MAX_LENGTH) return bad('length', `at most ${MAX_LENGTH} characters, got ${text.length}`);
  const [version, body, end, ...more] = text.split(';');
  if (version !== VERSION) return bad('version', VERSION);
  if (body === undefined || more.length > 0 || (end !== undefined && end !== '')) return bad('form', form);
  const [algorithm, salt, iterations, hash, ...rest] = body.split(',');
  if (algorithm !== ALGORITHM) return bad('algorithm', ALGORITHM);
  if (salt === undefined || iterations === undefined || hash === undefined || rest.length > 0) return bad('form', form);
  if (!/^[1-9][0-9]{0,5}$/.test(iterations)) {
    return bad('iterations', `a decimal number from 1 to ${MAX_ITERATIONS} without sign or leading zero`);
  }
  if (!/^[0-9a-fA-F]{20}$/.test(salt)) return bad('salt', `${2 * SALT_SIZE} hex digits`);
  return bad('hash', `${2 * DIGEST_SIZE} hex digits`);
}

/** The value of a hex digit by its character code. */
const hexDigit = (code: number): number => (code & 15) + (code >> 6) * 9;

// Not by way of Buffer: this is on every sign-in's way, and took a third of all that the main thread does there.
function hexBytes(text: string, at: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    bytes[i] = (hexDigit(text.charCodeAt(at + 2 * i)) << 4) | hexDigit(text.charCodeAt(at + 2 * i + 1));
  }
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
  const iterations = FORM.exec(text)?.[1];
  if (iterations === undefined) throw whyBad(text);
  const hashAt = SALT_AT + 2 * SALT_SIZE + iterations.length + 2;
  return {
    salt: hexBytes(text, SALT_AT, SALT_SIZE),
    iterations: Number(iterations),
    hash: hexBytes(text, hashAt, DIGEST_SIZE),
  };
}

/** A parsed credential's parts, each read once and checked. */
export function checkCredential(credential: Credential): Credential {
  if (typeof credential !== 'object' || credential === null) {
    throw new TypeError(`credential: expected an object with salt, iterations and hash, got ${String(credential)}`);
  }
  const { salt, iterations, hash } = credential;
  checkBytes('credential.salt', salt, SALT_SIZE);
  checkIterations('credential.iterations', iterations);
  checkBytes('credential.hash', hash, DIGEST_SIZE);
  return { salt, iterations, hash };
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
