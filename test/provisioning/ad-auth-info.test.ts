import { execFileSync } from 'node:child_process';
import {
  createCipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { PhsyncError } from '#src/hasher/errors.js';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import {
  legacyPlaintext,
  newSealedKey,
  openAdAuthInfo,
  parseLegacyPlaintext,
  parseSupplementalPlaintext,
  type Recipient,
  readAdAuthInfo,
  recipientOf,
  sealAdAuthInfo,
  sealKey,
  supplementalPlaintext,
  type Unwrap,
  unknownCertificate,
  unwrapWith,
} from '#src/provisioning/ad-auth-info.js';
import { describeWithTools } from '../native/tools.js';
import vector from '../vectors/adauthinfo.json' with { type: 'json' };
import suppcred from '../vectors/suppcred.json' with { type: 'json' };
import { createCertificate, type TestCertificate } from './certificates.js';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

const privateKey = createPrivateKey({ key: vector.throwAwayKeyJwk, format: 'jwk' });
const theirs: Recipient = { publicKey: createPublicKey(privateKey), thumbprint: bytes(vector.thumbprint) };
const blob = bytes(vector.blob);
const NT_HASH = '92937945b518814341de3f726500d4ff';
const reduced = keepKerberosKeys(bytes(suppcred.find(({ length }) => length > 111)!.hex))!;

/** A managed side that has one key. */
const holding =
  (key: KeyObject, thumbprint: Uint8Array = theirs.thumbprint): Unwrap =>
  (named, encryptedKey) => {
    if (!Buffer.from(named).equals(thumbprint)) throw unknownCertificate(named);
    return unwrapWith(key, encryptedKey);
  };
const unwrap = holding(privateKey);

/** The error's code. */
async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof PhsyncError) return error.code;
    throw error;
  }
  return 'opened';
}

describe('the vector', () => {
  it('opens', async () => {
    const plaintext = await openAdAuthInfo(blob, unwrap);
    expect(hex(plaintext)).toBe(vector.plaintext);
    expect(hex(parseLegacyPlaintext(plaintext))).toBe(NT_HASH);
  });

  it('is sealed again: the same bytes, but for the RSA part, which opens', () => {
    const sealed = sealAdAuthInfo(
      legacyPlaintext(bytes(NT_HASH)),
      theirs,
      sealKey(bytes(vector.aesKey), theirs),
      bytes(vector.iv),
    );
    expect(sealed).toHaveLength(vector.blobLength);
    const withoutKey = (data: Uint8Array): string => hex(data.subarray(0, 52)) + hex(data.subarray(308));
    expect(withoutKey(sealed)).toBe(withoutKey(blob));
    expect(hex(sealed)).not.toBe(hex(blob));
    expect(hex(unwrapWith(privateKey, readAdAuthInfo(sealed).encryptedKey)!)).toBe(vector.aesKey);
  });

  it('has the parts of the format', () => {
    const { thumbprint, encryptedKey, iv, data } = readAdAuthInfo(blob);
    expect(hex(thumbprint)).toBe(vector.thumbprint);
    expect(hex(iv)).toBe(vector.iv);
    expect(hex(data)).toBe(hex(blob.subarray(0x144)));
    expect(hex(Buffer.from(encryptedKey).reverse())).toBe(hex(blob.subarray(52, 308)));
  });
});

describe.each([2048, 3072, 4096])('RSA-%i', (bits) => {
  let certificate: TestCertificate;
  let recipient: Recipient;
  beforeAll(async () => {
    certificate = await createCertificate(bits);
    recipient = recipientOf(certificate.der);
  });

  it('brings both payloads back, one key for both', async () => {
    expect(hex(recipient.thumbprint)).toBe(createHash('sha1').update(certificate.der).digest('hex'));
    const key = newSealedKey(recipient);
    const hash = randomBytes(16);
    const legacy = sealAdAuthInfo(legacyPlaintext(hash), recipient, key);
    const supplemental = sealAdAuthInfo(supplementalPlaintext(reduced), recipient, key);
    expect(legacy).toHaveLength(100 + bits / 8);
    const open = holding(certificate.privateKey, recipient.thumbprint);
    expect(hex(parseLegacyPlaintext(await openAdAuthInfo(legacy, open)))).toBe(hex(hash));
    expect(hex(parseSupplementalPlaintext(await openAdAuthInfo(supplemental, open)))).toBe(hex(reduced));
    const [a, b] = [legacy, supplemental].map(readAdAuthInfo);
    expect(a!.encryptedKey.equals(b!.encryptedKey)).toBe(true);
    expect(Buffer.from(a!.iv).equals(b!.iv)).toBe(false);
  });

  it('brings payloads of every length around a block back, each under a key of its own', async () => {
    const keys = new Set<string>();
    const open = holding(certificate.privateKey, recipient.thumbprint);
    for (const size of [0, 1, 15, 16, 17, 31, 32, 33]) {
      const payload = new Uint8Array(size).map((_, i) => i % 251);
      const sealed = sealAdAuthInfo(payload, recipient);
      expect(hex(await openAdAuthInfo(sealed, open))).toBe(hex(payload));
      const { data, encryptedKey } = readAdAuthInfo(sealed);
      expect(data.length).toBe(16 * Math.floor(size / 16) + 16);
      keys.add(hex(unwrapWith(certificate.privateKey, encryptedKey)!));
    }
    expect(keys.size).toBe(8);
  });
});

describe('recipientOf', () => {
  it('refuses RSA below 2048 bits, other keys, and what is no certificate', async () => {
    const refused = [
      (await createCertificate(1024)).der,
      (await createCertificate(2052)).der,
      (await createCertificate('P-256')).der,
      randomBytes(300),
    ];
    const messages = ['not rsa of 1024', 'not rsa of 2052', 'not ec', 'X.509 expected'];
    for (const [i, der] of refused.entries()) {
      expect(() => recipientOf(der)).toThrow(messages[i]!);
      expect(await codeOf(() => recipientOf(der))).toBe('ad-auth-info-certificate');
    }
  });
});

describe("the caller's mistakes", () => {
  it('are RangeErrors', async () => {
    const other = recipientOf((await createCertificate(2048)).der);
    expect(() => sealAdAuthInfo(bytes('00'), other, newSealedKey(theirs))).toThrow('another recipient');
    expect(() => sealAdAuthInfo(bytes('00'), theirs, undefined, bytes('00'))).toThrow('an IV has 16 bytes');
    expect(() => sealAdAuthInfo(new Uint8Array(256 * 1024), theirs)).toThrow('can be sealed');
    expect(() => sealKey(bytes('00'), theirs)).toThrow('32 bytes');
    expect(() => legacyPlaintext(bytes('00'))).toThrow('16 bytes');
  });
});

/** What comes of the blob when one byte is changed, by position: the code, once the payload was parsed too. */
async function flipped(
  whole: Uint8Array,
  xor: number,
  parse: (plaintext: Uint8Array) => unknown,
): Promise<{ afterCbc: string[]; afterAll: string[] }> {
  const afterCbc: string[] = [];
  const afterAll: string[] = [];
  for (let at = 0; at < whole.length; at++) {
    const altered = Uint8Array.from(whole);
    altered[at]! ^= xor;
    let plaintext: Uint8Array | undefined;
    const code = await codeOf(async () => {
      plaintext = await openAdAuthInfo(altered, unwrap);
    });
    afterCbc.push(code);
    afterAll.push(plaintext === undefined ? code : await codeOf(() => parse(plaintext!)));
  }
  return { afterCbc, afterAll };
}

const positions = (codes: readonly string[], code: string): number[] =>
  codes.flatMap((each, at) => (each === code ? [at] : []));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe('an altered blob', () => {
  // Offsets with RSA-2048: thumbprint 32, encrypted key 52, IV 308, the first block 324, the second 340.
  it.each([0x01, 0x80, 0xff])('with an NT hash, any one byte XOR %i', async (xor) => {
    const { afterCbc, afterAll } = await flipped(blob, xor, parseLegacyPlaintext);
    expect(positions(afterAll, 'ad-auth-info-malformed')).toEqual(range(0, 32));
    expect(positions(afterAll, 'ad-auth-info-unknown-certificate')).toEqual(range(32, 52));
    // CBC and its padding alone let pass what alters the first block (the IV, byte for byte), garbles it (its first
    // half) or hits the second half of the NT hash below it.
    expect(positions(afterCbc, 'opened')).toEqual(expect.arrayContaining(range(308, 332)));
    // The ATTRTYP and the length see all of it but the IV's second half: that turns bits of the NT hash's first eight
    // bytes, which nothing in the format can tell, since any 16 bytes are an NT hash.
    expect(positions(afterAll, 'opened')).toEqual(range(316, 324));
    expect(positions(afterAll, 'ad-auth-info-wrong-key')).toEqual([...range(52, 316), ...range(324, 356)]);
  });

  it("with the IV's second half changed gives another NT hash: the format cannot tell", async () => {
    const altered = Uint8Array.from(blob);
    altered[316]! ^= 0x01;
    expect(hex(parseLegacyPlaintext(await openAdAuthInfo(altered, unwrap)))).toBe(`93${NT_HASH.slice(2)}`);
  });

  it.each([0x01, 0xff])('with Kerberos keys, any one byte XOR %i', async (xor) => {
    const sealed = sealAdAuthInfo(supplementalPlaintext(reduced), theirs);
    const { afterCbc, afterAll } = await flipped(sealed, xor, parseSupplementalPlaintext);
    expect(positions(afterAll, 'ad-auth-info-malformed')).toEqual(range(0, 32));
    expect(positions(afterAll, 'ad-auth-info-unknown-certificate')).toEqual(range(32, 52));
    // Of the payload CBC alone lets nearly everything pass; that the rest is USER_PROPERTIES in one exact form, with
    // digits for values, finds all of it: a garbled block of 16 bytes is digits with a chance of (22/256)^16, 2^-56.
    expect(positions(afterCbc, 'opened').length).toBeGreaterThan(sealed.length - 324 - 48);
    expect(positions(afterAll, 'ad-auth-info-wrong-key')).toEqual(range(52, sealed.length));
  });

  it('with a padding that is none', async () => {
    const whole = bytes(vector.plaintext);
    const withPadding = (...padding: number[]): Buffer => {
      const cipher = createCipheriv('aes-256-cbc', bytes(vector.aesKey), bytes(vector.iv)).setAutoPadding(false);
      const data = Buffer.concat([cipher.update(Buffer.concat([whole, Buffer.from(padding)])), cipher.final()]);
      const header = Buffer.from(blob.subarray(0, 324));
      header.writeUInt32LE(data.length, 28);
      return Buffer.concat([header, data]);
    };
    expect(await codeOf(() => openAdAuthInfo(withPadding(8, 8, 8, 8, 8, 8, 8, 8), unwrap))).toBe('opened');
    const wrong = [
      [7, 8, 8, 8, 8, 8, 8, 8],
      [8, 8, 8, 9, 8, 8, 8, 8],
      [0, 0, 0, 0, 0, 0, 0, 0],
      [8, 8, 8, 8, 8, 8, 8, 17],
      [8, 8, 8, 8, 8, 8, 8, 255],
      [8, 8, 8, 8, 8, 8, 8, 9],
    ];
    for (const padding of wrong) {
      expect(await codeOf(() => openAdAuthInfo(withPadding(...padding), unwrap)), String(padding)).toBe(
        'ad-auth-info-wrong-key',
      );
    }
    // A whole block of padding is one, 17 bytes of it are more than a block.
    expect(await codeOf(() => openAdAuthInfo(withPadding(8, 8, 8, 8, 8, 8, 8, 8, ...Array(16).fill(16)), unwrap))).toBe(
      'opened',
    );
    expect(await codeOf(() => openAdAuthInfo(withPadding(8, 8, 8, 8, 8, 8, 8, 8, ...Array(16).fill(17)), unwrap))).toBe(
      'ad-auth-info-wrong-key',
    );
  });

  it('cut anywhere, or longer, is malformed', async () => {
    for (let size = 0; size < blob.length; size++) {
      expect(await codeOf(() => openAdAuthInfo(blob.subarray(0, size), unwrap)), `${size} bytes`).toBe(
        'ad-auth-info-malformed',
      );
    }
    expect(await codeOf(() => openAdAuthInfo(Buffer.concat([blob, bytes('00')]), unwrap))).toBe(
      'ad-auth-info-malformed',
    );
  });

  it('is named with field and offset where its header is wrong', () => {
    const altered = (at: number, value: number): Uint8Array => {
      const copy = Buffer.from(blob);
      copy.writeUInt32LE(value, at);
      return copy;
    };
    const cases: [at: number, value: number, message: string][] = [
      [0, 2, 'version: 1 expected, not 2, at offset 0'],
      [4, 1, 'reserved: 0 expected, not 1, at offset 4'],
      [8, 2, 'keyAlgorithm: 1 expected, not 2, at offset 8'],
      [12, 0, 'payloadAlgorithm: 1 expected, not 0, at offset 12'],
      [16, 32, 'thumbprint: 20 expected, not 32, at offset 16'],
      [20, 128, 'an encrypted key of 256 to 2048 bytes expected, not 128, at offset 20'],
      [20, 0xffffffff, 'not 4294967295, at offset 20'],
      [20, 512, '612 bytes expected, not 356: the end at offset 356'],
      [24, 12, 'an IV of 16 bytes expected, not 12, at offset 24'],
      [28, 0, 'whole blocks of 16 bytes, 262144 at most, expected, not 0, at offset 28'],
      [28, 33, 'not 33, at offset 28'],
      [28, 0xfffffff0, 'not 4294967280, at offset 28'],
    ];
    for (const [at, value, message] of cases) expect(() => readAdAuthInfo(altered(at, value))).toThrow(message);
  });
});

describe('nothing tells failures behind the header apart', () => {
  const failure = async (work: () => unknown): Promise<Error & Record<string, unknown>> => {
    try {
      await work();
    } catch (error) {
      return error as Error & Record<string, unknown>;
    }
    throw new Error('it opened');
  };
  const describeError = (error: Error & Record<string, unknown>) => [
    error.name,
    error.code,
    error.message,
    error.cause,
    error.facts,
  ];
  const tlvOf = (type: number, length: number, size: number): Buffer => {
    const plaintext = Buffer.alloc(8 + size, 1);
    plaintext.writeUInt32LE(type, 0);
    plaintext.writeUInt32LE(length, 4);
    return plaintext;
  };
  const openedAs = (parse: (plaintext: Uint8Array) => unknown, plaintext: Uint8Array) => async () =>
    parse(await openAdAuthInfo(sealAdAuthInfo(plaintext, theirs), unwrap));

  it("OAEP, the key's length, padding, ATTRTYP, length and USER_PROPERTIES", async () => {
    const rsaPart = Uint8Array.from(blob);
    rsaPart[60]! ^= 1;
    const largerThanModulus = Uint8Array.from(blob).fill(0xff, 52, 308);
    const padding = Uint8Array.from(blob);
    padding[339]! ^= 0x40;
    const errors = await Promise.all(
      [
        () => openAdAuthInfo(rsaPart, unwrap),
        () => openAdAuthInfo(largerThanModulus, unwrap),
        () => openAdAuthInfo(blob, () => randomBytes(32)),
        () => openAdAuthInfo(blob, () => randomBytes(16)),
        () => openAdAuthInfo(blob, () => undefined),
        () => openAdAuthInfo(padding, unwrap),
        openedAs(parseLegacyPlaintext, new Uint8Array(0)),
        openedAs(parseLegacyPlaintext, tlvOf(0x9007d, 16, 16)),
        openedAs(parseLegacyPlaintext, tlvOf(0x9005a, 15, 16)),
        openedAs(parseLegacyPlaintext, tlvOf(0x9005a, 17, 17)),
        openedAs(parseSupplementalPlaintext, tlvOf(0x9005a, 16, 16)),
        openedAs(parseSupplementalPlaintext, tlvOf(0x9007d, 400, 400)),
        openedAs(
          parseSupplementalPlaintext,
          supplementalPlaintext(bytes(suppcred.find(({ length }) => length > 111)!.hex)),
        ),
      ].map(failure),
    );
    for (const error of errors) expect(describeError(error)).toEqual(describeError(errors[0]!));
    expect(errors[0]!.code).toBe('ad-auth-info-wrong-key');
  });

  it("a failed unwrapping fails even where the substitute's padding happens to be right", async () => {
    // Of 2,000 random keys some eight give a payload with a padding.
    const codes = new Set<string>();
    for (let i = 0; i < 2000; i++) codes.add(await codeOf(() => openAdAuthInfo(blob, () => undefined)));
    expect([...codes]).toEqual(['ad-auth-info-wrong-key']);
  });

  it('an error of the key store comes through as it is', async () => {
    const lost = new Error('the token was removed');
    await expect(openAdAuthInfo(blob, () => Promise.reject(lost))).rejects.toBe(lost);
  });
});

it('the unwrapped key is wiped, whether the blob opens or not', async () => {
  for (const altered of [0, 1]) {
    const copy = Uint8Array.from(blob);
    copy[350]! ^= altered;
    const key = bytes(vector.aesKey);
    await codeOf(() => openAdAuthInfo(copy, () => key));
    expect(hex(key)).toBe('00'.repeat(32));
  }
});

describeWithTools('the openssl command', { openssl: 'openssl' }, () => {
  it('opens what is sealed here, and seals what opens here', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'phsync-adauthinfo-'));
    const file = (name: string, content: Uint8Array | string): string => {
      writeFileSync(join(dir, name), content, { mode: 0o600 });
      return join(dir, name);
    };
    const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { cwd: dir });
    const OAEP = ['-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', 'rsa_oaep_md:sha1', '-pkeyopt', 'rsa_mgf1_md:sha1'];
    try {
      const pem = file('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }));
      for (const sealed of [blob, sealAdAuthInfo(supplementalPlaintext(reduced), theirs)]) {
        const { encryptedKey, iv, data } = readAdAuthInfo(sealed);
        const aesKey = openssl('pkeyutl', '-decrypt', '-inkey', pem, '-in', file('rsa', encryptedKey), ...OAEP);
        const plaintext = openssl(
          'enc',
          '-d',
          '-aes-256-cbc',
          '-K',
          hex(aesKey),
          '-iv',
          hex(iv),
          '-in',
          file('cbc', data),
        );
        expect(hex(await openAdAuthInfo(sealed, unwrap))).toBe(hex(plaintext));
      }
      const [aesKey, iv] = [randomBytes(32), randomBytes(16)];
      const rsa = openssl('pkeyutl', '-encrypt', '-inkey', pem, '-in', file('aes', aesKey), ...OAEP);
      const data = openssl(
        'enc',
        '-aes-256-cbc',
        '-K',
        hex(aesKey),
        '-iv',
        hex(iv),
        '-in',
        file('plain', bytes(vector.plaintext)),
      );
      const made = Buffer.concat([blob.subarray(0, 52), rsa.reverse(), iv, data]);
      expect(hex(parseLegacyPlaintext(await openAdAuthInfo(made, unwrap)))).toBe(NT_HASH);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
