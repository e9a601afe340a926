import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredential, parseCredential } from '#src/hasher/credential.js';
import { PhsyncError } from '#src/hasher/errors.js';
import type { Credential } from '#src/hasher/types.js';
import { hex } from './reference.js';

const SALT = '317ee9d1dec6508fa510';
const HASH = '7eaea8e1628dffee62cf319f4e1fc05254da30a1d42ff755ff352f5b13497531';
const TEXT = `v1;PPH1_MD4,${SALT},1000,${HASH};`;

const credentials: fc.Arbitrary<Credential> = fc.record({
  salt: fc.uint8Array({ minLength: 10, maxLength: 10 }),
  iterations: fc.integer({ min: 1, max: 999_999 }),
  hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});

function errorOf(text: string): PhsyncError {
  try {
    parseCredential(text);
  } catch (error) {
    expect(error).toBeInstanceOf(PhsyncError);
    return error as PhsyncError;
  }
  throw new Error('was accepted');
}

describe('parseCredential', () => {
  it.each([
    ['as written', TEXT],
    ['without the last semicolon', TEXT.slice(0, -1)],
    ['with upper-case hex', TEXT.replace(SALT, SALT.toUpperCase()).replace(HASH, HASH.toUpperCase())],
  ])('reads it %s', (_, text) => {
    const { salt, iterations, hash } = parseCredential(text);
    expect([hex(salt), iterations, hex(hash)]).toEqual([SALT, 1000, HASH]);
  });

  it.each(
    [
      ['', 'version'],
      ['v2;PPH1_MD4', 'version'],
      [TEXT.replace('v1', 'V1'), 'version'],
      [` ${TEXT}`, 'version'],
      ['v1', 'form'],
      [`${TEXT};`, 'form'],
      [`${TEXT}x`, 'form'],
      [`${TEXT}\n`, 'form'],
      [TEXT.replace('PPH1_MD4', 'PPH1_SHA'), 'algorithm'],
      [TEXT.replace('PPH1_MD4', 'pph1_md4'), 'algorithm'],
      ['v1;PPH1_MD4,aa;', 'form'],
      [TEXT.replace(HASH, `${HASH},`), 'form'],
      [TEXT.replace('1000', '0'), 'iterations'],
      [TEXT.replace('1000', '01000'), 'iterations'],
      [TEXT.replace('1000', '+1000'), 'iterations'],
      [TEXT.replace('1000', '-1'), 'iterations'],
      [TEXT.replace('1000', '1e3'), 'iterations'],
      [TEXT.replace('1000', '1000000').slice(0, -1), 'iterations'],
      [TEXT.replace('1000', ''), 'iterations'],
      [TEXT.replace('1000', ' 1000'), 'iterations'],
      [TEXT.replace('1000', '１０００'), 'iterations'],
      [TEXT.replace(SALT, SALT.slice(1)), 'salt'],
      [TEXT.replace(SALT, `g${SALT.slice(1)}`), 'salt'],
      [TEXT.replace(HASH, `${HASH.slice(2)}`), 'hash'],
      [TEXT.replace(HASH, `${HASH.slice(1)}z`), 'hash'],
      ['v1;'.repeat(1_000_000), 'length'],
    ].map(([text, part]) => [text!.slice(0, 120), part!, text!] as const),
  )('refuses %j and names the part: %s', (_, part, text) => {
    const error = errorOf(text);
    expect([error.code, error.facts]).toEqual(['bad-credential', { part }]);
  });

  it('never repeats the text', () => {
    for (const text of [TEXT.slice(1), TEXT.replace('v1', 'v7'), TEXT.replace('1000', '0'), `${TEXT}zz`]) {
      const { message } = errorOf(text);
      expect(message).not.toContain(SALT);
      expect(message).not.toContain(HASH);
    }
  });

  it('says TypeError of what is no string', () => {
    for (const value of [undefined, null, 1, {}, [TEXT]]) {
      expect(() => parseCredential(value as unknown as string)).toThrow(TypeError);
    }
  });

  it('gives a credential or a PhsyncError, for any text', () => {
    const near = fc
      .tuple(fc.constant(TEXT), fc.nat(TEXT.length), fc.nat(3), fc.string({ maxLength: 3, unit: 'binary' }))
      .map(([text, from, cut, put]) => text.slice(0, from) + put + text.slice(from + cut));
    fc.assert(
      fc.property(fc.oneof(near, fc.string({ unit: 'binary' }), fc.string({ maxLength: 200 })), (text) => {
        let parsed: Credential;
        try {
          parsed = parseCredential(text);
        } catch (error) {
          expect(error).toBeInstanceOf(PhsyncError);
          return;
        }
        // What was accepted means the same once written in the canonical form.
        expect(formatCredential(parsed)).toBe(
          `${text.toLowerCase().replace('pph', 'PPH').replace('md4', 'MD4').replace(/;?$/, ';')}`,
        );
      }),
      { numRuns: 5000 },
    );
  });
});

describe('formatCredential', () => {
  it('writes what parseCredential reads', () => {
    fc.assert(
      fc.property(credentials, (credential) => {
        const text = formatCredential(credential);
        expect(text).toMatch(/^v1;PPH1_MD4,[0-9a-f]{20},[1-9][0-9]{0,5},[0-9a-f]{64};$/);
        expect(parseCredential(text)).toEqual(credential);
      }),
    );
  });

  it.each([
    ['null', null, TypeError],
    ['a salt in hex', { salt: '00', iterations: 1, hash: new Uint8Array(32) }, TypeError],
    ['a salt of 9 bytes', { salt: new Uint8Array(9), iterations: 1, hash: new Uint8Array(32) }, RangeError],
    ['1.5 iterations', { salt: new Uint8Array(10), iterations: 1.5, hash: new Uint8Array(32) }, RangeError],
    ['"1" iterations', { salt: new Uint8Array(10), iterations: '1', hash: new Uint8Array(32) }, TypeError],
    ['a hash of 33 bytes', { salt: new Uint8Array(10), iterations: 1, hash: new Uint8Array(33) }, RangeError],
  ])('refuses %s', (_, credential, error) => {
    expect(() => formatCredential(credential as Credential)).toThrow(error);
  });
});
