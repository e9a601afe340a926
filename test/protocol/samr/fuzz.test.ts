/** Any bytes give a structure that is written back byte for byte, or a ProtocolError. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { checkKerberosKeysOnly, keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import {
  kerbStoredCredentialOf,
  parseKerbStoredCredential,
  writeKerbStoredCredential,
} from '#src/protocol/samr/kerb-stored-credential.js';
import {
  kerbStoredCredentialNewOf,
  parseKerbStoredCredentialNew,
  writeKerbStoredCredentialNew,
} from '#src/protocol/samr/kerb-stored-credential-new.js';
import { decodePropertyValue, encodePropertyValue } from '#src/protocol/samr/property-value.js';
import {
  parseUserProperties,
  propertyName,
  userPropertiesOf,
  writeUserProperties,
} from '#src/protocol/samr/user-properties.js';
import { bytes, hex, kerberosVectors, suppCredVectors } from './vectors.js';

const seedsOf = (revision: number): Uint8Array[] =>
  kerberosVectors.filter(({ decoded }) => decoded.revision === revision).map(({ hex: blob }) => bytes(blob));
const blobs = suppCredVectors.map(({ hex: blob }) => bytes(blob));

type Target = [name: string, again: (data: Uint8Array) => Uint8Array, seeds: Uint8Array[]];
const targets: Target[] = [
  ['USER_PROPERTIES', (data) => writeUserProperties(parseUserProperties(data)), blobs],
  ['KERB_STORED_CREDENTIAL', (data) => writeKerbStoredCredential(parseKerbStoredCredential(data)), seedsOf(3)],
  [
    'KERB_STORED_CREDENTIAL_NEW',
    (data) => writeKerbStoredCredentialNew(parseKerbStoredCredentialNew(data)),
    seedsOf(4),
  ],
  [
    'PropertyValue',
    // Samba's digits are upper case, ours lower: told apart here by nothing but their case.
    (data) => {
      const again = encodePropertyValue(decodePropertyValue(data));
      return again.map((digit, i) => (digit >= 0x61 && data[i]! < 0x61 ? digit - 0x20 : digit));
    },
    blobs.flatMap((data) => parseUserProperties(data).properties.map(({ value }) => value.slice())),
  ],
];

/** Values that break length and offset checks. */
const BOMBS = [
  0, 1, 2, 0x0d, 0x50, 0x7f, 0xff, 0xfffe, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
];

const changesOf = (size: number) =>
  fc.array(
    fc.record({
      at: fc.oneof(fc.nat(Math.min(size, 260) - 1), fc.nat(size - 1)),
      width: fc.constantFrom(1, 2, 4),
      value: fc.oneof(fc.constantFrom(...BOMBS), fc.nat(0xff)),
    }),
    { minLength: 1, maxLength: 6 },
  );

const damagedOf = (seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> =>
  fc.constantFrom(...seeds).chain((seed) =>
    fc
      .record({ changes: changesOf(seed.length), cut: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(60)) })
      .map(({ changes, cut }) => {
        // At an odd place in a larger buffer: a view's offset must be minded.
        const room = new Uint8Array(seed.length + 3);
        const data = room.subarray(3);
        data.set(seed);
        const view = new DataView(data.buffer, 3);
        for (const { at, width, value } of changes) {
          if (at + width > seed.length) continue;
          if (width === 1) view.setUint8(at, value & 0xff);
          else if (width === 2) view.setUint16(at, value & 0xffff, true);
          else view.setUint32(at, value, true);
        }
        return data.subarray(0, Math.max(0, seed.length - cut));
      }),
  );

/** The value, or undefined for our own error; any other is a failure. */
function orRefused<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return undefined;
  }
}

describe.each(targets)('%s', (_, again, seeds) => {
  it('comes back byte for byte, or is refused, with any bytes changed', () => {
    let taken = 0;
    fc.assert(
      fc.property(damagedOf(seeds), (data) => {
        const written = orRefused(() => again(data));
        if (written === undefined) return;
        taken++;
        expect(hex(written)).toBe(hex(data));
      }),
      { numRuns: 3000 },
    );
    // Some must get through, else nothing was written.
    expect(taken).toBeGreaterThan(20);
  });

  it('is refused with our own error wherever it is cut', () => {
    const refused = (data: Uint8Array): boolean => orRefused(() => again(data)) === undefined;
    for (const seed of seeds) {
      for (let size = 0; size < seed.length; size++) {
        const data = seed.subarray(0, size);
        const written = orRefused(() => again(data));
        if (written !== undefined) expect(hex(written)).toBe(hex(data));
      }
      expect(refused(seed)).toBe(false);
    }
  });

  it('takes any bytes at all, or refuses them with our own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
        const written = orRefused(() => again(data));
        if (written !== undefined) expect(hex(written)).toBe(hex(data));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('USER_PROPERTIES cut short', () => {
  it('is refused everywhere: Length tells', () => {
    for (const blob of blobs) {
      for (let size = 0; size < blob.length; size++) {
        expect(() => parseUserProperties(blob.subarray(0, size))).toThrow(ProtocolError);
      }
    }
  });
});

describe('keepKerberosKeys', () => {
  it('of any damaged blob keeps Kerberos keys alone, or refuses it', () => {
    let kept = 0;
    fc.assert(
      fc.property(damagedOf(blobs), (data) => {
        const before = hex(data);
        const reduced = orRefused(() => keepKerberosKeys(data));
        expect(hex(data)).toBe(before);
        if (reduced === undefined) return;
        kept++;
        const names = parseUserProperties(reduced).properties.map(propertyName);
        expect(names.at(-1)).toBe('Packages');
        for (const name of names.slice(0, -1))
          expect(['Primary:Kerberos-Newer-Keys', 'Primary:Kerberos']).toContain(name);
        checkKerberosKeysOnly(reduced);
      }),
      { numRuns: 2000 },
    );
    expect(kept).toBeGreaterThan(100);
  });
});

const key = fc.record({
  keyType: fc.integer({ min: -200, max: 30 }),
  iterationCount: fc.nat(0xffffffff),
  key: fc.uint8Array({ maxLength: 40 }),
});
const keys = fc.array(key, { maxLength: 5 });
const salt = fc.string({ unit: 'binary', maxLength: 40 });
const plain = (list: readonly { keyType: number; key: Uint8Array }[]) =>
  list.map(({ keyType, key: bytesOf }) => [keyType, hex(bytesOf)]);

describe('structures made of any keys', () => {
  it('come back: KERB_STORED_CREDENTIAL_NEW', () => {
    const parts = fc.record({
      defaultSalt: salt,
      defaultIterationCount: fc.nat(0xffffffff),
      credentials: keys,
      serviceCredentials: keys,
      oldCredentials: keys,
      olderCredentials: keys,
    });
    fc.assert(
      fc.property(parts, (given) => {
        const read = parseKerbStoredCredentialNew(writeKerbStoredCredentialNew(kerbStoredCredentialNewOf(given)));
        for (const list of ['credentials', 'serviceCredentials', 'oldCredentials', 'olderCredentials'] as const) {
          expect(plain(read[list])).toEqual(plain(given[list]));
          expect(read[list].map((each) => each.iterationCount)).toEqual(given[list].map((each) => each.iterationCount));
        }
        expect(hex(read.defaultSalt)).toBe(hex(Buffer.from(given.defaultSalt, 'utf16le')));
        expect(read.defaultIterationCount).toBe(given.defaultIterationCount);
      }),
      { numRuns: 300 },
    );
  });

  it('come back: KERB_STORED_CREDENTIAL', () => {
    fc.assert(
      fc.property(fc.record({ defaultSalt: salt, credentials: keys, oldCredentials: keys }), (given) => {
        const read = parseKerbStoredCredential(writeKerbStoredCredential(kerbStoredCredentialOf(given)));
        expect(plain(read.credentials)).toEqual(plain(given.credentials));
        expect(plain(read.oldCredentials)).toEqual(plain(given.oldCredentials));
        expect(hex(read.defaultSalt)).toBe(hex(Buffer.from(given.defaultSalt, 'utf16le')));
      }),
      { numRuns: 300 },
    );
  });

  it('come back: USER_PROPERTIES', () => {
    const property = fc.record({
      name: fc.string({ unit: 'binary', maxLength: 30 }).map((text) => Uint8Array.from(Buffer.from(text, 'utf16le'))),
      reserved: fc.nat(0xffff),
      value: fc.uint8Array({ maxLength: 100 }),
    });
    fc.assert(
      fc.property(fc.array(property, { maxLength: 10 }), (properties) => {
        const read = parseUserProperties(writeUserProperties(userPropertiesOf(properties))).properties;
        const told = (list: typeof read) => list.map(({ name, reserved, value }) => [hex(name), reserved, hex(value)]);
        expect(told(read)).toEqual(told(properties));
      }),
      { numRuns: 300 },
    );
  });
});
