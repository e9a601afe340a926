/** From a real tenant's feed to a (simulated) domain: order, crash safety, keys that fail, deletions, and what is kept on disk. */

import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openKeyRing } from '#src/domain-services/keys/key-ring.js';
import { runOnce } from '#src/domain-services/runner.js';
import type { Synchronizer } from '#src/domain-services/synchronizer.js';
import type { Hasher } from '#src/hasher/types.js';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import { ADMIN } from '../tenant/domain-services/site.js';
import { testHasher } from '../tenant/harness.js';
import { DOMAIN, type Sealed, Site } from './site.js';

const keysOf = (name: string) => {
  const all = JSON.parse(readFileSync(new URL('../vectors/suppcred.json', import.meta.url), 'utf8'));
  const { hex } = all.find((each: { name: string }) => each.name.endsWith(name));
  return keepKerberosKeys(Buffer.from(hex, 'hex'))!;
};
const KEYS = keysOf('W2k16_Vector1');
const OTHER_KEYS = keysOf('W2k16_Vector2');

let hasher: Hasher;
let site: Site;
beforeAll(() => {
  hasher = testHasher();
});
afterAll(() => hasher.close());
beforeEach(async () => {
  site = await Site.start(hasher);
});
afterEach(() => site.close());

const upn = (name: string) => `${name}@phs.test`;
const signal = new AbortController().signal;
const once = (synchronizer: Synchronizer, more: { full?: boolean; allowDeletions?: boolean } = {}) =>
  runOnce({ synchronizer, log: silent, waitSeconds: 0 }, { signal, ...more });
const silent = new Proxy({}, { get: () => () => {} }) as never;

/** The domain has this password of the user, and nothing else of it. */
function expectPassword(name: string, { ntHash }: Sealed, keys: Uint8Array | undefined): void {
  expect(site.domain.byUpn(upn(name))).toMatchObject({
    ntHash,
    kerberosKeys: keys === undefined ? undefined : Buffer.from(keys).toString('hex'),
  });
}

describe('the synchronizer', () => {
  it('brings users and passwords into the domain, then what changes, and nothing twice', async () => {
    await site.provision(['a', 'b', 'c']);
    const [a, b] = [site.seal(KEYS), site.seal(undefined)];
    await site.send('a', '2026-05-01T00:00:00Z', a);
    await site.send('b', '2026-05-01T00:00:00Z', b);
    const first = await once(await site.run());
    expect(first).toMatchObject({ created: 3, passwordsWritten: 2, failed: 0 });
    expectPassword('a', a, KEYS);
    expectPassword('b', b, undefined);
    expect(site.domain.byUpn(upn('c'))).toMatchObject({ writes: 0 });

    expect(await once(await site.run())).toMatchObject({ created: 0, unchanged: 0, passwordsWritten: 0 });
    const changed = site.seal(OTHER_KEYS);
    await site.send('a', '2026-05-02T00:00:00Z', changed);
    await site.provision(['b'], { accountEnabled: false });
    await site.remove('c');
    expect(await once(await site.run())).toMatchObject({ updated: 1, deleted: 1, passwordsWritten: 1 });
    expectPassword('a', changed, OTHER_KEYS);
    expect(site.domain.byUpn(upn('b'))).toMatchObject({ enabled: false, writes: 1 });
    expect(site.domain.byUpn(upn('c'))).toBeUndefined();
    const named = { objectId: expect.stringMatching(/^[0-9a-f-]{36}$/), samAccountName: expect.any(String), level: 30 };
    expect(site.events('user-created')).toMatchObject([named, named, named]);
    expect(site.events('password-written')).toMatchObject(
      [1, 1, 2].map((day) => ({ ...named, changeDate: expect.stringContaining(`2026-05-0${day}T00:00:00`) })),
    );
    expect(site.events('user-changed')).toMatchObject([{ ...named, changed: ['disabled'] }]);
    // All anew: it is as it should be.
    expect(await once(await site.run(), { full: true })).toMatchObject({ unchanged: 2, passwordsUnchanged: 2 });
  });

  it('goes on where it was cut off between the domain and its own state, and does nothing twice that shows', async () => {
    await site.provision(['a', 'b']);
    const a = site.seal(KEYS);
    await site.send('a', '2026-05-01T00:00:00Z', a);
    site.domain.failures.push({ at: 'after', code: 'helper' });
    await expect(once(await site.run())).rejects.toMatchObject({ code: 'managed-domain-helper' });
    // Done there, and nobody here knows.
    expect(site.domain.accounts.size).toBe(2);
    expect(await once(await site.run())).toMatchObject({ created: 0, unchanged: 2, passwordsUnchanged: 1 });
    expect(site.domain.byUpn(upn('a'))).toMatchObject({ ntHash: a.ntHash, writes: 1 });
  });

  it('ends behind the batch in hand where it is told to, and goes on there', async () => {
    const names = Array.from({ length: 450 }, (_, i) => `u${i}`);
    await site.provision(names);
    const stop = new AbortController();
    site.domain.meanwhile = async () => stop.abort();
    const options = { synchronizer: await site.run(), log: silent, waitSeconds: 0 };
    expect(await runOnce(options, { signal: stop.signal })).toMatchObject({ created: 200 });
    expect(site.domain.accounts.size).toBe(200);
    // Nobody is taken for gone, though the feed was not read to its end.
    expect(await once(await site.run())).toMatchObject({ created: 250, unchanged: 200, deleted: 0 });
    expect(await once(await site.run())).toMatchObject({ created: 0, unchanged: 0 });
  });

  it('ends behind the batch in hand where it tries again, and where it deletes, and goes on there', async () => {
    const names = Array.from({ length: 450 }, (_, i) => `u${i}`);
    await site.provision(names);
    for (const name of names) site.domain.refused.set(upn(name), { code: 'ldb', message: 'Constraint violation' });
    const synchronizer = await site.run();
    expect(await once(synchronizer)).toMatchObject({ failed: 450 });
    site.domain.refused.clear();
    site.now += 30_000;
    const stopAtOnce = () => {
      const stop = new AbortController();
      site.domain.meanwhile = async () => stop.abort();
      return { signal: stop.signal, allowDeletions: true };
    };
    expect(await synchronizer.retry(stopAtOnce().signal)).toMatchObject({ created: 200 });
    // Nobody is held by a program that has begun anew: what waits is read again.
    const again = await site.run();
    expect(await again.retry(stopAtOnce().signal)).toMatchObject({ created: 200 });
    expect(site.store.retryCount).toBe(50);
    expect(await once(await site.run())).toMatchObject({ created: 50 });

    const gone = Array.from({ length: 450 }, () => randomUUID());
    const account = { ...site.domain.byUpn(upn('u0'))!, upn: '' };
    for (const id of gone) site.domain.accounts.set(id, { ...account });
    for (const name of names) await site.remove(name);
    await once(await site.run());
    expect(site.domain.accounts.size).toBe(450);
    const deleting = { synchronizer: await site.run(), log: silent, waitSeconds: 0 };
    expect(await runOnce(deleting, { full: true, ...stopAtOnce() })).toMatchObject({ deleted: 200 });
    expect(site.store.sync.readingAll).toBe(true);
    expect(await once(await site.run(), { allowDeletions: true })).toMatchObject({ deleted: 250 });
    expect(site.domain.accounts.size).toBe(0);
  });

  it.each(['open', 'before'] as const)('loses nothing while the domain is away (%s)', async (at) => {
    await once(await site.run());
    await site.provision(['a']);
    const a = site.seal(KEYS);
    await site.send('a', '2026-05-01T00:00:00Z', a);
    const synchronizer = await site.run();
    site.domain.failures.push({ at, code: 'ldb' }, { at, code: 'ldb' });
    for (let tries = 0; tries < 2; tries++) {
      await expect(once(synchronizer)).rejects.toMatchObject({ code: 'managed-domain-ldb' });
    }
    expect(site.domain.accounts.size).toBe(0);
    expect(await once(synchronizer)).toMatchObject({ created: 1, passwordsWritten: 1 });
    expectPassword('a', a, KEYS);
  });

  it('makes the user whose credentials it cannot open, says why, and opens them when the key is there', async () => {
    await site.service.enable({ certificate: site.next.der }, ADMIN);
    await site.provision(['old', 'new', 'bent']);
    const [old, fresh] = [site.seal(KEYS), site.seal(KEYS, site.next)];
    const bent = site.seal(KEYS);
    bent.supplemental![100]! ^= 1;
    await site.send('old', '2026-05-01T00:00:00Z', old);
    await site.send('new', '2026-05-01T00:00:00Z', fresh);
    await site.send('bent', '2026-05-01T00:00:00Z', bent);
    expect(await once(await site.run(site.certificate))).toMatchObject({ created: 3, passwordsWritten: 1, failed: 2 });
    expectPassword('old', old, KEYS);
    expect(site.domain.byUpn(upn('new'))).toMatchObject({ writes: 0 });
    const said = site.events('credentials-not-opened').map(({ code }) => code);
    expect(said.sort()).toEqual(['ad-auth-info-unknown-certificate', 'ad-auth-info-wrong-key']);
    expect(site.store.waiting(10)).toMatchObject([
      { attempts: 1, nextTry: undefined },
      { attempts: 1, nextTry: undefined },
    ]);
    // The next key, and the password of the other anew.
    const again = site.seal(OTHER_KEYS, site.next);
    await site.send('bent', '2026-05-02T00:00:00Z', again);
    await once(await site.run(site.certificate, site.next));
    expectPassword('new', fresh, KEYS);
    expectPassword('bent', again, OTHER_KEYS);
    expect(site.store.retryCount).toBe(0);
  });

  it('finds out every altered byte of what the tenant has stored, and goes on with the next good one', async () => {
    const good = site.seal(KEYS);
    const names = Array.from({ length: good.legacy.length }, (_, i) => `u${i}`);
    await site.provision(names);
    const sendAll = (day: number, blobs: Sealed) =>
      site.sendAll(names.map((name) => ({ name, changeDate: `2026-05-0${day}T00:00:00Z`, ...blobs })));
    await sendAll(1, good);
    const { store } = site.tenant;
    const users = await store.database.run((queries) =>
      queries.selectFrom('users').select(['id', 'source_anchor']).execute(),
    );
    const idOf = new Map(users.map(({ id, source_anchor }) => [source_anchor, id]));
    /** Each user's with one byte altered: another one each. */
    const damage = (column: 'legacy' | 'supplemental', blob: Buffer, from: number) =>
      store.database.transaction(async (queries) => {
        for (const [i, name] of names.entries()) {
          const altered = Buffer.from(blob);
          const at = from + i;
          if (at < altered.length) altered[at]! ^= [0x01, 0x80, 0xff][at % 3]!;
          await queries
            .updateTable('windows_credentials')
            .set({ [column]: altered })
            .where('user_id', '=', idOf.get(name)!)
            .execute();
        }
      });
    /** At which places it was found out: by the users, who are named. */
    const found = async (column: string, blob: Buffer, from: number) => {
      site.log.length = 0;
      await once(await site.run(), { full: true });
      const pattern = new RegExp(
        `^${column} of u(\\d+)@phs\\.test: altered since the tenant took it in.* its SHA-256 was [0-9a-f]{16}…`,
      );
      const places = site.events('credentials-not-opened').map(({ code, msg }) => {
        expect(code).toBe('ad-auth-info-altered');
        return from + Number(pattern.exec(String(msg))![1]);
      });
      // Who waits since the round before is looked at once more at the start.
      return [...new Set(places)].filter((at) => at < blob.length).sort((a, b) => a - b);
    };
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

    await damage('legacy', good.legacy, 0);
    expect(await found('WindowsLegacyCredentials', good.legacy, 0)).toEqual(range(0, good.legacy.length));
    await damage('legacy', good.legacy, good.legacy.length);
    const supplemental = good.supplemental!;
    for (let from = 0; from < supplemental.length; from += names.length) {
      await damage('supplemental', supplemental, from);
      const to = Math.min(from + names.length, supplemental.length);
      expect(await found('WindowsSupplementalCredentials', supplemental, from)).toEqual(range(from, to));
    }
    // Users are there all the same; those past the end of the last round came through as they were sent.
    expect(site.domain.accounts.size).toBe(names.length);
    expect(site.domain.byUpn(upn('u0'))).toMatchObject({ writes: 0 });
    expect(site.store.waiting(1)).toMatchObject([{ code: 'ad-auth-info-altered', nextTry: undefined }]);
    const next = site.seal(OTHER_KEYS);
    await sendAll(2, next);
    await once(await site.run());
    for (const name of names) expectPassword(name, next, OTHER_KEYS);
    expect(site.store.retryCount).toBe(0);
  });

  it('takes the feed of a tenant without digests, and says so once', async () => {
    await site.provision(['a', 'b']);
    const [a, b] = [site.seal(KEYS), site.seal(undefined)];
    await site.send('a', '2026-05-01T00:00:00Z', a);
    site.isOlderTenant = true;
    const synchronizer = await site.run();
    expect(await once(synchronizer)).toMatchObject({ passwordsWritten: 1, failed: 0 });
    await site.send('b', '2026-05-01T00:00:00Z', b);
    expect(await once(synchronizer)).toMatchObject({ passwordsWritten: 1, failed: 0 });
    expect(synchronizer.isUnchecked).toBe(true);
    expect(site.events('feed-without-digests')).toMatchObject([{ level: 40 }]);
    // Brought up to date while the program runs.
    site.isOlderTenant = false;
    await site.provision(['c']);
    await once(synchronizer);
    expect(synchronizer.isUnchecked).toBe(true);
    await site.send('b', '2026-05-02T00:00:00Z', site.seal(KEYS));
    await once(synchronizer);
    expect(synchronizer.isUnchecked).toBe(false);
    const later = await site.run();
    expect(await once(later, { full: true })).toMatchObject({ passwordsUnchanged: 2 });
    expect(later.isUnchecked).toBe(false);
    expect(site.events('feed-without-digests')).toHaveLength(1);
  });

  it('says which key is missing before anybody needs it, and opens who waits when the keys are opened anew', async () => {
    await site.provision(['a', 'b']);
    await site.send('a', '2026-05-01T00:00:00Z', site.seal(KEYS));
    const synchronizer = await site.run(site.certificate);
    await once(synchronizer);
    expect(synchronizer.missingKeys).toEqual([]);
    await site.service.addCertificate(site.next.der, ADMIN);
    await once(synchronizer);
    const thumbprint = createHash('sha1').update(site.next.der).digest('hex');
    const daysLeft = expect.any(Number);
    expect(synchronizer.missingKeys).toMatchObject([{ thumbprint, isNewest: true, daysLeft }]);
    const missing = { level: 50, thumbprint, isNewest: true, daysLeft };
    expect(site.events('key-missing')).toMatchObject([missing]);
    await once(synchronizer);
    expect(site.events('key-missing')).toHaveLength(1);
    // At a start.
    const later = await site.run(site.certificate);
    await once(later);
    expect(site.events('key-missing')).toMatchObject([missing, missing]);
    const sealed = site.seal(KEYS, site.next);
    await site.send('b', '2026-05-01T00:00:00Z', sealed);
    expect(await once(later)).toMatchObject({ failed: 1 });
    expect(site.store.waiting(1)).toMatchObject([{ code: 'ad-auth-info-unknown-certificate' }]);

    // While the tenant holds a question.
    const waiting = later.page({ waitSeconds: 30, signal, allowDeletions: false });
    const { keys } = site.config(site.certificate, site.next);
    await site.ring.replace(() => openKeyRing(keys));
    later.keysChanged();
    expect(await waiting).toMatchObject({ more: true });
    expect(later.missingKeys).toEqual([]);
    expect(await later.retry(signal)).toMatchObject({ passwordsWritten: 1 });
    expectPassword('b', sealed, KEYS);
    expect(site.store.retryCount).toBe(0);
    expect(site.events('key-missing')).toHaveLength(2);
  });

  it('looks once more at whom it read before the keys were opened anew, in the midst of a reading', async () => {
    await site.service.addCertificate(site.next.der, ADMIN);
    await site.provision(['a']);
    const sealed = site.seal(KEYS, site.next);
    await site.send('a', '2026-05-01T00:00:00Z', sealed);
    await once(await site.run());
    const synchronizer = await site.run();
    site.domain.meanwhile = async () => {
      const { keys } = site.config(site.certificate, site.next);
      await site.ring.replace(() => openKeyRing(keys));
      synchronizer.keysChanged();
    };
    expect(await synchronizer.retry(signal)).toMatchObject({ failed: 1 });
    expect(await synchronizer.retry(signal)).toMatchObject({ passwordsWritten: 1 });
    expectPassword('a', sealed, KEYS);
    expect(site.store.retryCount).toBe(0);
  });

  it('reads nobody of the queue again while Domain Services are off, and asks what the tenant can hold', async () => {
    await site.provision(['a']);
    await site.send('a', '2026-05-01T00:00:00Z', site.seal(KEYS, site.certificate));
    await once(await site.run(site.next));
    expect(site.store.retryCount).toBe(1);
    await site.service.disable(ADMIN);
    const synchronizer = await site.run();
    await expect(synchronizer.retry(signal)).rejects.toMatchObject({ code: 'feed-disabled' });
    expect(await synchronizer.retry(signal)).toMatchObject({ failed: 0 });
    const waiting = synchronizer.page({ waitSeconds: 30, signal, allowDeletions: false });
    await site.service.enable({ domainName: DOMAIN }, ADMIN);
    await expect(waiting).rejects.toMatchObject({ code: 'feed-restart' });
    // On again: what waits is read.
    await synchronizer.retry(signal);
    expect(site.events('reread')).toHaveLength(2);
    expect(site.store.retryCount).toBe(0);
  });

  it('keeps whom the domain refuses in the queue, tries again with patience, and has the others go on', async () => {
    await site.provision(['a', 'b']);
    const [a, b] = [site.seal(KEYS), site.seal(KEYS)];
    await site.send('a', '2026-05-01T00:00:00Z', a);
    await site.send('b', '2026-05-01T00:00:00Z', b);
    site.domain.refused.set(upn('a'), { code: 'ldb', message: 'Constraint violation' });
    const synchronizer = await site.run();
    expect(await once(synchronizer)).toMatchObject({ created: 1, failed: 1 });
    expectPassword('b', b, KEYS);
    const waits: number[] = [];
    for (let tries = 0; tries < 10; tries++) {
      const [waiting] = site.store.waiting(1);
      expect(waiting).toMatchObject({
        code: 'managed-domain-ldb',
        reason: 'Constraint violation',
        attempts: tries + 1,
      });
      waits.push((waiting!.nextTry! - site.now) / 1000);
      site.now = waiting!.nextTry! - 1;
      expect(await synchronizer.retry(signal)).toMatchObject({ failed: 0 });
      site.now += 1;
      expect(await synchronizer.retry(signal)).toMatchObject({ failed: 1 });
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    // Told of when it begins, and when the reason is another one.
    const warnings = () => site.events('user-not-written').flatMap(({ level, msg }) => (level === 40 ? [msg] : []));
    expect(warnings()).toEqual([expect.stringMatching(/^Constraint violation; it is tried again/)]);
    site.domain.refused.set(upn('a'), { code: 'ldb', message: 'No such object' });
    site.now = site.store.waiting(1)[0]!.nextTry!;
    await synchronizer.retry(signal);
    expect(warnings()).toEqual([expect.anything(), expect.stringMatching(/^No such object; it is tried again/)]);
    await once(await site.run());
    expect(warnings()).toHaveLength(3);
    // Another start, which knows ids alone.
    site.domain.refused.clear();
    expect(await once(await site.run())).toMatchObject({ created: 1, passwordsWritten: 1 });
    expectPassword('a', a, KEYS);
    expect(site.store.retryCount).toBe(0);
  });

  it('looks again at whom another user has taken a name from', async () => {
    await site.provision(['a', 'b']);
    const synchronizer = await site.run();
    await once(synchronizer);
    const [b] = [...site.domain.accounts].flatMap(([id, account]) => (account.upn === upn('b') ? [id] : []));
    site.domain.displaces.set(upn('a'), b!);
    await site.send('a', '2026-05-01T00:00:00Z', site.seal(KEYS));
    await once(synchronizer);
    expect(site.domain.byUpn(upn('b'))).toBeUndefined();
    expect(site.store.waiting(2)).toMatchObject([{ objectId: b, code: 'managed-domain-displaced' }]);
    site.now += 600_000;
    await synchronizer.retry(signal);
    expect(site.domain.byUpn(upn('b'))).toBeDefined();
    expect(site.store.retryCount).toBe(0);
  });

  it('tries the newest of whom the domain refuses, never what came before it', async () => {
    await site.provision(['a']);
    const [first, second] = [site.seal(KEYS), site.seal(OTHER_KEYS)];
    await site.send('a', '2026-05-01T00:00:00Z', first);
    site.domain.refused.set(upn('a'), { code: 'ldb', message: 'Constraint violation' });
    const synchronizer = await site.run();
    await once(synchronizer);
    await site.send('a', '2026-05-02T00:00:00Z', second);
    site.domain.refused.clear();
    await once(synchronizer);
    site.now += 3_600_000;
    await synchronizer.retry(signal);
    expectPassword('a', second, OTHER_KEYS);
    expect(site.domain.byUpn(upn('a'))).toMatchObject({ writes: 1 });
  });

  it('begins anew where the cookie is worth nothing, and deletes whom the tenant does not have any more', async () => {
    await site.provision(['a', 'b', 'c', 'd', 'e']);
    await once(await site.run());
    await site.service.disable(ADMIN);
    await expect(once(await site.run())).rejects.toMatchObject({
      code: 'feed-disabled',
      message: expect.stringContaining('Domain Services is not enabled in the tenant'),
    });
    await site.remove('a', 'b');
    await site.service.enable({}, ADMIN);
    expect(await once(await site.run())).toMatchObject({ unchanged: 3, deleted: 2 });
    expect([...site.domain.accounts.values()].map((each) => each.upn).sort()).toEqual(['c', 'd', 'e'].map(upn));
  });

  it('deletes nobody where so many are gone at once that it must be a mistake, until it is allowed to', async () => {
    await site.provision(['a', 'b', 'c', 'd', 'e']);
    await once(await site.run());
    await site.service.disable(ADMIN);
    await site.remove('a', 'b', 'c');
    await site.service.enable({}, ADMIN);
    const synchronizer = await site.run();
    expect(await once(synchronizer)).toMatchObject({ deleted: 0 });
    expect(synchronizer.heldDeletions).toEqual({ gone: 3, all: 5 });
    expect(site.events('deletions-held')).toHaveLength(1);
    await site.provision(['f']);
    expect(await once(synchronizer)).toMatchObject({ created: 1, deleted: 0 });
    expect(site.events('deletions-held')).toHaveLength(1);
    expect(await once(await site.run(), { allowDeletions: true })).toMatchObject({ deleted: 3 });
    expect([...site.domain.accounts.values()].map((each) => each.upn).sort()).toEqual(['d', 'e', 'f'].map(upn));
    site.deletionThreshold = 0;
    await site.service.disable(ADMIN);
    await site.remove('d');
    await site.service.enable({}, ADMIN);
    expect(await once(await site.run())).toMatchObject({ deleted: 0 });
  });

  it('deletes nobody who comes back while all is read', async () => {
    await site.provision(['a', 'b', 'c', 'd']);
    await once(await site.run());
    await site.service.disable(ADMIN);
    await site.remove('a');
    await site.service.enable({}, ADMIN);
    site.domain.meanwhile = () => site.provision(['a']);
    expect(await once(await site.run())).toMatchObject({ deleted: 0, created: 0 });
    expect(site.domain.accounts.size).toBe(4);
    expect(site.events('all-read')).toHaveLength(2);
  });

  it('holds nothing back any more once those who were gone are back in the tenant', async () => {
    const all = ['a', 'b', 'c', 'd'];
    await site.provision(all);
    const synchronizer = await site.run();
    await once(synchronizer);
    await site.service.disable(ADMIN);
    await site.remove('a', 'b', 'c');
    await site.service.enable({}, ADMIN);
    await once(synchronizer);
    expect(synchronizer.heldDeletions).toEqual({ gone: 3, all: 4 });
    // The others may be on their way.
    await site.provision(['a', 'b']);
    await once(synchronizer);
    expect(synchronizer.heldDeletions).toEqual({ gone: 3, all: 4 });
    await site.provision(['c']);
    await once(synchronizer);
    expect(synchronizer.heldDeletions).toBeUndefined();
    expect(site.events('all-read')).toHaveLength(2);
    expect([...site.domain.accounts.values()].map((each) => each.upn).sort()).toEqual(all.map(upn));
  });

  it('writes all anew into a domain that was put back from a backup, and says so', async () => {
    await site.provision(['a', 'b']);
    const a = site.seal(KEYS);
    await once(await site.run());
    const backup = structuredClone(site.domain.accounts);
    await site.send('a', '2026-05-01T00:00:00Z', a);
    await once(await site.run());
    site.domain.accounts = backup;
    site.domain.invocationId = 'second life';
    expect(await once(await site.run())).toMatchObject({ unchanged: 2, passwordsWritten: 1 });
    expectPassword('a', a, KEYS);
    expect(site.events('domain-changed')).toHaveLength(1);
  });

  it('finds out that the domain was put back from a backup where the tenant has nothing new', async () => {
    await site.provision(['a']);
    const synchronizer = await site.run();
    await once(synchronizer);
    const backup = structuredClone(site.domain.accounts);
    const a = site.seal(KEYS);
    await site.send('a', '2026-05-01T00:00:00Z', a);
    await once(synchronizer);
    site.domain.accounts = backup;
    site.domain.invocationId = 'second life';
    site.domain.failures.push({ at: 'before', code: 'database-replaced' });
    await expect(once(synchronizer)).rejects.toMatchObject({ code: 'managed-domain-database-replaced' });
    expect(await once(synchronizer)).toMatchObject({ passwordsWritten: 1 });
    expectPassword('a', a, KEYS);
  });

  it('leaves a later password of the domain, and tells of it', async () => {
    await site.provision(['a']);
    const [old, later] = [site.seal(KEYS), site.seal(OTHER_KEYS)];
    await site.send('a', '2026-05-01T00:00:00Z', old);
    await once(await site.run());
    // What a tenant that was put back from a backup knows no more.
    const { ntHash } = later;
    Object.assign(site.domain.byUpn(upn('a'))!, { ntHash, changedAt: site.domain.byUpn(upn('a'))!.changedAt + 1n });
    expect(await once(await site.run(), { full: true })).toMatchObject({ passwordsOlder: 1, passwordsWritten: 0 });
    expect(site.domain.byUpn(upn('a'))).toMatchObject({ ntHash });
    expect(site.events('older-password')).toHaveLength(1);
  });

  it('refuses a domain that the tenant does not mean', async () => {
    await site.service.disable(ADMIN);
    await site.service.enable({ domainName: 'elsewhere.test' }, ADMIN);
    await site.provision(['a']);
    await expect(once(await site.run())).rejects.toMatchObject({
      code: 'domain-services-wrong-domain',
      message: expect.stringMatching(`elsewhere\\.test, and this is a domain controller of ${DOMAIN}`),
    });
    expect(site.domain.accounts.size).toBe(0);
  });

  it('keeps neither secrets nor sealed ones on disk or in the log, ids and reasons alone', async () => {
    await site.provision(['a', 'b', 'c']);
    const [a, b, c] = [site.seal(KEYS), site.seal(KEYS), site.seal(KEYS)];
    b.legacy[340]! ^= 1;
    await site.send('c', '2026-05-01T00:00:00Z', c);
    await site.send('a', '2026-05-01T00:00:00Z', a);
    await site.send('b', '2026-05-01T00:00:00Z', b);
    site.domain.refused.set(upn('a'), { code: 'ldb', message: 'Constraint violation' });
    await once(await site.run());
    expect(site.store.retryCount).toBe(2);
    expect(site.events('password-written')).toHaveLength(1);
    const files = readdirSync(site.stateDir).map((name) => readFileSync(join(site.stateDir, name)) as Uint8Array);
    const everything = Buffer.concat([...files, Buffer.from(site.log.join(''))]);
    const needles: Uint8Array[] = [
      Buffer.from(a.ntHash, 'hex'),
      Buffer.from(a.ntHash),
      Buffer.from(c.ntHash, 'hex'),
      Buffer.from(c.ntHash),
      Buffer.from(KEYS.subarray(200, 232)),
    ];
    for (const blob of [a.legacy, a.supplemental!, b.legacy, c.legacy, c.supplemental!]) {
      needles.push(blob.subarray(330, 350), Buffer.from(blob.toString('base64').slice(400, 440)));
    }
    for (const needle of needles) expect(everything.includes(Buffer.from(needle))).toBe(false);
    // The search itself finds.
    expect(everything.includes(Buffer.from('Constraint violation'))).toBe(true);
  });

  it('lets one program alone use a state', async () => {
    await site.run();
    const { openStateStore } = await import('#src/domain-services/state/store.js');
    expect(() => openStateStore(site.stateDir)).toThrow(/another phsync domain-services uses/);
  });
});
