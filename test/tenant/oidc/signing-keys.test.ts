/** Signing keys in the store: made once, published before they sign, and gone when their tokens are over; on both databases. */

import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KEY_LIFETIME, PUBLISHED_AFTER, PUBLISHED_BEFORE, SigningKeys } from '#src/tenant/oidc/signing-keys.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { temporaryDirectory, writeText } from '../harness.js';
import { describeStores, type StoreSite } from '../stores.js';

const START = Date.parse('2026-01-01T00:00:00Z');

describeStores('signing keys', (newSite) => {
  let site: StoreSite;
  let store: TenantStore;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let time: number;
  const now = () => new Date(time);
  const formerFile = () => join(directory.path, 'token-key.json');
  const open = (from = store) => SigningKeys.open({ database: from.database, now, formerFile: formerFile() });
  const ids = (keys: SigningKeys) => keys.published().map(({ kid }) => kid);

  beforeEach(async () => {
    time = START;
    site = await newSite();
    store = await site.open({ now });
    directory = await temporaryDirectory();
  });
  afterEach(async () => {
    await store.close();
    await directory.remove();
  });

  it('are made at the first start, and are the same for every process', async () => {
    const others = await Promise.all([site.open(), site.open()]);
    // At the same time, so that one must wait for what the other makes.
    const [first, second] = await Promise.all(others.map((other) => open(other)));
    expect(ids(first!)).toHaveLength(2);
    await first!.refresh();
    expect(ids(second!)).toEqual(ids(first!));
    expect(ids(await open())).toEqual(ids(first!));
    expect(first!.current('RS256').publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 });
    expect(first!.current('ES256').publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    for (const other of others) await other.close();
  });

  it('change every 90 days: the next is published a day before it signs, the one before a day after', async () => {
    const keys = await open();
    const first = keys.current('ES256').kid;
    time = START + KEY_LIFETIME - PUBLISHED_BEFORE - 1;
    await keys.maintain();
    expect(ids(keys)).toHaveLength(2);
    time += 1;
    await keys.maintain();
    expect(ids(keys)).toHaveLength(4);
    expect(keys.current('ES256').kid).toBe(first);
    // Once more changes nothing, nor does another process.
    await keys.maintain();
    expect(ids(await open())).toEqual(ids(keys));
    let changes = 0;
    keys.onChange(() => {
      changes++;
    });
    time = START + KEY_LIFETIME;
    await keys.maintain();
    // Whoever holds the keys in an order of its own must hear of it.
    expect(changes).toBe(1);
    const second = keys.current('ES256').kid;
    expect(second).not.toBe(first);
    expect(await keys.find(first)).toBeDefined();
    time = START + KEY_LIFETIME + PUBLISHED_AFTER;
    await keys.maintain();
    expect(await keys.find(first)).toBeUndefined();
    expect(ids(keys)).toHaveLength(2);
    const rows = await store.database.run((queries) => queries.selectFrom('signing_keys').select('kid').execute());
    expect(rows.map(({ kid }) => kid)).not.toContain(first);
  });

  it('that another process made are found by the first token that names them', async () => {
    const keys = await open();
    const beside = await open();
    let changes = 0;
    keys.onChange(() => {
      changes++;
    });
    const [made] = await beside.rotate({ atOnce: false });
    expect(made!.activeFrom).toBe(START + PUBLISHED_BEFORE);
    // Not for each unknown name: the store was read just now.
    expect(await keys.find(made!.kid)).toBeUndefined();
    await keys.refresh();
    expect((await keys.find(made!.kid))?.kid).toBe(made!.kid);
    expect(changes).toBe(1);
  });

  it('that somebody else knows are replaced at once', async () => {
    const keys = await open();
    const before = ids(keys);
    const made = await keys.rotate({ atOnce: true });
    expect(ids(keys).sort()).toEqual(made.map(({ kid }) => kid).sort());
    for (const kid of before) expect(await keys.find(kid)).toBeUndefined();
  });

  it('sign before their time where the clock is behind and no other is there, and that is told once', async () => {
    const told: string[] = [];
    const keys = await SigningKeys.open({
      ...{ database: store.database, now, formerFile: formerFile() },
      onEarlyKey: ({ kid }) => told.push(kid),
    });
    const before = ids(keys);
    // "phsync tenant rotate-keys --at-once" at a machine whose clock is ten minutes ahead.
    const ahead = () => new Date(time + 600_000);
    const elsewhere = await SigningKeys.open({ database: store.database, now: ahead, formerFile: formerFile() });
    const made = (await elsewhere.rotate({ atOnce: true })).map(({ kid }) => kid).sort();
    await keys.refresh();
    expect(ids(keys).sort()).toEqual(made);
    const signing = () => [keys.current('RS256').kid, keys.current('ES256').kid].sort();
    expect(signing()).toEqual(made);
    expect(signing()).toEqual(made);
    for (const kid of before) expect(await keys.find(kid)).toBeUndefined();
    for (const kid of made) expect((await keys.find(kid))?.kid).toBe(kid);
    expect(told.sort()).toEqual(made);
    await keys.maintain();
    expect(ids(keys).sort()).toEqual(made);
    time += 600_000;
    expect(signing()).toEqual(made);

    // A clock that is stepped back by a year, while the next keys are published: those of before, as everywhere else.
    await elsewhere.rotate({ atOnce: false });
    await keys.refresh();
    time -= 365 * 24 * 3_600_000;
    expect(signing()).toEqual(made);
    const started = await open();
    expect([started.current('RS256').kid, started.current('ES256').kid].sort()).toEqual(made);
    expect(ids(started)).toHaveLength(4);
  });

  it('that somebody has deleted are missed by name, with what to do', async () => {
    const keys = await open();
    await store.database.run((queries) => queries.deleteFrom('signing_keys').execute());
    await expect(keys.refresh()).resolves.toBeUndefined();
    expect(() => keys.current('RS256')).toThrow(/the store has no RS256 key: .*phsync tenant rotate-keys/);
  });

  describe('from a version before', () => {
    const former = () =>
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as JWK;

    it('go on signing, and their file is removed', async () => {
      const jwk = former();
      await writeText(directory.path, 'token-key.json', JSON.stringify(jwk));
      const keys = await open();
      expect(keys.current('RS256').kid).toBe(await calculateJwkThumbprint(jwk));
      expect(existsSync(formerFile())).toBe(false);
    });

    it('do not come back into a store that has keys', async () => {
      const before = ids(await open());
      await writeText(directory.path, 'token-key.json', JSON.stringify(former()));
      expect(ids(await open())).toEqual(before);
      expect(existsSync(formerFile())).toBe(false);
    });

    it('are not replaced where they are damaged, nor quoted', async () => {
      const broken = [
        '{"kty":"RSA","d":"secret',
        '{}',
        '{"kty":"RSA","n":"AQAB","e":"AQAB","d":"secret"}',
        '[]',
        'null',
        '""',
      ];
      for (const text of broken) {
        await writeText(directory.path, 'token-key.json', text);
        const error = await open().catch((thrown) => thrown);
        expect(error, text).toMatchObject({ code: 'token-key' });
        expect(error.message).not.toContain('secret');
        expect(existsSync(formerFile())).toBe(true);
      }
    });
  });
});
