import { createDecipheriv, createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { md4 } from 'hash-wasm';
import { afterAll, describe, expect, test } from 'vitest';
import type { DirectoryObject, DirectoryPage } from '#src/agent/source.js';
import { Rotation } from '#src/agent/sources/lab/random.js';
import { LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';

const directory = mkdtempSync(join(tmpdir(), 'phsync-lab-test.'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function all(source: LabSource, cookie?: Uint8Array): Promise<DirectoryPage[]> {
  const pages: DirectoryPage[] = [];
  for await (const page of source.pages(cookie)) pages.push(page);
  return pages;
}

/** RC4 written out once more, independent of the source under test. */
function rc4(key: Uint8Array, data: Uint8Array): Buffer {
  const s = Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + s[i]! + key[i % key.length]!) % 256;
    [s[i], s[j]] = [s[j]!, s[i]!];
  }
  let [i, j] = [0, 0];
  return Buffer.from(
    data.map((byte) => {
      i = (i + 1) % 256;
      j = (j + s[i]!) % 256;
      [s[i], s[j]] = [s[j]!, s[i]!];
      return byte ^ s[(s[i]! + s[j]!) % 256]!;
    }),
  );
}

/** Seven bytes as 56 bits, seven to a byte, above the parity bit. */
function desKey(bytes: readonly number[]): Buffer {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return Buffer.from(Array.from({ length: 8 }, (_, i) => Number.parseInt(`${bits.slice(7 * i, 7 * i + 7)}0`, 2)));
}

function desDecrypt(key: Buffer, block: Uint8Array): Buffer {
  const cipher = createDecipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** MS-DRSR 4.1.10.6.13 and MS-SAMR 2.2.11.1, step by step with OpenSSL's ciphers. */
function open(object: DirectoryObject, sessionKey: Uint8Array): string {
  const envelope = object.unicodePwd!;
  const key = createHash('md5').update(sessionKey).update(envelope.subarray(0, 16)).digest();
  const plain = rc4(key, envelope.subarray(16));
  expect(plain.readUInt32LE(0)).toBe(crc32(plain.subarray(4)));
  const i = [0, 8, 16, 24].map((shift) => (object.rid >>> shift) & 255);
  const key1 = desKey([i[0]!, i[1]!, i[2]!, i[3]!, i[0]!, i[1]!, i[2]!]);
  const key2 = desKey([i[3]!, i[0]!, i[1]!, i[2]!, i[3]!, i[0]!, i[1]!]);
  return Buffer.concat([desDecrypt(key1, plain.subarray(4, 12)), desDecrypt(key2, plain.subarray(12))]).toString('hex');
}

describe('the lab directory', () => {
  test('seals real envelopes: they open, by the documents, to the NT hash of the password', async () => {
    const lab = new LabDirectory({ users: 1000 });
    const [page] = await all(new LabSource(lab));
    const shown = page!.objects.filter(({ unicodePwd }) => unicodePwd?.length === 36);
    expect(shown.length).toBeGreaterThan(990);
    for (const object of shown) {
      const password = lab.passwordOf(lab.indexOfGuid(object.guid)!);
      expect(open(object, page!.sessionKeys[0]!)).toBe(await md4(Buffer.from(password, 'utf16le')));
    }
    expect(new Set(shown.map(({ unicodePwd }) => Buffer.from(unicodePwd!.subarray(0, 16)).toString('hex'))).size).toBe(
      shown.length,
    );
  });

  test('says that it is simulated', () => {
    expect(new LabSource(new LabDirectory({ users: 20_000 })).description).toBe(
      'simulated lab directory, 20,000 users',
    );
  });

  test('is the same for the same seed, another for another, but for the encryption', async () => {
    const shape = async (seed: number) =>
      (await all(new LabSource(new LabDirectory({ users: 300, seed }))))
        .flatMap((page) => page.objects)
        .map(({ unicodePwd, ...object }) => ({ ...object, password: unicodePwd?.length }));
    expect(await shape(7)).toEqual(await shape(7));
    expect(await shape(7)).not.toEqual(await shape(8));
    const one = new LabDirectory({ users: 300, seed: 7 });
    const two = new LabDirectory({ users: 300, seed: 8 });
    expect(one.passwordOf(5)).not.toBe(two.passwordOf(5));
    expect(one.indexOfGuid(two.guidOf(5))).toBeUndefined();
  });

  test('every name, GUID, SID and password is its own', async () => {
    const lab = new LabDirectory({ users: 5000 });
    const objects = (await all(new LabSource(lab))).flatMap((page) => page.objects);
    expect(objects).toHaveLength(5020);
    for (const values of [
      objects.map(({ guid }) => guid),
      objects.map(({ dn }) => dn),
      objects.filter(({ rid }) => rid !== 0).map(({ sid }) => sid),
      objects.filter(({ rid }) => rid !== 0).map(({ sAMAccountName }) => sAMAccountName),
      objects.map((_, index) => lab.passwordOf(index)),
    ]) {
      expect(new Set(values).size).toBe(values.length);
    }
    for (const index of [0, 1, 250, 251, 252, 5019]) expect(lab.indexOfGuid(lab.guidOf(index))).toBe(index);
    expect(Math.max(...objects.map((_, index) => lab.passwordOf(index).length))).toBeLessThanOrEqual(27);
  });

  test('goes on from any cookie, in another process too', async () => {
    const pages = await all(new LabSource(new LabDirectory({ users: 1000 }), 100));
    expect(pages).toHaveLength(11);
    expect(pages.map(({ more }) => more)).toEqual([...new Array(10).fill(true), false]);
    expect(pages[0]!.total).toBe(1004);
    const rest = await all(new LabSource(new LabDirectory({ users: 1000 }), 100), pages[3]!.cookie);
    expect(rest.map((page) => page.objects.map(({ guid }) => guid))).toEqual(
      pages.slice(4).map((page) => page.objects.map(({ guid }) => guid)),
    );
    expect(await all(new LabSource(new LabDirectory({ users: 1000 }), 100), pages[10]!.cookie)).toMatchObject([
      { objects: [], more: false },
    ]);
  });

  test('starts over for the cookie of another directory, and refuses what is none', async () => {
    const [page] = await all(new LabSource(new LabDirectory({ users: 10, seed: 1 })));
    const [other] = await all(new LabSource(new LabDirectory({ users: 10, seed: 2 })), page!.cookie);
    expect(other!.objects).toHaveLength(11);
    await expect(all(new LabSource(new LabDirectory({ users: 10 })), new Uint8Array(7))).rejects.toMatchObject({
      code: 'lab-cookie',
    });
  });

  test('a change shows what a DC shows of it: a password change has neither class nor name', async () => {
    const lab = new LabDirectory({ users: 600 });
    const source = new LabSource(lab);
    const cookie = (await all(source)).at(-1)!.cookie;
    const [password, renamed, moved, deleted] = [1, 2, 3, 4] as const;
    const before = (await source.object({ guid: lab.guidOf(moved) })).objects[0]!;
    const old = lab.passwordOf(password);
    const changed = lab.changePassword(password);
    expect(changed).toBe(lab.passwordOf(password));
    expect(lab.previousPasswordOf(password)).toBe(old);
    lab.change('rename', renamed);
    lab.change('move', moved);
    lab.change('delete', deleted);
    const [page] = await all(source, cookie);
    const [first, second, third, fourth] = page!.objects;
    expect(first).toMatchObject({
      guid: lab.guidOf(password),
      objectClass: undefined,
      sAMAccountName: undefined,
      userAccountControl: undefined,
      passwordVersion: 2,
    });
    expect(first!.unicodePwd).toHaveLength(36);
    expect(second).toMatchObject({ unicodePwd: undefined, passwordVersion: undefined, sAMAccountName: undefined });
    expect(second!.displayName).toMatch(/\*$/);
    expect(third).toMatchObject({ displayName: undefined, unicodePwd: undefined });
    expect(third!.dn).not.toBe(before.dn);
    expect(fourth).toMatchObject({ deleted: true, objectClass: undefined });
    expect(fourth!.dn).toContain('\\0ADEL:');
  });

  test('reads single objects by GUID and by DN', async () => {
    const lab = new LabDirectory({ users: 600 });
    const source = new LabSource(lab);
    const byGuid = (await source.object({ guid: lab.guidOf(300) })).objects[0]!;
    const byDn = (await source.object({ dn: byGuid.dn.toUpperCase() })).objects[0]!;
    expect({ ...byDn, unicodePwd: undefined }).toEqual({ ...byGuid, unicodePwd: undefined });
    expect(byGuid).toMatchObject({ objectClass: 'user', sAMAccountName: 'u0000300' });
    const nobody = { guid: '00000000-0000-4000-8000-000000000000' };
    expect((await source.object(nobody)).objects).toEqual([]);
    expect((await source.object({ dn: 'CN=Nobody 300,DC=lab,DC=test' })).objects).toEqual([]);
    expect((await source.object({ dn: 'CN=Nobody,DC=lab,DC=test' })).objects).toEqual([]);
  });

  test('keeps changes by hand in its journal, without the password', async () => {
    const journal = join(directory, 'lab.jsonl');
    const lab = new LabDirectory({ users: 600, journal });
    const cookie = (await all(new LabSource(lab))).at(-1)!.cookie;
    const password = lab.changePassword(17);
    const again = new LabDirectory({ users: 600, journal });
    expect(again.passwordOf(17)).toBe(password);
    const [page] = await all(new LabSource(again), cookie);
    expect(page!.objects.map(({ guid }) => guid)).toEqual([lab.guidOf(17)]);
    writeFileSync(journal, '{"kind":"password","index":1,"at":1}\n{"kind":"nonsense","index":1,"at":1}\n');
    expect(() => new LabDirectory({ users: 600, journal })).toThrow(/lab\.jsonl:2/);
  });

  test('passwords that change by the clock come in turn', async () => {
    let time = Date.UTC(2026, 5, 1);
    const lab = new LabDirectory({ users: 100, changesPerMinute: 60, now: () => time });
    const source = new LabSource(lab, 30);
    const cookie = (await all(source)).at(-1)!.cookie;
    const before = Array.from({ length: 100 }, (_, n) => lab.passwordOf(lab.userIndex(n)));
    time += 100_000;
    const pages = await all(source, cookie);
    expect(pages.map(({ objects }) => objects.length)).toEqual([30, 30, 30, 10]);
    expect(new Set(pages.flatMap((page) => page.objects.map(({ guid }) => guid))).size).toBe(100);
    for (let n = 0; n < 100; n++) {
      expect(lab.passwordOf(lab.userIndex(n))).not.toBe(before[n]);
      expect(lab.previousPasswordOf(lab.userIndex(n))).toBe(before[n]);
    }
  });
});

describe('the rotation', () => {
  test.each([1, 2, 3, 10, 250, 1009])('of %d gives everybody one turn a round, and knows them', (n) => {
    for (const seed of [0, 1, 99]) {
      const rotation = new Rotation(n, seed);
      const turns = Array.from({ length: 3 * n + 1 }, (_, k) => rotation.at(k));
      expect(new Set(turns.slice(0, n)).size).toBe(n);
      for (const until of [0, 1, n, 2 * n + 1, 3 * n + 1]) {
        for (const thing of [0, n - 1, Math.floor(n / 2)]) {
          const own = turns.slice(0, until).flatMap((turn, k) => (turn === thing ? [k] : []));
          expect(rotation.turnsOf(thing, until)).toEqual({ count: own.length, last: own.at(-1) });
        }
      }
    }
  });
});
