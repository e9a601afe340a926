/** What needs a directory that forgets, a second one, or a clock of one's own: with lab directories against a real tenant. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DELETIONS_KEPT_MS } from '#src/agent/begin-cycle.js';
import { systemClock } from '#src/agent/clock.js';
import { RESTORED_AFTER_MS } from '#src/agent/decide-password.js';
import type { TenantClient } from '#src/agent/link.js';
import type { DirectoryObject, DirectoryPage, DirectorySource } from '#src/agent/source.js';
import { type LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { stagingClient } from '#src/agent/staging.js';
import { Outcome } from '#src/agent/state/rows.js';
import { openStateStore } from '#src/agent/state/store.js';
import { sourceAnchorOf } from '#src/agent/user-properties.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { altered, connector, TestClock, TestSite } from './site.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

/** A directory with its objects changed on their way, or (undefined) left out as if they had never been. */
function seenThrough(
  lab: LabDirectory,
  change: (object: DirectoryObject) => DirectoryObject | undefined,
  pageSize?: number,
): DirectorySource {
  const source = new LabSource(lab, pageSize);
  const changed = (page: DirectoryPage): DirectoryPage => ({
    ...page,
    objects: page.objects.map(change).filter((object) => object !== undefined),
  });
  return {
    kind: source.kind,
    description: source.description,
    domain: source.domain,
    object: async (reference) => changed(await source.object(reference)),
    close: () => source.close(),
    async *pages(cookie, signal) {
      for await (const page of source.pages(cookie, signal)) yield changed(page);
    },
  };
}

const never = new AbortController().signal;
const DAY = 24 * 3_600_000;

describe('an agent that was off for longer than domain controllers remember deletions', () => {
  test('finds who is gone, and leaves alone whom a pass merely did not show', async () => {
    const lab = site.lab();
    const clock = new TestClock();
    const [gone, unseen, stays] = [lab.userIndex(3), lab.userIndex(4), lab.userIndex(5)];
    const openSource = async () => {
      const source = seenThrough(lab, (object) => (object.guid === lab.guidOf(gone) ? undefined : object));
      const pages = seenThrough(lab, ({ guid, ...rest }) =>
        guid === lab.guidOf(gone) || guid === lab.guidOf(unseen) ? undefined : { guid, ...rest },
      );
      return { ...source, pages: pages.pages.bind(pages) };
    };
    await site.sync(site.agent(lab, { clock }));
    clock.time += DELETIONS_KEPT_MS - DAY;
    expect(await site.sync(site.agent(lab, { clock, openSource }))).toMatchObject({ seen: 0, deleted: 0 });
    clock.time += DELETIONS_KEPT_MS + DAY;
    const report = await site.sync(site.agent(lab, { clock, openSource }));
    expect(report).toMatchObject({ seen: lab.objects - 2, deleted: 1, created: 0, credentialsSent: 0, failed: 0 });
    expect(await site.password(lab, gone)).toBe('unknown user');
    expect(await site.password(lab, unseen)).toBe('right');
    expect(await site.password(lab, stays)).toBe('right');
    expect(await site.sync(site.agent(lab, { clock, openSource }))).toMatchObject({ seen: 0 });
  });

  test('does so also where the pass is cut off, without beginning anew', async () => {
    const lab = site.lab({ users: 1000 });
    const clock = new TestClock();
    const gone = lab.guidOf(lab.userIndex(0));
    await site.sync(site.agent(lab, { clock }));
    clock.time += DELETIONS_KEPT_MS + DAY;
    let pages = 0;
    const openSource = (most: number) => async () =>
      seenThrough(
        lab,
        (object) => {
          if (object.guid === lab.guidOf(lab.userIndex(500)) && pages++ === most)
            throw new PhsyncError('dc-gone', 'gone');
          return object.guid === gone ? undefined : object;
        },
        100,
      );
    const broken = await site.try(site.agent(lab, { clock, openSource: openSource(0) }));
    expect(broken).toMatchObject({ error: { code: 'dc-gone' }, deleted: 0 });
    expect(broken.pages).toBeGreaterThan(2);
    clock.time += 120_000;
    const report = await site.sync(site.agent(lab, { clock, openSource: openSource(-1) }));
    expect(report.pages).toBe(11 - broken.pages);
    expect(report.deleted).toBe(1);
  });
});

describe('--full', () => {
  test('that is cut off is gone on with as such by the next cycle', async () => {
    const lab = site.lab({ users: 1000 });
    await site.sync(site.agent(lab));
    let calls = 0;
    const client = altered(site.client, {
      provisionCredentials: (items) =>
        ++calls === 4
          ? Promise.reject(new PhsyncError('provisioning-unreachable', 'the line broke'))
          : site.client.provisionCredentials(items),
    });
    const broken = await site.try(site.agent(lab, { client, pageSize: 100 }), true);
    expect(broken.error?.code).toBe('provisioning-unreachable');
    site.closeStore();
    expect(site.store.connector('lab').full).toBe(true);
    const rest = await site.sync(site.agent(lab, { pageSize: 100 }));
    expect(rest.pages).toBe(11 - broken.pages);
    expect(rest.credentialsSent + broken.credentialsSent).toBe(1000);
    expect(site.store.connector('lab').full).toBe(false);
    expect(await site.sync(site.agent(lab))).toMatchObject({ seen: 0 });
  });
});

describe('one user in two directories', () => {
  /** Both have `index`, and nobody else; the new one's account has the old one's objectGUID as its anchor. */
  function migration() {
    const [before, after] = [site.lab({ users: 10, seed: 1 }), site.lab({ users: 10, seed: 2 })];
    const index = before.userIndex(1);
    const anchor = before.guidBytesOf(index);
    const moved = { disabled: false };
    const names = { userPrincipalName: before.userPrincipalNameOf(index) };
    const openSource = async ({ name }: { readonly name: string }) => {
      const lab = name === 'old' ? before : after;
      return seenThrough(lab, (object) => {
        if (object.guid !== lab.guidOf(index)) return undefined;
        if (object.objectClass === undefined) return object;
        if (name === 'old') return { ...object, userAccountControl: moved.disabled ? 0x202 : 0x200 };
        return { ...object, ...names, consistencyGuid: anchor };
      });
    };
    const both = [connector({ name: 'old' }), connector({ name: 'new' })];
    const cycle = async (connectors = both, client: TenantClient = site.client) => {
      const agent = site.agent(before, { connectors, client, openSource });
      const reports = await agent.cycle({ signal: never });
      for (const { error } of reports) if (error !== undefined) throw new Error(error.message);
      return Object.fromEntries(reports.map((report) => [report.connector, report]));
    };
    const user = () => site.tenant.store.findSignInUser(names.userPrincipalName);
    const has = async (lab: LabDirectory) => {
      const { credential } = (await user())!;
      return site.hasher.verify(credential!, lab.passwordOf(index));
    };
    return { before, after, index, anchor, moved, cycle, user, has };
  }

  test('is one user, whom the first cannot delete while the second holds it, and the other way round', async () => {
    const { before, after, index, anchor, cycle, user, has } = migration();
    await cycle([connector({ name: 'old' }), connector({ name: 'new', enabled: false })]);
    const { objectId } = (await user())!;
    await cycle();
    expect(await site.tenant.store.counts()).toMatchObject({ users: 1 });
    expect((await user())?.objectId).toBe(objectId);
    expect(site.store.connector('new').find(after.guidBytesOf(index))?.sourceAnchor).toEqual(Buffer.from(anchor));

    before.change('delete', index);
    const { old } = await cycle();
    expect(old).toMatchObject({ deleted: 0, failed: 0 });
    expect((await user())?.objectId).toBe(objectId);
    // The second is asked at once, or at its next cycle.
    await cycle();
    expect(await has(after)).toBe(true);
    after.changePassword(index);
    await cycle();
    expect(await has(after)).toBe(true);
    after.change('delete', index);
    expect((await cycle()).new).toMatchObject({ deleted: 1 });
    expect(await user()).toBeUndefined();
  });

  test('does not fall between the two: what one tells late overtakes nothing of the other', async () => {
    const { before, after, index, cycle, has } = migration();
    await cycle([connector({ name: 'old' }), connector({ name: 'new', enabled: false })]);
    before.change('delete', index);
    const client = altered(site.client, {
      async provisionAzureADSyncObjects(objects) {
        // The new account's Add has time enough to come first.
        if (objects.some(({ syncOperation }) => syncOperation === 'Delete')) await systemClock.sleep(500, never);
        return site.client.provisionAzureADSyncObjects(objects);
      },
    });
    await cycle(undefined, client);
    expect(await has(after)).toBe(true);
  });

  test('has the newer of both passwords, in whatever order they come', async () => {
    const { before, after, index, cycle, has } = migration();
    const time = Date.now();
    const at = (lab: LabDirectory, ms: number) => lab.journal.add({ kind: 'password', index, at: time + ms });
    at(before, 5000);
    at(after, 1000);
    await cycle();
    expect(await has(before)).toBe(true);
    at(after, 9000);
    await cycle();
    expect(await has(after)).toBe(true);
    at(before, 7000);
    await cycle();
    expect(await has(after)).toBe(true);
  });

  test('is enabled where one of its accounts is, and goes back to the disabled one when that is all that is left', async () => {
    const { before, after, index, moved, cycle, user } = migration();
    await cycle();
    moved.disabled = true;
    before.change('disable', index);
    await cycle();
    expect((await user())?.accountEnabled).toBe(true);
    const state = site.store.connector('old');
    expect(state.find(before.guidBytesOf(index))?.outcome).toBe(Outcome.heldElsewhere);
    after.change('delete', index);
    await cycle();
    await cycle();
    expect((await user())?.accountEnabled).toBe(false);
  });
});

describe('a domain controller that shows an older version with a later time', () => {
  test('is asked again, and believed when that stands for hours: the directory was restored', async () => {
    const lab = site.lab({ users: 10 });
    const index = lab.userIndex(2);
    const clock = new TestClock();
    const changed = new Date(Math.floor(clock.time / 1000) * 1000);
    let version = 3;
    const openSource = async () =>
      seenThrough(lab, (object) =>
        object.guid === lab.guidOf(index) && object.unicodePwd !== undefined
          ? { ...object, passwordVersion: version, passwordChanged: version === 3 ? new Date(+changed - DAY) : changed }
          : object,
      );
    await site.sync(site.agent(lab, { clock, openSource }));
    lab.changePassword(index);
    version = 2;
    const agent = site.agent(lab, { clock, openSource });
    expect(await site.sync(agent)).toMatchObject({ credentialsSent: 0, failed: 1, retryQueue: 1 });
    expect(site.store.connector('lab').retryQueue.list(1)[0]?.code).toBe('password-order');
    expect(await site.password(lab, index)).toBe('wrong');
    clock.time += RESTORED_AFTER_MS;
    expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1, retryQueue: 0 });
    expect(await site.password(lab, index)).toBe('right');
  });
});

describe('staging mode', () => {
  test('has a state beside the real one, and tells the tenant nothing', async () => {
    const lab = site.lab();
    await site.sync(site.agent(lab));
    lab.changePassword(lab.userIndex(1));
    site.closeStore();
    const before = await site.tenant.store.counts();
    const store = openStateStore(site.stateDir, { staging: true });
    try {
      const sent = () => Promise.reject(new Error('staging mode told the tenant something'));
      const client = stagingClient(
        altered(site.client, { provisionAzureADSyncObjects: sent, provisionCredentials: sent }),
      );
      const agent = site.agent(lab, { store, client, staging: true });
      expect(await site.sync(agent)).toMatchObject({ staging: true, created: 600, credentialsSent: 600 });
      expect(await site.sync(agent)).toMatchObject({ staging: true, seen: 0 });
    } finally {
      store.close();
    }
    expect(await site.tenant.store.counts()).toEqual(before);
    expect(await site.sync(site.agent(lab))).toMatchObject({ staging: false, seen: 1, credentialsSent: 1, created: 0 });
    expect(await site.wrongUsers(lab)).toEqual([]);
  });
});

test('whom the tenant never had does not count as deleted', async () => {
  const lab = site.lab({ users: 10 });
  const client = altered(site.client, {
    provisionAzureADSyncObjects: () => Promise.reject(new PhsyncError('provisioning-unreachable', 'the line broke')),
  });
  expect((await site.try(site.agent(lab, { client }))).error?.code).toBe('provisioning-unreachable');
  lab.change('delete', lab.userIndex(1));
  const sent: (string | undefined)[] = [];
  const watching = altered(site.client, {
    provisionAzureADSyncObjects: (objects) => {
      for (const { syncOperation, propertyValues } of objects) {
        if (syncOperation === 'Delete') sent.push(propertyValues.get('SourceAnchor') as string);
      }
      return site.client.provisionAzureADSyncObjects(objects);
    },
  });
  const report = await site.sync(site.agent(lab, { client: watching }));
  expect(sent).toContain(sourceAnchorOf(lab.guidBytesOf(lab.userIndex(1))));
  expect(report.deleted).toBe(0);
});
