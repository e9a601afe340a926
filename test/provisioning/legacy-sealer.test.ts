import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import {
  createLegacySealer,
  type LegacySealer,
  type SealBatch,
  type SealItem,
} from '#src/provisioning/legacy-sealer.js';
import { runnable } from '../hasher/backends.js';
import { hex, seal, sealData, unhex } from '../hasher/reference.js';
import replication from '../vectors/replication.json' with { type: 'json' };
import suppcred from '../vectors/suppcred.json' with { type: 'json' };
import { openBlob } from './blobs.js';
import { createCertificate, type TestCertificate } from './certificates.js';

const captured = (name: string) => replication.find((vector) => vector.name === name)!;
/** What a domain controller sent, as DSInternals captured it. */
const NT_HASH = captured('NTHash');
const SUPPLEMENTAL = captured('SupplementalCredentials');
const w2016 = unhex(suppcred.find(({ name }) => name.includes('W2k16_Vector1'))!.hex);
const empty = unhex(suppcred.find(({ name }) => name.includes('Empty1'))!.hex);

const tlv = (attrTyp: string, value: Uint8Array): string => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return attrTyp + hex(length) + hex(value);
};

let certificate: TestCertificate;
let larger: TestCertificate;
beforeAll(async () => {
  [certificate, larger] = await Promise.all([createCertificate(2048), createCertificate(3072)]);
});

describe.each(runnable)('the legacy sealer on $backend $kernel', (options) => {
  let sealer: LegacySealer;
  beforeAll(() => {
    sealer = createLegacySealer({ ...options, threads: 2 });
  });
  afterAll(() => sealer.close());

  const batch = (items: readonly SealItem[], more: Partial<SealBatch> = {}): SealBatch => ({
    certificate: certificate.der,
    ntlm: true,
    sessionKeys: [unhex(NT_HASH.sessionKey)],
    items,
    ...more,
  });

  it('seals what a domain controller sent, both fields under one key', async () => {
    for (const recipient of [certificate, larger]) {
      const [user] = await sealer.seal({
        ...batch([{ unicodePwd: unhex(NT_HASH.blob), rid: 500, supplementalCredentials: unhex(SUPPLEMENTAL.blob) }]),
        sessionKeys: [randomBytes(32), unhex(SUPPLEMENTAL.sessionKey), unhex(NT_HASH.sessionKey)],
        certificate: recipient.der,
      });
      expect([user!.legacy.status, user!.supplemental.status]).toEqual(['sealed', 'sealed']);
      const legacy = openBlob(user!.legacy.blob!, recipient.privateKey);
      const supplemental = openBlob(user!.supplemental.blob!, recipient.privateKey);
      expect(hex(legacy.plaintext)).toBe(tlv('5a000900', unhex(NT_HASH.expected![0]!)));
      expect(hex(legacy.thumbprint)).toBe(createHash('sha1').update(recipient.der).digest('hex'));
      expect(hex(supplemental.aesKey)).toBe(hex(legacy.aesKey));
      expect(hex(supplemental.iv)).not.toBe(hex(legacy.iv));
      // The keys of the captured one, and nothing else of it.
      expect(supplemental.plaintext.toString('latin1')).toContain(
        'f393e57bd56648537775df675da349bc93bc338ce33da861b7b2da7a273811e7',
      );
      expect(supplemental.plaintext.includes(Buffer.from('Primary:WDigest', 'utf16le'))).toBe(false);
      expect(supplemental.plaintext.includes(Buffer.from('CLEARTEXT', 'utf16le'))).toBe(false);
    }
  });

  it('seals many, each under a key of its own, and says of each field what became of it', async () => {
    const sessionKeys = [randomBytes(16), randomBytes(32)];
    const users = Array.from({ length: 450 }, (_, i) => {
      const ntHash = randomBytes(16);
      const key = sessionKeys[i % 2]!;
      const plain = i % 5 === 4 ? empty : w2016;
      const item = {
        unicodePwd: i % 7 === 6 ? undefined : seal(key, 1000 + i, ntHash),
        rid: i % 11 === 10 ? 0 : 1000 + i,
        supplementalCredentials: i % 13 === 12 ? undefined : sealData(i % 17 === 16 ? randomBytes(16) : key, plain),
      };
      const legacy = i % 7 === 6 ? 'absent' : i % 11 === 10 ? 'rid' : 'sealed';
      const supplemental =
        i % 13 === 12 ? 'absent' : i % 17 === 16 ? 'checksum' : i % 5 === 4 ? 'no-kerberos-keys' : 'sealed';
      return { item, ntHash, legacy, supplemental };
    });
    const sealed = await sealer.seal(
      batch(
        users.map(({ item }) => item),
        { sessionKeys },
      ),
    );
    expect(sealed.map((user) => [user.legacy.status, user.supplemental.status])).toEqual(
      users.map(({ legacy, supplemental }) => [legacy, supplemental]),
    );
    const kept = tlv('7d000900', keepKerberosKeys(w2016)!);
    const seen = new Set<string>();
    for (const [i, { legacy, supplemental }] of sealed.entries()) {
      expect(legacy.blob === undefined).toBe(legacy.status !== 'sealed');
      expect(supplemental.blob === undefined).toBe(supplemental.status !== 'sealed');
      if (i % 3 !== 0) continue;
      const opened = [legacy, supplemental].map(({ blob }) => blob && openBlob(blob, certificate.privateKey));
      if (opened[0]) expect(hex(opened[0].plaintext)).toBe(tlv('5a000900', users[i]!.ntHash));
      if (opened[1]) expect(hex(opened[1].plaintext)).toBe(kept);
      if (opened[0] && opened[1]) expect(hex(opened[0].aesKey)).toBe(hex(opened[1].aesKey));
      for (const blob of opened) {
        if (blob === undefined) continue;
        expect(seen.has(hex(blob.iv))).toBe(false);
        seen.add(hex(blob.iv));
      }
      const aesKey = (opened[0] ?? opened[1])?.aesKey;
      if (aesKey === undefined) continue;
      expect(seen.has(hex(aesKey))).toBe(false);
      seen.add(hex(aesKey));
    }
  });

  it('takes chance for the NT hash where NTLM is off, and does not look at the envelope', async () => {
    const sealed = await sealer.seal(
      batch(
        [
          { unicodePwd: unhex(NT_HASH.blob), rid: 500, supplementalCredentials: unhex(SUPPLEMENTAL.blob) },
          { unicodePwd: new Uint8Array(5), rid: 0 },
          { rid: 0 },
        ],
        { ntlm: false, sessionKeys: [unhex(NT_HASH.sessionKey), unhex(SUPPLEMENTAL.sessionKey)] },
      ),
    );
    expect(sealed.map(({ legacy, supplemental }) => [legacy.status, supplemental.status])).toEqual([
      ['sealed', 'sealed'],
      ['sealed', 'absent'],
      ['sealed', 'absent'],
    ]);
    const values = sealed.map(({ legacy }) => hex(openBlob(legacy.blob!, certificate.privateKey).plaintext));
    expect(new Set(values).size).toBe(3);
    for (const value of values) expect(value).toMatch(/^5a00090010000000[0-9a-f]{32}$/);
    expect(values.join()).not.toContain(NT_HASH.expected![0]!);
  });

  it('says what it could not open, and what it opened in vain', async () => {
    const key = randomBytes(16);
    const flipped = (envelope: Buffer, at: number) => {
      envelope[at]! ^= 0x10;
      return envelope;
    };
    const two = Buffer.concat([randomBytes(32)]);
    const cut = w2016.subarray(0, w2016.length - 1);
    const cases: [SealItem, string, string][] = [
      [{ rid: 7, unicodePwd: seal(key, 7, randomBytes(16)) }, 'sealed', 'absent'],
      [{ rid: 7, supplementalCredentials: sealData(key, w2016) }, 'absent', 'sealed'],
      [{ rid: 7, unicodePwd: new Uint8Array(0), supplementalCredentials: new Uint8Array(0) }, 'length', 'length'],
      [{ rid: 7, unicodePwd: new Uint8Array(35), supplementalCredentials: new Uint8Array(19) }, 'length', 'length'],
      [
        { rid: 7, unicodePwd: sealData(key, two), supplementalCredentials: sealData(key, new Uint8Array(0)) },
        'length',
        'malformed',
      ],
      [
        { rid: 0, unicodePwd: seal(key, 7, randomBytes(16)), supplementalCredentials: sealData(key, cut) },
        'rid',
        'malformed',
      ],
      [
        {
          rid: 7,
          unicodePwd: flipped(seal(key, 7, randomBytes(16)), 3),
          supplementalCredentials: flipped(sealData(key, w2016), 900),
        },
        'checksum',
        'checksum',
      ],
      [{ rid: 7 }, 'absent', 'absent'],
    ];
    const sealed = await sealer.seal(
      batch(
        cases.map(([item]) => item),
        { sessionKeys: [key] },
      ),
    );
    expect(sealed.map(({ legacy, supplemental }) => [legacy.status, supplemental.status])).toEqual(
      cases.map(([, legacy, supplemental]) => [legacy, supplemental]),
    );
  });

  it('has nothing to do with nothing', async () => {
    expect(await sealer.seal(batch([]))).toEqual([]);
  });

  it('is given up by a signal, and by close', async () => {
    const items = Array.from({ length: 5000 }, () => ({ rid: 7 }));
    const stop = new AbortController();
    const other = createLegacySealer({ ...options, threads: 1 });
    const given = other.seal(batch(items, { ntlm: false, signal: stop.signal }));
    stop.abort('enough');
    await expect(given).rejects.toBe('enough');
    await expect(other.seal(batch(items, { signal: stop.signal }))).rejects.toBe('enough');
    const cut = other.seal(batch(items, { ntlm: false }));
    const refused = expect(cut).rejects.toMatchObject({ code: 'sealer-closed' });
    await other.close();
    await refused;
    await expect(other.seal(batch([]))).rejects.toMatchObject({ code: 'sealer-closed' });
  });
});

describe('the legacy sealer', () => {
  const good = (): SealBatch => ({
    certificate: certificate.der,
    ntlm: true,
    sessionKeys: [randomBytes(16)],
    items: [],
  });
  const refusals: [string, Record<string, unknown>, object][] = [
    ['what is no certificate', { certificate: randomBytes(100) }, { code: 'ad-auth-info-certificate' }],
    [
      'text for the certificate',
      { certificate: 'MII' },
      { name: 'TypeError', message: /certificate: expected a Uint8Array/ },
    ],
    ['no word on NTLM', { ntlm: undefined }, { name: 'TypeError', message: /ntlm: expected a boolean/ }],
    ['no session key', { sessionKeys: [] }, { name: 'RangeError', message: /sessionKeys: expected 1 to 64 keys/ }],
    ['flat items', { items: new Uint8Array(36) }, { name: 'TypeError', message: /items: expected an array/ }],
    ['an item without a RID', { items: [{}] }, { name: 'TypeError', message: /items\[0\]\.rid: expected a number/ }],
    [
      'a misspelt item',
      { items: [{ rid: 7, unicodePassword: 1 }] },
      { name: 'TypeError', message: /unknown property/ },
    ],
    [
      'an envelope as text',
      { items: [{ rid: 7, supplementalCredentials: 'ab' }] },
      { name: 'TypeError', message: /items\[0\]\.supplementalCredentials: expected a Uint8Array, got string/ },
    ],
    ['a signal that is none', { signal: {} }, { name: 'TypeError', message: /signal: expected an AbortSignal/ }],
  ];

  it.each(refusals)('refuses %s', async (_, wrong, error) => {
    const sealer = createLegacySealer({ threads: 1 });
    const batch = { ...good(), ...wrong } as SealBatch;
    const { message, ...rest } = error as { message?: RegExp };
    await expect(sealer.seal(batch)).rejects.toMatchObject({
      ...rest,
      ...(message && { message: expect.stringMatching(message) }),
    });
    await sealer.close();
  });

  it('refuses one call more than may wait', async () => {
    const sealer = createLegacySealer({ threads: 1, maxQueue: 1 });
    const many = { ...good(), ntlm: false, items: Array.from({ length: 1000 }, () => ({ rid: 7 })) };
    const first = sealer.seal(many);
    await expect(sealer.seal(many)).rejects.toMatchObject({ code: 'sealer-busy', facts: { maxQueue: 1, waiting: 1 } });
    expect(await first).toHaveLength(1000);
    await sealer.close();
  });
});
