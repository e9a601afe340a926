import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DirectoryObject, DirectorySource } from '#src/agent/source.js';
import { type LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { CredentialResult } from '#src/provisioning/types.js';
import { altered, connector, TestClock, TestSite } from './site.js';

// What goes wrong at a bad moment, and must not cost a password, an order or the next cycle.

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

/** The lab directory with one page of the test's own in place of its changes. */
function showing(lab: LabDirectory, objects: readonly DirectoryObject[]): () => Promise<DirectorySource> {
  return async () => {
    const source = new LabSource(lab);
    return {
      kind: source.kind,
      description: source.description,
      domain: source.domain,
      object: (reference) => source.object(reference),
      close: () => source.close(),
      async *pages(cookie) {
        const { sessionKeys } = await source.object({ guid: lab.guidOf(0) });
        yield { objects, sessionKeys, cookie: cookie!, more: false, total: undefined };
      },
    };
  };
}

const whole = async (lab: LabDirectory, index: number) =>
  (await new LabSource(lab).object({ guid: lab.guidOf(index) })).objects[0]!;

/** The object as a page shows it of which nothing changed but what is given. */
async function changeOf(lab: LabDirectory, index: number, changed: Partial<DirectoryObject>): Promise<DirectoryObject> {
  const { guid, dn, sid, rid } = await whole(lab, index);
  const nothing = Object.fromEntries(Object.keys(await whole(lab, index)).map((name) => [name, undefined]));
  return { ...(nothing as unknown as DirectoryObject), guid, dn, sid, rid, deleted: false, ...changed };
}

/** The client of a tenant that fails on every credential alone while `failing()`. */
const temporarilyFailing = (failing: () => boolean) =>
  altered(site.client, {
    provisionCredentials: async (items) =>
      failing()
        ? items.map(({ cloudAnchor, sourceAnchor }) => ({
            cloudAnchor,
            sourceAnchor,
            result: CredentialResult.temporaryFailure,
            extendedErrorInformation: undefined,
          }))
        : site.client.provisionCredentials(items),
  });

describe('who waits in the retry queue', () => {
  test('stays there when a page shows a change that says nothing of the password', async () => {
    const lab = site.lab({ users: 20 });
    const index = lab.userIndex(5);
    const clock = new TestClock();
    let failing = false;
    const parts = { clock, client: temporarilyFailing(() => failing) };
    await site.sync(site.agent(lab, parts));
    lab.changePassword(index);
    failing = true;
    expect(await site.sync(site.agent(lab, parts))).toMatchObject({ failed: 1, retryQueue: 1 });
    // A second failure, so that the third try is not due yet.
    expect(await site.sync(site.agent(lab, parts))).toMatchObject({ failed: 1, retryQueue: 1 });
    failing = false;
    const page = [await changeOf(lab, index, { accountExpires: 1n })];
    await site.sync(site.agent(lab, { ...parts, openSource: showing(lab, page) }));
    clock.time += 3_600_000;
    await site.sync(site.agent(lab, parts));
    expect(await site.password(lab, index)).toBe('right');
    expect(site.store.connector('lab').retryQueue.size).toBe(0);
  });

  test('of a full synchronization is sent again, changed or not', async () => {
    const lab = site.lab({ users: 20 });
    const index = lab.userIndex(5);
    const clock = new TestClock();
    let failing = false;
    const sent: string[] = [];
    const client = altered(site.client, {
      provisionCredentials: (items) => {
        sent.push(...items.map(({ sourceAnchor }) => sourceAnchor!));
        return temporarilyFailing(() => failing).provisionCredentials(items);
      },
    });
    const parts = { clock, client };
    await site.sync(site.agent(lab, parts));
    failing = true;
    await site.sync(site.agent(lab, parts), true);
    await site.sync(site.agent(lab, parts));
    failing = false;
    sent.length = 0;
    lab.change('rename', index);
    // Nobody is due; the page shows one of those who wait.
    await site.sync(site.agent(lab, parts));
    clock.time += 3_600_000;
    await site.sync(site.agent(lab, parts));
    const each = Array.from({ length: lab.users }, (_, n) => Buffer.from(lab.guidBytesOf(lab.userIndex(n))));
    for (const guid of each) expect(sent).toContain(guid.toString('base64'));
    expect(site.store.connector('lab').retryQueue.size).toBe(0);
  });

  test('is tried when the clock was wrong by years', async () => {
    const lab = site.lab({ users: 20 });
    const clock = new TestClock();
    const now = clock.time;
    let failing = true;
    const parts = { clock, client: temporarilyFailing(() => failing) };
    clock.time = now + 4 * 365 * 86_400_000;
    await site.sync(site.agent(lab, parts));
    await site.sync(site.agent(lab, parts));
    clock.time = now;
    failing = false;
    expect(await site.sync(site.agent(lab, parts))).toMatchObject({ failed: 0, retryQueue: 0 });
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('takes a user to whom the tenant gives no anchor', async () => {
    const lab = site.lab({ users: 20 });
    let silent = true;
    const client = altered(site.client, {
      async provisionAzureADSyncObjects(objects) {
        const results = await site.client.provisionAzureADSyncObjects(objects);
        return silent ? results.map((result) => ({ ...result, cloudAnchor: undefined })) : results;
      },
    });
    const report = await site.sync(site.agent(lab, { client }));
    expect(report.credentialsSent).toBe(0);
    silent = false;
    await site.sync(site.agent(lab, { client }));
    expect(await site.wrongUsers(lab)).toEqual([]);
  });
});

test('an object that the directory refuses to show alone holds up nobody else', async () => {
  const lab = site.lab({ users: 20 });
  const [refused, other] = [lab.userIndex(5), lab.userIndex(6)];
  let refusing = true;
  const openSource = async (): Promise<DirectorySource> => {
    const source = new LabSource(lab);
    return Object.assign(source, {
      object: async (reference: { readonly guid: string }) => {
        if (refusing && reference.guid === lab.guidOf(refused)) {
          throw new PhsyncError('dc-access-denied', 'it exists, but is not replicated to this account');
        }
        return LabSource.prototype.object.call(source, reference);
      },
    });
  };
  const clock = new TestClock();
  const agent = site.agent(lab, { clock, openSource });
  await site.sync(agent);
  // A rename makes the agent read both on their own; then the queue does.
  for (const index of [refused, other]) lab.change('rename', index);
  lab.changePassword(refused);
  expect(await site.sync(agent)).toMatchObject({ updated: 1, failed: 1, retryQueue: 1 });
  lab.changePassword(other);
  expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1, failed: 1, retryQueue: 1 });
  expect(await site.password(lab, other)).toBe('right');
  expect(site.store.connector('lab').retryQueue.list(1)[0]!.reason).toContain('not replicated to this account');
  refusing = false;
  clock.time += 3_600_000;
  expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1, failed: 0, retryQueue: 0 });
  expect(await site.password(lab, refused)).toBe('right');
});

test('a newer password goes, though the clock of its domain controller is behind', async () => {
  let now = Date.now();
  const lab = site.lab({ users: 20, now: () => now });
  const index = lab.userIndex(5);
  await site.sync(site.agent(lab));
  lab.changePassword(index);
  await site.sync(site.agent(lab));
  now -= 290_000;
  lab.changePassword(index);
  await site.sync(site.agent(lab));
  expect(await site.password(lab, index)).toBe('right');
  // And the next, with the clock still behind; and the same again in a full synchronization.
  now += 1000;
  lab.changePassword(index);
  await site.sync(site.agent(lab));
  expect(await site.password(lab, index)).toBe('right');
  expect(await site.sync(site.agent(lab), true)).toMatchObject({ failed: 0 });
  expect(await site.password(lab, index)).toBe('right');
});

describe('a cycle cut off after the tenant took what the state does not know', () => {
  /** As a process is killed between the tenant's answer and the state's commit. */
  const killed = () =>
    altered(site.client, {
      async provisionCredentials(items) {
        await site.client.provisionCredentials(items);
        throw new PhsyncError('provisioning-timeout', 'killed here');
      },
    });

  test('is still made up for when the next one is stopped', async () => {
    const lab = site.lab({ users: 400 });
    const index = lab.userIndex(390);
    expect((await site.try(site.agent(lab, { client: killed() }))).error?.code).toBe('provisioning-timeout');
    expect(await site.password(lab, index)).toBe('right');
    lab.change('delete', index);
    const stop = new AbortController();
    const agent = site.agent(lab, { pageSize: 50, onProgress: () => stop.abort() });
    const [stopped] = await agent.cycle({ signal: stop.signal });
    expect(stopped!.error).toBeUndefined();
    await site.sync(site.agent(lab));
    expect(await site.password(lab, index)).toBe('unknown user');
  });

  test.each(['delete', 'move'] as const)('a user who had come into scope and is gone again (%s)', async (change) => {
    const lab = site.lab({ users: 20 });
    const index = lab.userIndex(5);
    const connectors = [connector({ scope: { include: [], exclude: ['OU=Moved,DC=lab,DC=test'] } })];
    lab.change('move', index);
    await site.sync(site.agent(lab, { connectors }));
    expect(await site.password(lab, index)).toBe('unknown user');
    lab.change('move', index);
    const broken = await site.try(site.agent(lab, { connectors, client: killed() }));
    expect(broken.error?.code).toBe('provisioning-timeout');
    expect(await site.password(lab, index)).toBe('right');
    lab.change(change, index);
    await site.sync(site.agent(lab, { connectors }));
    expect(await site.password(lab, index)).toBe('unknown user');
  });
});

test('an object that comes into scope by its name alone', async () => {
  const lab = site.lab({ users: 20 });
  const index = lab.userIndex(5);
  const object = await whole(lab, index);
  const conflict = { ...object, dn: object.dn.replace(',', `\\0ACNF:${object.guid},`) };
  const service = { ...(await whole(lab, lab.userIndex(6))), sAMAccountName: 'MSOL_0123456789' };
  await site.sync(site.agent(lab, { openSource: showing(lab, [conflict, service]) }));
  expect(await site.tenant.store.counts()).toMatchObject({ users: 0 });
  const renamed = [
    await changeOf(lab, index, {}),
    await changeOf(lab, lab.userIndex(6), { sAMAccountName: lab.sAMAccountNameOf(lab.userIndex(6)) }),
  ];
  await site.sync(site.agent(lab, { openSource: showing(lab, renamed) }));
  expect(await site.password(lab, index)).toBe('right');
  expect(await site.password(lab, lab.userIndex(6))).toBe('right');
});

test('an OU that moves takes along those who lie below, whom replication does not show', async () => {
  const lab = site.lab({ users: 20 });
  const index = lab.userIndex(5);
  const connectors = [connector({ scope: { include: [], exclude: ['OU=Out,DC=lab,DC=test'] } })];
  await site.sync(site.agent(lab, { connectors }));
  const unit = await changeOf(lab, 0, {
    guid: '5f5e4e0c-0000-4000-8000-0000000000aa',
    dn: 'OU=Unit 5,OU=Out,DC=lab,DC=test',
    sid: undefined,
    rid: 0,
    renamed: true,
  });
  const moved = (object: DirectoryObject) =>
    object.guid === lab.guidOf(index) ? { ...object, dn: `CN=Moved,${unit.dn}` } : object;
  const openSource = (page: readonly DirectoryObject[] | undefined) => async (): Promise<DirectorySource> => {
    const source = new LabSource(lab);
    const base = page === undefined ? source : await showing(lab, page)();
    return {
      kind: base.kind,
      description: base.description,
      domain: base.domain,
      close: () => base.close(),
      object: async (reference) =>
        'guid' in reference && reference.guid === unit.guid
          ? { objects: [{ ...unit, objectClass }], sessionKeys: [], cookie: new Uint8Array(0), more: false, total: 1 }
          : source.object(reference),
      async *pages(cookie, signal) {
        for await (const each of base.pages(cookie, signal)) yield { ...each, objects: each.objects.map(moved) };
      },
    };
  };
  // What is no container has nobody below.
  let objectClass = 'contact';
  await site.sync(site.agent(lab, { connectors, openSource: openSource([unit]) }));
  expect(await site.sync(site.agent(lab, { connectors, openSource: openSource(undefined) }))).toMatchObject({
    seen: 0,
  });
  objectClass = 'organizationalUnit';
  await site.sync(site.agent(lab, { connectors, openSource: openSource([unit]) }));
  const next = await site.sync(site.agent(lab, { connectors, openSource: openSource(undefined) }));
  expect(next).toMatchObject({ seen: lab.objects, deleted: 1, created: 0, updated: 0, credentialsSent: 0 });
  expect(await site.password(lab, index)).toBe('unknown user');
  expect(await site.sync(site.agent(lab, { connectors, openSource: openSource(undefined) }))).toMatchObject({
    seen: 0,
  });
});

describe('when a cycle has failed, nothing of it is under way any more', () => {
  /** Calls that are under way, and those that began after `over`. */
  function watched() {
    const seen = { running: 0, late: 0, over: false };
    const slow = async <T>(call: () => Promise<T>): Promise<T> => {
      if (seen.over) seen.late++;
      seen.running++;
      try {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return await call();
      } finally {
        seen.running--;
      }
    };
    return { seen, slow };
  }

  test('of the batches beside the one that failed', async () => {
    const lab = site.lab({ users: 600 });
    const { seen, slow } = watched();
    let calls = 0;
    const client = altered(site.client, {
      getCompanyConfiguration: async (options) => ({
        ...(await site.client.getCompanyConfiguration(options)),
        limits: undefined,
      }),
      provisionAzureADSyncObjects: (objects) =>
        ++calls === 1
          ? Promise.reject(new PhsyncError('provisioning-unreachable', 'the line to the tenant broke'))
          : slow(() => site.client.provisionAzureADSyncObjects(objects)),
    });
    const report = await site.try(site.agent(lab, { client }));
    seen.over = true;
    expect(report.error?.code).toBe('provisioning-unreachable');
    expect(seen.running).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(seen.late).toBe(0);
  });

  test('of the units behind the one that failed', async () => {
    const lab = site.lab({ users: 600 });
    const { seen, slow } = watched();
    let calls = 0;
    const client = altered(site.client, {
      provisionAzureADSyncObjects: (objects) =>
        ++calls === 1
          ? site.client.provisionAzureADSyncObjects(objects)
          : slow(() => site.client.provisionAzureADSyncObjects(objects)),
      provisionCredentials: () =>
        Promise.reject(new PhsyncError('provisioning-unreachable', 'the line to the tenant broke')),
    });
    const report = await site.try(site.agent(lab, { client, pageSize: 100 }));
    seen.over = true;
    expect(report.error?.code).toBe('provisioning-unreachable');
    expect(calls).toBeGreaterThan(1);
    expect(seen.running).toBe(0);
  });

  test('of the other connectors', async () => {
    const lab = site.lab({ users: 600 });
    let done = false;
    const store = site.store;
    const agent = site.agent(lab, {
      connectors: [connector({ name: 'full disk' }), connector()],
      store: {
        checkRoom: () => store.checkRoom(),
        configure: (names: readonly string[]) => store.configure(names),
        connector(name: string) {
          if (name === 'full disk') throw new Error('database or disk is full');
          return store.connector(name);
        },
      } as typeof store,
      openSource: async () => {
        const source = new LabSource(lab);
        return Object.assign(source, {
          async *pages(...position: Parameters<LabSource['pages']>) {
            yield* LabSource.prototype.pages.apply(source, position);
            done = true;
          },
        });
      },
    });
    const cycle = agent.cycle({ signal: new AbortController().signal });
    await expect(cycle).rejects.toThrow('disk is full');
    expect(done).toBe(true);
  });
});
