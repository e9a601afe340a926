import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CycleReport } from '#src/agent/agent.js';
import { REPLICATED_AFTER_MS } from '#src/agent/decide-password.js';
import type { DirectoryPage, DirectorySource } from '#src/agent/source.js';
import { type LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { Outcome } from '#src/agent/state/rows.js';
import { sourceAnchorOf } from '#src/agent/user-properties.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { setFeatures } from '../tenant/features.js';
import { altered, connector, TestClock, TestSite } from './site.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

/** The first special object of the kind. */
const special = (lab: LabDirectory, kind: Parameters<LabDirectory['indexesOf']>[0]) =>
  lab.indexesOf(kind).next().value as number;
const anchorOf = (lab: LabDirectory, index: number) => sourceAnchorOf(lab.guidBytesOf(index));

/** What became of all objects in scope, one by one. */
const accounted = ({ credentialsSent, filtered, noPassword, skipped, failed }: CycleReport) =>
  credentialsSent + filtered + noPassword + skipped + failed;

/** A source that changes pages on their way. */
function through(source: DirectorySource, change: (page: DirectoryPage) => DirectoryPage): DirectorySource {
  return {
    kind: source.kind,
    description: source.description,
    domain: source.domain,
    object: (reference) => source.object(reference),
    close: () => source.close(),
    async *pages(cookie, signal) {
      for await (const page of source.pages(cookie, signal)) yield change(page);
    },
  };
}

describe('a first synchronization', () => {
  test('makes the users in scope and no others, with their passwords', async () => {
    const lab = site.lab({ users: 3100 });
    const report = await site.sync(site.agent(lab));
    // 13 special objects: three of the system's, one of each other kind, a second inetOrgPerson.
    expect(lab.objects).toBe(3113);
    expect(report).toMatchObject({
      connector: 'lab',
      directory: 'simulated lab directory, 3,100 users',
      pages: 4,
      seen: 3113,
      inScope: 3103,
      created: 3103,
      credentialsSent: 3101,
      filtered: 1,
      noPassword: 1,
      skipped: 0,
      failed: 0,
      deleted: 0,
      retryQueue: 0,
    });
    expect(accounted(report)).toBe(report.inScope);
    expect(await site.tenant.store.counts()).toEqual({ users: 3103, deleted: 0, credentials: 3101 });
    expect(await site.wrongUsers(lab)).toEqual([]);
    expect(await site.password(lab, special(lab, 'disabled'))).toBe('right');
    expect(await site.password(lab, special(lab, 'mustChange'))).toBe('none');
    expect(await site.password(lab, special(lab, 'noPassword'))).toBe('none');
    for (const kind of [
      'administrator',
      'guest',
      'krbtgt',
      'inetOrgPerson',
      'computer',
      'tombstone',
      'contact',
      'group',
      'syncAccount',
    ] as const) {
      expect(await site.password(lab, special(lab, kind)), kind).toBe('unknown user');
    }
    const disabled = await site.tenant.store.findSignInUser(lab.userPrincipalNameOf(special(lab, 'disabled')));
    expect(disabled?.accountEnabled).toBe(false);
    expect(Object.fromEntries(site.store.connector('lab').outcomes())).toEqual({
      [Outcome.success]: 3101,
      [Outcome.filteredByTarget]: 1,
      [Outcome.noPassword]: 1,
    });
  });

  test('in batches of fifty where the tenant announces nothing else', async () => {
    const lab = site.lab({ users: 620 });
    const sizes: number[] = [];
    const client = altered(site.client, {
      getCompanyConfiguration: async (options) => ({
        ...(await site.client.getCompanyConfiguration(options)),
        limits: undefined,
      }),
      provisionCredentials: (items) => {
        sizes.push(items.length);
        return site.client.provisionCredentials(items);
      },
    });
    await site.sync(site.agent(lab, { client }));
    expect(Math.max(...sizes)).toBe(50);
    expect(sizes.reduce((a, b) => a + b)).toBe(620);
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('leaves neither NT hash nor password nor agent secret in state or log', async () => {
    const lab = site.lab();
    await site.sync(site.agent(lab));
    site.closeStore();
    const traces = Array.from({ length: lab.users }, (_, n) => {
      const password = lab.passwordOf(lab.userIndex(n));
      const ntHash = Buffer.from(site.hasher.ntHash(password));
      return [ntHash.toString('latin1'), ntHash.toString('hex'), password];
    }).flat();
    traces.push('the-agent-secret-of-the-tests');
    const files = readdirSync(site.stateDir).map((name) => readFileSync(join(site.stateDir, name), 'latin1'));
    expect(files.join('').length).toBeGreaterThan(10_000);
    const log = site.logged.join('');
    expect(log).toContain('cycle done');
    for (const text of [...files, ...files.map((file) => file.toLowerCase()), log]) {
      expect(traces.filter((trace) => text.includes(trace))).toEqual([]);
    }
    // The search finds what is there.
    expect(files.join('')).toContain(Buffer.from(lab.guidBytesOf(lab.userIndex(7))).toString('latin1'));
  });
});

describe('a later cycle', () => {
  test('without changes sends nothing', async () => {
    const agent = site.agent(site.lab());
    await site.sync(agent);
    expect(await site.sync(agent)).toMatchObject({ seen: 0, created: 0, updated: 0, credentialsSent: 0, deleted: 0 });
  });

  test('sends exactly the passwords that changed, and only their credentials', async () => {
    const lab = site.lab();
    const changed = [3, 77, 78, 249, 250, 251, 400, 499, 500, 599].map((n) => lab.userIndex(n));
    await site.sync(site.agent(lab));
    const before = changed.map((index) => lab.passwordOf(index));
    for (const index of changed) lab.changePassword(index);
    lab.changePassword(changed[0]!);
    const sent: (string | undefined)[] = [];
    const client = altered(site.client, {
      provisionCredentials: (items) => {
        sent.push(...items.map(({ sourceAnchor }) => sourceAnchor));
        return site.client.provisionCredentials(items);
      },
      provisionAzureADSyncObjects: () => Promise.reject(new Error('no user changed')),
    });
    const report = await site.sync(site.agent(lab, { client }));
    expect(report).toMatchObject({ seen: 10, credentialsSent: 10, created: 0, updated: 0, failed: 0 });
    expect(sent.sort()).toEqual(changed.map((index) => anchorOf(lab, index)).sort());
    expect(await site.wrongUsers(lab)).toEqual([]);
    for (const [i, index] of changed.entries()) expect(await site.password(lab, index, before[i])).toBe('wrong');
  });

  test('follows passwords that change by the clock, over a restart', async () => {
    const clock = new TestClock();
    const options = { changesPerMinute: 60, now: () => clock.time };
    const lab = site.lab(options);
    await site.sync(site.agent(lab));
    clock.time += 30_000;
    site.closeStore();
    const report = await site.sync(site.agent(site.lab(options)));
    expect(report).toMatchObject({ seen: 30, credentialsSent: 30, created: 0 });
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('an attribute that changes is sent without the password', async () => {
    const lab = site.lab();
    const index = lab.userIndex(5);
    await site.sync(site.agent(lab));
    lab.change('rename', index);
    const report = await site.sync(site.agent(lab));
    expect(report).toMatchObject({ seen: 1, updated: 1, credentialsSent: 0, skipped: 1 });
    const user = await site.tenant.store.findSignInUser(lab.userPrincipalNameOf(index));
    expect(user?.displayName).toMatch(/\*$/);
  });

  test('disables, enables and deletes', async () => {
    const lab = site.lab();
    const index = lab.userIndex(5);
    const agent = site.agent(lab);
    await site.sync(agent);
    const enabled = async () =>
      (await site.tenant.store.findSignInUser(lab.userPrincipalNameOf(index)))?.accountEnabled;
    lab.change('disable', index);
    expect(await site.sync(agent)).toMatchObject({ updated: 1, credentialsSent: 0 });
    expect(await enabled()).toBe(false);
    lab.change('enable', index);
    await site.sync(agent);
    expect(await enabled()).toBe(true);
    lab.change('delete', index);
    expect(await site.sync(agent)).toMatchObject({ deleted: 1, failed: 0 });
    expect(await site.password(lab, index)).toBe('unknown user');
    expect(site.store.connector('lab').find(lab.guidBytesOf(index))).toBeUndefined();
  });

  test('holds a temporary password back until it is changed or released', async () => {
    const lab = site.lab();
    const [changes, released] = [lab.userIndex(1), lab.userIndex(2)];
    const agent = site.agent(lab);
    await site.sync(agent);
    const before = lab.passwordOf(changes);
    lab.change('reset', changes);
    lab.change('reset', released);
    expect(await site.sync(agent)).toMatchObject({ filtered: 2, credentialsSent: 0, failed: 0 });
    expect(await site.password(lab, changes)).toBe('wrong');
    expect(await site.password(lab, changes, before)).toBe('right');
    lab.changePassword(changes);
    expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1 });
    expect(await site.password(lab, changes)).toBe('right');
    lab.change('release', released);
    expect(await site.sync(agent)).toMatchObject({ seen: 1, credentialsSent: 1, filtered: 0 });
    expect(await site.password(lab, released)).toBe('right');
  });

  test('a user who moves out of the included OUs is deleted, and comes back with the password', async () => {
    const lab = site.lab();
    const index = lab.userIndex(5);
    const agent = site.agent(lab, {
      connectors: [connector({ scope: { include: [], exclude: ['OU=Moved,DC=lab,DC=test'] } })],
    });
    await site.sync(agent);
    lab.change('move', index);
    expect(await site.sync(agent)).toMatchObject({ deleted: 1, credentialsSent: 0 });
    expect(await site.password(lab, index)).toBe('unknown user');
    lab.changePassword(index);
    expect(await site.sync(agent)).toMatchObject({ seen: 1, created: 0, credentialsSent: 0 });
    lab.change('move', index);
    expect(await site.sync(agent)).toMatchObject({ created: 1, credentialsSent: 1 });
    expect(await site.password(lab, index)).toBe('right');
  });

  test('under other scope rules looks at everybody again and sends only what differs', async () => {
    const lab = site.lab();
    await site.sync(site.agent(lab));
    const scope = { include: [], exclude: ['OU=Unit 3,OU=Lab,DC=lab,DC=test'] };
    const report = await site.sync(site.agent(lab, { connectors: [connector({ scope })] }));
    expect(report).toMatchObject({ seen: lab.objects, deleted: 60, created: 0, updated: 0, credentialsSent: 0 });
    expect(accounted(report)).toBe(report.inScope);
    const back = await site.sync(site.agent(lab));
    expect(back).toMatchObject({ seen: lab.objects, deleted: 0, created: 60, credentialsSent: 60 });
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('a full one sends everything again', async () => {
    const lab = site.lab();
    const agent = site.agent(lab);
    await site.sync(agent);
    expect(await site.sync(agent, true)).toMatchObject({ seen: 603, created: 0, updated: 600, credentialsSent: 600 });
    expect(await site.sync(agent)).toMatchObject({ seen: 0 });
  });

  test('an object that comes again while it is under way waits, and the newest password stays', async () => {
    const lab = site.lab({ users: 400 });
    const source = new LabSource(lab, 50);
    // Each page also shows the users of the page before, with the next password in every second page.
    async function* doubled(): AsyncGenerator<DirectoryPage> {
      let before: DirectoryPage | undefined;
      for await (const page of source.pages(undefined)) {
        const again: DirectoryPage['objects'][number][] = [];
        for (const { guid } of before?.objects ?? []) {
          const index = lab.indexOfGuid(guid)!;
          if (lab.kindOf(index) === 'user') lab.changePassword(index);
          again.push((await source.object({ guid })).objects[0]!);
        }
        yield { ...page, objects: [...page.objects, ...again] };
        before = page;
      }
    }
    const openSource = async () => ({ ...through(source, (page) => page), pages: () => doubled() });
    const report = await site.sync(site.agent(lab, { openSource }));
    // The last page's users come once.
    expect(report.created).toBe(400);
    expect(report.credentialsSent).toBeGreaterThan(700);
    expect(await site.wrongUsers(lab)).toEqual([]);
  });
});

describe('the retry queue', () => {
  test('takes whom the tenant does not know yet (result 2), and lets them go when it does', async () => {
    const lab = site.lab();
    const late = [lab.userIndex(10), lab.userIndex(300)];
    const anchors = late.map((index) => anchorOf(lab, index));
    let refusing = true;
    const clock = new TestClock();
    const client = altered(site.client, {
      async provisionCredentials(items) {
        const refused = (anchor: string | undefined) => refusing && anchors.includes(anchor ?? '');
        const taken = items.filter(({ sourceAnchor }) => !refused(sourceAnchor));
        const results = taken.length === 0 ? [] : await site.client.provisionCredentials(taken);
        return items.map(({ sourceAnchor, cloudAnchor }) =>
          refused(sourceAnchor)
            ? { cloudAnchor, sourceAnchor, result: 2, extendedErrorInformation: 'not found' }
            : results[taken.findIndex((item) => item.sourceAnchor === sourceAnchor)]!,
        );
      },
    });
    const agent = site.agent(lab, { client, clock });
    const first = await site.sync(agent);
    expect(first).toMatchObject({ credentialsSent: 598, failed: 2, retryQueue: 2 });
    expect(accounted(first)).toBe(first.inScope);
    const state = site.store.connector('lab');
    expect(state.find(lab.guidBytesOf(late[0]!))?.outcome).toBe(Outcome.targetNotExported);
    expect(state.retryQueue.list(10)[0]).toMatchObject({
      attempts: 1,
      reason: expect.stringContaining('result 2: not found'),
    });
    // The first retry is due in the next cycle, the second two minutes after that.
    expect(await site.sync(agent)).toMatchObject({ seen: 0, failed: 2, retryQueue: 2 });
    clock.time += 89_000;
    expect(await site.sync(agent)).toMatchObject({ failed: 0, retryQueue: 2 });
    refusing = false;
    clock.time += 31_000;
    expect(await site.sync(agent)).toMatchObject({ credentialsSent: 2, failed: 0, retryQueue: 0 });
    expect(await site.wrongUsers(lab)).toEqual([]);
    expect(await site.sync(agent)).toMatchObject({ credentialsSent: 0 });
  });

  test('takes users that the tenant refuses; their password goes when they are taken', async () => {
    const lab = site.lab();
    const index = lab.userIndex(20);
    let refusing = true;
    const client = altered(site.client, {
      async provisionAzureADSyncObjects(objects) {
        const results = await site.client.provisionAzureADSyncObjects(
          objects.filter((object) => !refusing || object.propertyValues.get('SourceAnchor') !== anchorOf(lab, index)),
        );
        if (!refusing) return results;
        return objects.map((object) => {
          const sourceAnchor = object.propertyValues.get('SourceAnchor') as string;
          const refused = { resultCode: 'AttributeValueMustBeUnique', resultErrorDescription: 'UPN' };
          return (
            results.find((result) => result.sourceAnchor === sourceAnchor) ?? {
              ...refused,
              cloudAnchor: undefined,
              sourceAnchor,
            }
          );
        });
      },
    });
    const agent = site.agent(lab, { client });
    const first = await site.sync(agent);
    expect(first).toMatchObject({ created: 599, credentialsSent: 599, failed: 1, retryQueue: 1 });
    expect(accounted(first)).toBe(first.inScope);
    expect(site.store.connector('lab').retryQueue.list(1)[0]!.reason).toContain('AttributeValueMustBeUnique: UPN');
    expect(await site.password(lab, index)).toBe('unknown user');
    refusing = false;
    expect(await site.sync(agent)).toMatchObject({ created: 1, credentialsSent: 1, retryQueue: 0 });
    expect(await site.password(lab, index)).toBe('right');
  });

  test('takes envelopes that do not open, alone, and reads the object again', async () => {
    const lab = site.lab();
    const bad = lab.userIndex(33);
    let corrupt = true;
    const openSource = async () =>
      through(new LabSource(lab), (page) => ({
        ...page,
        objects: page.objects.map((object) => {
          if (!corrupt || object.guid !== lab.guidOf(bad)) return object;
          const unicodePwd = Uint8Array.from(object.unicodePwd!);
          unicodePwd[30]! ^= 1;
          return { ...object, unicodePwd };
        }),
      }));
    const agent = site.agent(lab, { openSource });
    expect(await site.sync(agent)).toMatchObject({ created: 600, credentialsSent: 599, failed: 1, retryQueue: 1 });
    expect(site.store.connector('lab').retryQueue.list(1)[0]!.reason).toContain('CRC-32');
    corrupt = false;
    expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1, retryQueue: 0 });
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('forgets whom the directory has deleted meanwhile, and deletes them in the tenant', async () => {
    const lab = site.lab();
    const index = lab.userIndex(40);
    const agent = site.agent(lab);
    await site.sync(agent);
    const state = site.store.connector('lab');
    state.retryQueue.put(
      lab.guidBytesOf(index),
      { reason: 'put there by hand', code: 'test', lasting: false },
      Date.now() - 1,
    );
    lab.change('delete', index);
    const openSource = async (): Promise<DirectorySource> => ({
      ...through(new LabSource(lab), (page) => ({ ...page, objects: [] })),
      // As a DC answers whose tombstone is gone for good.
      object: async () => ({ objects: [], sessionKeys: [], cookie: new Uint8Array(0), more: false, total: undefined }),
    });
    // It may be one that lags behind, until it says so for hours.
    const clock = new TestClock();
    const waits = await site.sync(site.agent(lab, { openSource, clock }));
    expect(waits).toMatchObject({ deleted: 0, failed: 1, retryQueue: 1 });
    expect(await site.password(lab, index)).toBe('right');
    clock.time += REPLICATED_AFTER_MS;
    const report = await site.sync(site.agent(lab, { openSource, clock }));
    expect(report).toMatchObject({ deleted: 1, failed: 0, retryQueue: 0 });
    expect(await site.password(lab, index)).toBe('unknown user');
  });
});

describe('a cycle that cannot end', () => {
  test('is refused where the feature is off in the tenant', async () => {
    const lab = site.lab();
    const features = await site.tenant.store.dirSyncFeatures();
    await setFeatures(site.tenant.store, features & ~DirSyncFeature.PasswordHashSync);
    await expect(site.sync(site.agent(lab))).rejects.toMatchObject({ code: 'tenant-feature-off' });
    expect(await site.tenant.store.counts()).toMatchObject({ users: 0, credentials: 0 });
    await setFeatures(site.tenant.store, features);
    expect(await site.sync(site.agent(lab))).toMatchObject({ credentialsSent: 600 });
  });

  test.each([
    ['provisionAzureADSyncObjects', 3],
    ['provisionCredentials', 3],
    ['provisionCredentials', 1],
  ] as const)('the wire fails in call %s number %d: the next one goes on from the cookie', async (call, number) => {
    const lab = site.lab({ users: 1000 });
    let calls = 0;
    const client = altered(site.client, {
      [call]: (items: never) => {
        if (++calls === number) {
          return Promise.reject(new PhsyncError('provisioning-unreachable', 'the line to the tenant broke'));
        }
        return site.client[call](items);
      },
    });
    const broken = await site.try(site.agent(lab, { client, pageSize: 100 }));
    expect(broken.error).toEqual({ code: 'provisioning-unreachable', message: 'the line to the tenant broke' });
    expect(broken.pages).toBe(number - 1);
    const next = await site.sync(site.agent(lab, { pageSize: 100 }));
    expect(next.pages).toBe(11 - broken.pages);
    expect(broken.seen + next.seen).toBe(lab.objects);
    expect(await site.wrongUsers(lab)).toEqual([]);
    expect(await site.sync(site.agent(lab))).toMatchObject({ seen: 0 });
  });

  test('the directory fails in the middle: what was settled stays settled', async () => {
    const lab = site.lab({ users: 1000 });
    let pages = 0;
    const openSource = async () =>
      through(new LabSource(lab, 100), (page) => {
        if (++pages === 6) throw new PhsyncError('dc-connection-lost', 'the DC went away');
        return page;
      });
    const broken = await site.try(site.agent(lab, { openSource }));
    expect(broken).toMatchObject({ pages: 5, error: { code: 'dc-connection-lost' } });
    const next = await site.sync(site.agent(lab, { pageSize: 100 }));
    expect(next.pages).toBe(6);
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test("one connector's failure stops no other", async () => {
    const lab = site.lab();
    const agent = site.agent(lab, {
      connectors: [connector({ name: 'broken' }), connector(), connector({ name: 'off', enabled: false })],
      openSource: async ({ name }) => {
        if (name === 'broken') throw new PhsyncError('dc-unreachable', 'nobody there');
        return new LabSource(lab);
      },
    });
    const reports = await agent.cycle({ signal: new AbortController().signal });
    expect(reports.map(({ connector: name, error }) => [name, error?.code])).toEqual([
      ['broken', 'dc-unreachable'],
      ['lab', undefined],
    ]);
    expect(reports[1]!.credentialsSent).toBe(600);
  });

  test('a stop lets what is under way settle, and the next cycle goes on', async () => {
    // One of the special objects is a disabled account, with a password.
    const lab = site.lab({ users: 2000 });
    const stop = new AbortController();
    const agent = site.agent(lab, { pageSize: 100, onProgress: (_, { pages }) => pages === 3 && stop.abort() });
    const [stopped] = await agent.cycle({ signal: stop.signal });
    expect(stopped!.error).toBeUndefined();
    expect(stopped!.pages).toBeGreaterThanOrEqual(3);
    expect(stopped!.pages).toBeLessThan(12);
    expect(site.store.connector('lab').running).toBe(false);
    const next = await site.sync(site.agent(lab, { pageSize: 100 }));
    expect(next.pages).toBe(21 - stopped!.pages);
    expect(next.credentialsSent + stopped!.credentialsSent).toBe(2001);
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('after a cycle that was cut off, users whom only the tenant knows are deleted when they are gone', async () => {
    const lab = site.lab();
    const index = lab.userIndex(9);
    // Sent, but never recorded: as a process is killed between the tenant's answer and the state's commit.
    const client = altered(site.client, {
      async provisionCredentials(items) {
        await site.client.provisionCredentials(items);
        throw new PhsyncError('provisioning-timeout', 'killed here');
      },
    });
    expect((await site.try(site.agent(lab, { client }))).error?.code).toBe('provisioning-timeout');
    expect(await site.password(lab, index)).toBe('right');
    lab.change('delete', index);
    expect(await site.sync(site.agent(lab))).toMatchObject({ deleted: 1 });
    expect(await site.password(lab, index)).toBe('unknown user');
  });
});
