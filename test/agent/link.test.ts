import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventFields, EventNumber, EventSink } from '#src/agent/events/event.js';
import { Patience } from '#src/agent/patience.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { CredentialResult, DirSyncFeature } from '#src/provisioning/types.js';
import { altered, TestClock, TestSite } from './site.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

class Recorder implements EventSink {
  readonly events: { readonly number: EventNumber; readonly fields: EventFields }[] = [];
  emit(number: EventNumber, fields: EventFields = {}): void {
    this.events.push({ number, fields });
  }
  forUsers(): EventSink {
    return this;
  }
  of(number: EventNumber): EventFields[] {
    return this.events.filter((event) => event.number === number).map(({ fields }) => fields);
  }
}

const patienceOf = (clock: TestClock) => new Patience({ clock, log: site.log, random: () => 0.5 });
const setFeatures = (features: number) => site.client.setCompanyDirsyncFeatures(features);

describe('the tenant’s feature', () => {
  test('switched off stops the sending and says what to do; on again, all that changed goes', async () => {
    const lab = site.lab({ users: 20 });
    await site.sync(site.agent(lab));
    lab.changePassword(lab.userIndex(3));
    await setFeatures(0);
    await expect(site.try(site.agent(lab))).rejects.toMatchObject({
      code: 'tenant-feature-off',
      message: expect.stringMatching(/Enable it in the tenant; what changes until then is not lost/),
    });
    await setFeatures(DirSyncFeature.PasswordHashSync);
    expect(await site.sync(site.agent(lab))).toMatchObject({ credentialsSent: 1 });
  });

  test('is switched on again where that is asked for, and the tenant had it on before; 660 and 661 tell', async () => {
    const lab = site.lab({ users: 20 });
    const events = new Recorder();
    await setFeatures(DirSyncFeature.DuplicateUPNResiliency);
    // Never on for this agent: somebody has yet to decide.
    await expect(site.try(site.agent(lab, { events, healFeature: true }))).rejects.toMatchObject({
      code: 'tenant-feature-off',
    });
    expect(events.events).toEqual([]);
    await setFeatures(DirSyncFeature.PasswordHashSync);
    await site.sync(site.agent(lab));
    await setFeatures(DirSyncFeature.DuplicateUPNResiliency);
    await expect(site.try(site.agent(lab, { events }))).rejects.toMatchObject({ code: 'tenant-feature-off' });
    lab.changePassword(lab.userIndex(3));
    expect(await site.sync(site.agent(lab, { events, healFeature: true }))).toMatchObject({ credentialsSent: 1 });
    expect(events.of(660)).toMatchObject([{ tenantId: site.tenant.tenantId, dirSyncFeatures: 8 }]);
    expect(events.of(661)).toMatchObject([{ enabled: true, dirSyncFeatures: 9 }]);
    expect((await site.client.getCompanyConfiguration()).dirSyncFeatures).toBe(9);
  });

  test('switched off in the middle of a cycle (90) ends it; what was settled stays settled', async () => {
    const lab = site.lab({ users: 600 });
    let calls = 0;
    const client = altered(site.client, {
      async provisionCredentials(items, options) {
        if (++calls === 3) await setFeatures(0);
        return site.client.provisionCredentials(items, options);
      },
    });
    const clock = new TestClock();
    const report = await site.try(site.agent(lab, { client, pageSize: 100, patience: patienceOf(clock), clock }));
    expect(report.error).toMatchObject({
      code: 'provisioning-not-activated',
      message: expect.stringContaining('Enable password hash synchronization in the tenant'),
    });
    expect(calls).toBe(3);
    expect(report.pages).toBe(2);
    await setFeatures(1);
    const next = await site.sync(site.agent(lab));
    expect(report.credentialsSent + next.credentialsSent).toBe(600);
  });
});

test('access that is denied gives event 115, once, with what to do', async () => {
  const lab = site.lab({ users: 600 });
  const events = new Recorder();
  const denied = () =>
    Promise.reject(
      new PhsyncError('provisioning-access-denied', 'the tenant denies it', { facts: { errorCode: 'x' } }),
    );
  const client = altered(site.client, { provisionAzureADSyncObjects: denied });
  const report = await site.try(site.agent(lab, { client, events, pageSize: 50 }));
  expect(report.error?.message).toMatch(/the tenant denies it\. .*give the client of tenant\.auth the right/);
  expect(events.of(115)).toMatchObject([{ code: 'provisioning-access-denied', errorCode: 'x' }]);
});

test('one user whom the tenant chokes on is found, waits alone, and holds up nobody', async () => {
  const lab = site.lab({ users: 600 });
  const poison = Buffer.from(lab.guidBytesOf(lab.userIndex(123))).toString('base64');
  const events = new Recorder();
  const clock = new TestClock();
  const failure = () => {
    throw new PhsyncError('provisioning-fault', 'the service failed on this request', {
      facts: { errorCode: 'InternalError', faultCode: 'Receiver' },
    });
  };
  let choking = true;
  const client = altered(site.client, {
    provisionCredentials: async (items, options) =>
      choking && items.some(({ sourceAnchor }) => sourceAnchor === poison)
        ? failure()
        : site.client.provisionCredentials(items, options),
  });
  const agent = site.agent(lab, { client, events, clock, patience: patienceOf(clock) });
  expect(await site.sync(agent)).toMatchObject({ credentialsSent: 599, failed: 1, retryQueue: 1 });
  const queue = site.store.connector('lab').retryQueue;
  expect(queue.list(1)).toMatchObject([
    { code: 'tenant-fault', reason: expect.stringContaining('the service failed on this request'), attempts: 1 },
  ]);
  expect(events.of(605)).toMatchObject([{ connector: 'lab', anchor: poison, code: 'tenant-fault' }]);
  expect(events.of(650).length).toBe(events.of(651).length + events.of(652).length);
  expect(events.of(652)[0]).toMatchObject({ code: 'provisioning-fault', errorCode: 'InternalError' });
  expect(await site.wrongUsers(lab)).toEqual([lab.userIndex(123)]);
  // The third failure gives it up until something changes, which is told once; then it is tried rarely.
  for (let i = 0; i < 6; i++) {
    clock.time += 3_600_000;
    await site.sync(agent);
  }
  expect(events.of(620)).toMatchObject([{ count: 1, objects: expect.stringContaining('(tenant-fault)') }]);
  expect(queue.list(1)[0]!.attempts).toBe(3);
  // A change of the object is a reason to try at once.
  choking = false;
  lab.changePassword(lab.userIndex(123));
  expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1, retryQueue: 0 });
  expect(events.of(606)).toMatchObject([{ connector: 'lab', anchor: poison }]);
  expect(await site.wrongUsers(lab)).toEqual([]);
});

test('a tenant that is away for an hour: nothing is pulled, nothing is sent twice, nothing is lost', async () => {
  const lab = site.lab({ users: 600 });
  const clock = new TestClock();
  let away = false;
  let opened = 0;
  let credentials = 0;
  const down = () => new PhsyncError('provisioning-unreachable', 'connection refused');
  const client = altered(site.client, {
    getCompanyConfiguration: async (options) => {
      if (away) throw down();
      return site.client.getCompanyConfiguration(options);
    },
    provisionCredentials: async (items, options) => {
      credentials += items.length;
      // In the middle of the first synchronization.
      if (credentials >= 300) away = true;
      if (away) throw down();
      return site.client.provisionCredentials(items, options);
    },
  });
  const agent = site.agent(lab, { client, clock, patience: patienceOf(clock), pageSize: 100 });
  const first = await site.try(agent);
  expect(first.error?.code).toBe('provisioning-unreachable');
  expect(first.credentialsSent).toBeGreaterThan(150);
  expect(first.credentialsSent).toBeLessThan(400);
  const openSource = async () => Promise.reject(new Error(`opened ${++opened}`));
  for (let minute = 0; minute < 60; minute += 2) {
    clock.time += 120_000;
    const cycle = site.agent(lab, { client, clock, patience: patienceOf(clock), openSource });
    await expect(site.try(cycle)).rejects.toMatchObject({ code: 'provisioning-unreachable' });
  }
  expect(opened).toBe(0);
  expect(site.store.connector('lab').retryQueue.size).toBe(0);
  lab.changePassword(lab.userIndex(3));
  lab.changePassword(lab.userIndex(400));
  away = false;
  credentials = Number.NEGATIVE_INFINITY;
  const last = await site.sync(agent);
  // Those who were acknowledged are not sent again, but for the one who changed.
  expect(last.credentialsSent).toBe(600 - first.credentialsSent + 1);
  expect(await site.wrongUsers(lab)).toEqual([]);
});

test('an answer that is lost is asked again, and counts once', async () => {
  const lab = site.lab({ users: 600 });
  const clock = new TestClock();
  const asked = new Set<unknown>();
  const losing =
    <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const result = await work(...args);
      const [batch] = args;
      if (asked.size !== asked.add(batch).size) throw new PhsyncError('provisioning-bad-reply', 'half an answer');
      return result;
    };
  const client = altered(site.client, {
    provisionAzureADSyncObjects: losing((objects, options) =>
      site.client.provisionAzureADSyncObjects(objects, options),
    ),
    provisionCredentials: losing((items, options) => site.client.provisionCredentials(items, options)),
  });
  const agent = site.agent(lab, { client, clock, patience: patienceOf(clock), pageSize: 100 });
  expect(await site.sync(agent)).toMatchObject({ created: 600, credentialsSent: 600, failed: 0 });
  for (let n = 0; n < 50; n++) lab.change('delete', lab.userIndex(n));
  expect(await site.sync(agent)).toMatchObject({ deleted: 50, failed: 0 });
  expect((await site.tenant.store.counts()).users).toBe(550);
});

test('result codes go to the queue as they are, and what passes is tried as often as the clock allows', async () => {
  const lab = site.lab({ users: 20 });
  const clock = new TestClock();
  const codes = [
    CredentialResult.anchorNotFound,
    CredentialResult.invalidCredential,
    CredentialResult.temporaryFailure,
    99,
  ];
  const client = altered(site.client, {
    provisionCredentials: async (items) =>
      items.map(({ cloudAnchor, sourceAnchor }, i) => ({
        cloudAnchor,
        sourceAnchor,
        result: codes[i] ?? 0,
        extendedErrorInformation: i < 4 ? 'so it says' : undefined,
      })),
  });
  await site.sync(site.agent(lab, { client, clock }));
  const rows = site.store.connector('lab').retryQueue.list(10);
  expect(rows.map(({ code }) => code).sort()).toEqual(['tenant-2', 'tenant-4', 'tenant-5', 'tenant-99']);
  expect(rows.every(({ reason }) => reason.includes('so it says'))).toBe(true);
});

test('a request that arrives late undoes no newer password, not even one of the same second', async () => {
  const now = Date.UTC(2026, 10, 22, 7);
  const lab = site.lab({ users: 20, now: () => now });
  const index = lab.userIndex(3);
  await site.sync(site.agent(lab));
  const sent: Parameters<typeof site.client.provisionCredentials>[0][] = [];
  const client = altered(site.client, {
    provisionCredentials: (items, options) => {
      sent.push(items);
      return site.client.provisionCredentials(items, options);
    },
  });
  for (let n = 0; n < 2; n++) {
    lab.changePassword(index);
    expect(await site.sync(site.agent(lab, { client }))).toMatchObject({ credentialsSent: 1 });
  }
  const [older, newer] = sent;
  expect(older![0]!.changeDate.getTime()).toBeLessThan(newer![0]!.changeDate.getTime());
  expect(Math.floor(older![0]!.changeDate.getTime() / 1000)).toBe(Math.floor(newer![0]!.changeDate.getTime() / 1000));
  expect(await site.client.provisionCredentials(older!)).toMatchObject([{ result: CredentialResult.olderChange }]);
  expect(await site.password(lab, index)).toBe('right');
  // The newer one again, as after a lost answer, is taken.
  expect(await site.client.provisionCredentials(newer!)).toMatchObject([{ result: CredentialResult.success }]);
});
