/** Keys for Domain Services in whole cycles: a lab directory, a real tenant, and blobs opened with the private key. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Agent } from '#src/agent/agent.js';
import type { DomainServicesPolicy } from '#src/agent/domain-services/offer.js';
import type { EventFields, EventNumber, EventSink } from '#src/agent/events/event.js';
import type { TenantClient } from '#src/agent/link.js';
import type { DirectoryObject, DirectoryPage, DirectorySource, ReadOptions } from '#src/agent/source.js';
import { type LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { stagingClient } from '#src/agent/staging.js';
import { Outcome } from '#src/agent/state/rows.js';
import { openStateStore } from '#src/agent/state/store.js';
import { sourceAnchorOf } from '#src/agent/user-properties.js';
import { defaultSalt, KerberosKeyType, stringToKey } from '#src/crypto/string-to-key.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { readAdAuthInfo } from '#src/provisioning/ad-auth-info.js';
import type { SyncCredentialsChangeItem } from '#src/provisioning/types.js';
import type { DomainServices } from '#src/tenant/domain-services/service.js';
import { createCertificate, type TestCertificate } from '../../provisioning/certificates.js';
import { openKeys } from '../../provisioning/open-keys.js';
import { ADMIN, serviceOf, storedOf } from '../../tenant/domain-services/site.js';
import { altered, connector, TestSite } from '../site.js';

const USERS = 12;
const HOUR = 3_600_000;

let certificate: TestCertificate;
let other: TestCertificate;
beforeAll(async () => {
  [certificate, other] = await Promise.all([createCertificate(2048), createCertificate(2048)]);
});

let site: TestSite;
let lab: LabDirectory;
let service: DomainServices;
/** By source anchor, the newest that was sent. */
let sent: Map<string, SyncCredentialsChangeItem>;
let events: [EventNumber, EventFields][];
/** What the directory was asked for. */
let asked: boolean[];
let agents: Agent[];

beforeEach(async () => {
  site = await TestSite.start();
  service = serviceOf(site.tenant.store);
  lab = site.lab({ users: USERS });
  sent = new Map();
  events = [];
  asked = [];
  agents = [];
});
afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.close()));
  await site.stop();
});

const off = async (): Promise<void> => void (await service.disable(ADMIN));
const on = async (by: TestCertificate = certificate, ntlm = true): Promise<void> => {
  const syncNtlmPasswords = ntlm ? 'Enabled' : 'Disabled';
  await service.enable({ domainName: 'aadds.lab.test', certificate: by.der, settings: { syncNtlmPasswords } }, ADMIN);
};

const sink: EventSink = {
  emit: (number, fields = {}) => void events.push([number, fields]),
  forUsers: () => undefined,
};

/** The tenant's real client; what it is sent is kept here as well. */
function client(changes: Partial<TenantClient> = {}): TenantClient {
  return altered(site.client, {
    provisionCredentials: async (items, options) => {
      const results = await site.client.provisionCredentials(items, options);
      for (const item of items) sent.set(item.sourceAnchor!, item);
      return results;
    },
    ...changes,
  });
}

type Change = (object: DirectoryObject) => DirectoryObject;

/** The lab's source, which remembers what it was asked for; `change`: of objects in pages, `whole`: read alone. */
function watched(
  change: Change = (object) => object,
  whole: Change = (object) => object,
  pageSize = 1000,
): DirectorySource {
  const source = new LabSource(lab, pageSize);
  const map = (page: DirectoryPage, by: Change) => ({ ...page, objects: page.objects.map(by) });
  const note = ({ supplementalCredentials = false }: ReadOptions = {}) => asked.push(supplementalCredentials);
  return {
    kind: source.kind,
    description: source.description,
    domain: source.domain,
    close: () => source.close(),
    async object(reference, signal, options) {
      note(options);
      return map(await source.object(reference, signal, options), whole);
    },
    async *pages(cookie, signal, options) {
      note(options);
      for await (const page of source.pages(cookie, signal, options)) yield map(page, change);
    },
  };
}

function agent(parts: Parameters<TestSite['agent']>[1] = {}): Agent {
  const made = site.agent(lab, { client: client(), events: sink, openSource: async () => watched(), ...parts });
  agents.push(made);
  return made;
}

const anchorOf = (index: number) => sourceAnchorOf(lab.guidBytesOf(index));
const itemOf = (n: number) => sent.get(anchorOf(lab.userIndex(n)))!;
const told = (number: EventNumber) => events.filter(([each]) => each === number).map(([, fields]) => fields);
const state = () => site.store.connector('lab');
const rowOf = (n: number) => state().find(lab.guidBytesOf(lab.userIndex(n)))!;

/** What a user's blobs must hold. */
function expected(n: number) {
  const index = lab.userIndex(n);
  const password = lab.passwordOf(index);
  const salt = defaultSalt({ realm: lab.domain, sAMAccountName: lab.sAMAccountNameOf(index) });
  const key = (type: KerberosKeyType) => Buffer.from(stringToKey(type, password, salt)).toString('hex');
  return {
    ntHash: Buffer.from(site.hasher.ntHash(password)).toString('hex'),
    kerberos: new Map([KerberosKeyType.aes256Sha1, KerberosKeyType.aes128Sha1].map((type) => [type, key(type)])),
    properties: ['Primary:Kerberos-Newer-Keys', 'Packages'],
  };
}
const opened = (n: number, by = certificate) => openKeys(itemOf(n), by.privateKey);
const withBlobs = () => [...sent.values()].filter(({ windowsLegacyCredentials }) => windowsLegacyCredentials).length;
const thumbprintOf = (n: number) =>
  Buffer.from(readAdAuthInfo(Buffer.from(itemOf(n).windowsLegacyCredentials!, 'base64')).thumbprint).toString('hex');

describe('off', () => {
  test('asks for no supplementalCredentials and sends nothing of them', async () => {
    const report = await site.sync(agent());
    expect(report).toMatchObject({ credentialsSent: USERS, sealed: 0, keysMissing: 0 });
    lab.changePassword(lab.userIndex(3));
    await site.sync(agents[0]!);
    expect([...new Set(asked)]).toEqual([false]);
    expect(
      [...sent.values()]
        .flatMap((item) => [item.windowsLegacyCredentials, item.windowsSupplementalCredentials])
        .filter((blob) => blob !== undefined),
    ).toEqual([]);
    expect(told(658)).toEqual([]);
    expect(rowOf(3).keysVersion).toBeNull();
  });

  test('by agent.yaml, though the tenant wants them, and it is not even asked', async () => {
    await on();
    const getWindowsCredentialsSyncConfig = () => Promise.reject(new Error('was asked'));
    const vetoed = agent({
      client: client({ getWindowsCredentialsSyncConfig }),
      domainServices: { send: 'never', allowed: undefined },
    });
    expect(await site.sync(vetoed)).toMatchObject({ credentialsSent: USERS, sealed: 0 });
    expect(state().standing).toMatchObject({ name: 'off', code: 'domain-services-vetoed' });
  });

  test('where the tenant does not know the question', async () => {
    const fault = new PhsyncError('provisioning-fault', 'no', { facts: { faultSubcode: 'ActionNotSupported' } });
    const old = agent({ client: client({ getWindowsCredentialsSyncConfig: () => Promise.reject(fault) }) });
    expect(await site.sync(old)).toMatchObject({ credentialsSent: USERS, sealed: 0 });
    expect(state().standing.name).toBe('off');
  });
});

describe('on from the beginning', () => {
  test('every password has its keys with it, and nothing else of supplementalCredentials', async () => {
    await on();
    const report = await site.sync(agent());
    expect(report).toMatchObject({ credentialsSent: USERS, sealed: USERS, keysMissing: 0 });
    for (let n = 0; n < USERS; n++) expect(await opened(n), `user ${n}`).toEqual(expected(n));
    expect([...new Set(asked)]).toEqual([true]);
    expect(await site.wrongUsers(lab)).toEqual([]);
    const stored = await storedOf(site.tenant.store, anchorOf(lab.userIndex(9)));
    expect(Buffer.from(stored!.legacy!).toString('base64')).toBe(itemOf(9).windowsLegacyCredentials);
    expect(Buffer.from(stored!.supplemental!).toString('base64')).toBe(itemOf(9).windowsSupplementalCredentials);
    expect(state().standing).toMatchObject({ name: 'on', ntlm: true, kerberos: true });
    expect(state().standing.fullAt).toBeGreaterThan(Date.now() - 60_000);
    // Nothing was there that would have to be sent again.
    expect(await site.sync(agents[0]!)).toMatchObject({ seen: 0, credentialsSent: 0 });
    expect(told(658).map(({ state }) => state)).toEqual(['on']);
  });

  test('a changed password takes its new keys along', async () => {
    await on();
    await site.sync(agent());
    const before = itemOf(5);
    lab.changePassword(lab.userIndex(5));
    expect(await site.sync(agents[0]!)).toMatchObject({ seen: 1, credentialsSent: 1, sealed: 1 });
    expect(itemOf(5)).not.toEqual(before);
    expect(await opened(5)).toEqual(expected(5));
  });

  test('leaves neither NT hash nor Kerberos key in state or log', async () => {
    await on();
    await site.sync(agent());
    const traces = Array.from({ length: USERS }, (_, n) => {
      const { ntHash, kerberos } = expected(n);
      return [ntHash, ...kerberos.values()];
    }).flat();
    site.closeStore();
    const files = readdirSync(site.stateDir).map((name) => readFileSync(join(site.stateDir, name)));
    const log = site.logged.join('') + JSON.stringify(events);
    for (const trace of traces) {
      expect(log.includes(trace)).toBe(false);
      expect(files.some((file) => file.includes(Buffer.from(trace, 'hex')) || file.includes(trace))).toBe(false);
    }
    expect(files.some((file) => file.includes(Buffer.from(lab.guidBytesOf(lab.userIndex(7)))))).toBe(true);
  });
});

describe('switched on later', () => {
  test('sends everything again by itself, with its keys, and says so', async () => {
    await site.sync(agent());
    sent.clear();
    events = [];
    await on();
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: USERS, sealed: USERS, deleted: 0 });
    for (let n = 0; n < USERS; n++) expect(await opened(n)).toEqual(expected(n));
    expect(told(658)).toMatchObject([{ state: 'on', message: expect.stringContaining('switched Domain Services on') }]);
    expect([told(617), told(618)]).toMatchObject([
      [{ why: 'keys for Domain Services' }],
      [{ why: 'keys for Domain Services', continues: false }],
    ]);
    expect([told(622).length, told(623).length]).toEqual([1, 1]);
    sent.clear();
    expect(await site.sync(agents[0]!)).toMatchObject({ seen: 0, credentialsSent: 0 });
  });

  test.each([1, 2])('also where the agent ends at call %i of the sending', async (call) => {
    lab = site.lab({ users: 120 });
    const openSource = async () => watched(undefined, undefined, 50);
    await site.sync(agent({ openSource }));
    sent.clear();
    await on();
    let calls = 0;
    const failing = client({
      provisionCredentials: async (items, options) => {
        if (++calls >= call) throw new PhsyncError('provisioning-unreachable', 'gone');
        const results = await site.client.provisionCredentials(items, options);
        for (const item of items) sent.set(item.sourceAnchor!, item);
        return results;
      },
    });
    expect((await site.try(agent({ client: failing, openSource }))).error).toMatchObject({
      code: 'provisioning-unreachable',
    });
    site.closeStore();
    // Another process: nothing but what the state says is left.
    expect(state().full).toBe(true);
    expect(state().fullOnDemand).toBe(false);
    await site.sync(agent({ openSource }));
    expect(withBlobs()).toBe(lab.users);
    expect(state().full).toBe(false);
    expect(state().standing.fullAt).not.toBeNull();
  });

  test('takes no older password for the right one, and that one gets its keys when it comes', async () => {
    await site.sync(agent());
    const index = lab.userIndex(2);
    const behind: Change = (object) =>
      object.guid === lab.guidOf(index)
        ? { ...object, passwordVersion: 1, passwordChanged: new Date(Date.now() - 9 * HOUR) }
        : object;
    lab.changePassword(index);
    await site.sync(agents[0]!);
    sent.clear();
    await on();
    // A domain controller that lags behind answers.
    expect(await site.sync(agent({ openSource: async () => watched(behind) }))).toMatchObject({ sealed: USERS - 1 });
    expect(sent.has(anchorOf(index))).toBe(false);
    lab.change('rename', index);
    lab.change('password', lab.userIndex(3));
    await site.sync(agents[0]!);
    expect(await site.password(lab, index)).toBe('right');
    expect(await opened(2)).toEqual(expected(2));
  });
});

describe('switched off', () => {
  test('sends no keys from that moment, and everything again when it is on once more', async () => {
    await on();
    await site.sync(agent());
    sent.clear();
    await off();
    lab.changePassword(lab.userIndex(1));
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: 1, sealed: 0 });
    expect(itemOf(1)).toMatchObject({
      windowsLegacyCredentials: undefined,
      windowsSupplementalCredentials: undefined,
    });
    expect(asked.at(-1)).toBe(false);
    expect(told(658).at(-1)).toMatchObject({ state: 'off' });
    expect(rowOf(1).keysVersion).toBeNull();
    await on();
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: USERS, sealed: USERS });
    expect(await opened(1)).toEqual(expected(1));
  });
});

test('a certificate that a single object alone has found expired, between two cycles, is made up for as well', async () => {
  const expired = await createCertificate(2048, { from: Date.now() - 2 * HOUR, to: Date.now() - HOUR });
  await on();
  let isExpired = false;
  const aged = client({
    getWindowsCredentialsSyncConfig: async (options) => {
      const answer = await site.client.getWindowsCredentialsSyncConfig(options);
      return isExpired ? { ...answer, secretEncryptionCertificate: expired.der.toString('base64') } : answer;
    },
  });
  await site.sync(agent({ client: aged }));
  const index = lab.userIndex(1);
  lab.changePassword(index);
  isExpired = true;
  const report = await agents[0]!.syncObject({ guid: lab.guidOf(index) });
  expect(report).toMatchObject({ status: 'Success', passwordSent: true, keysSent: false });
  expect(told(658).at(-1)).toMatchObject({ state: 'stopped' });
  isExpired = false;
  expect(await site.sync(agents[0]!)).toMatchObject({ sealed: USERS });
  expect(await opened(1)).toEqual(expected(1));
});

test('a veto that a running agent takes up, and one that is lifted, are followed at the next cycle', async () => {
  await on();
  const made = agent();
  await site.sync(made);
  const reload = (domainServices: DomainServicesPolicy) =>
    made.reconfigure({ connectors: [connector()], client: client(), domainServices });
  await reload({ send: 'never', allowed: undefined });
  lab.changePassword(lab.userIndex(1));
  expect(await site.sync(made)).toMatchObject({ credentialsSent: 1, sealed: 0 });
  expect(told(658).at(-1)?.message).toContain('domainServices.send is never');
  await reload({ send: 'auto', allowed: undefined });
  expect(await site.sync(made)).toMatchObject({ credentialsSent: USERS, sealed: USERS });
  expect(await opened(1)).toEqual(expected(1));
});

test('a staging agent seals and sends nothing', async () => {
  await on();
  const store = openStateStore(join(site.directory, 'staging'), { staging: true });
  try {
    const made = agent({ store, client: stagingClient(client()), staging: true });
    expect(await site.sync(made)).toMatchObject({ staging: true, credentialsSent: USERS, sealed: USERS });
  } finally {
    store.close();
  }
  expect(sent.size).toBe(0);
  expect(await site.tenant.store.counts()).toMatchObject({ users: 0 });
});

test('switched off and on again between two cycles sends everything again', async () => {
  await on();
  await site.sync(agent());
  sent.clear();
  await off();
  await on();
  expect(await site.sync(agents[0]!)).toMatchObject({ sealed: USERS });
  expect(told(658).at(-1)?.message).toContain('switched off in the tenant and on again');
  expect(await site.sync(agents[0]!)).toMatchObject({ sealed: 0 });
});

test('without NTLM a random value takes the place of the NT hash, and differs for each user and each time', async () => {
  await on(certificate, false);
  await site.sync(agent());
  const hashes = new Set<string | undefined>();
  for (let n = 0; n < USERS; n++) {
    const found = await opened(n);
    hashes.add(found.ntHash);
    expect(found.ntHash).toHaveLength(32);
    expect(found.ntHash).not.toBe(expected(n).ntHash);
    expect(found.kerberos).toEqual(expected(n).kerberos);
  }
  expect(hashes.size).toBe(USERS);
  // Switched on: with the next change, or a full synchronization.
  await on();
  expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: 0 });
  expect(told(658).at(-1)?.message).toMatch(/the NT hash is sent from now on: of each user with the next change/);
  lab.changePassword(lab.userIndex(4));
  await site.sync(agents[0]!);
  expect(await opened(4)).toEqual(expected(4));
  await site.sync(agents[0]!, true);
  for (let n = 0; n < USERS; n++) expect((await opened(n)).ntHash).toBe(expected(n).ntHash);
});

describe('a tenant that does not say what it wants', () => {
  const faults = [
    new PhsyncError('provisioning-fault', 'an internal error', { facts: { errorCode: 'InternalError' } }),
    new PhsyncError('provisioning-bad-reply', 'a result is missing'),
  ];
  test.each(faults)('changes nothing: only whose keys could not go have them sent later ($code)', async (fault) => {
    let fails = false;
    const asked = client({
      getWindowsCredentialsSyncConfig: (options) =>
        fails ? Promise.reject(fault) : site.client.getWindowsCredentialsSyncConfig(options),
    });
    // Of user 1 the keys alone change, of user 3 the password.
    let upgraded = false;
    const guid = lab.guidOf(lab.userIndex(1));
    const upgrade: Change = (object) =>
      upgraded && object.guid === guid ? { ...object, supplementalVersion: 7 } : object;
    await on();
    const made = agent({ client: asked, openSource: async () => watched(upgrade, upgrade) });
    await site.sync(made);
    const before = state().standing;
    expect(before.name).toBe('on');
    sent.clear();
    events = [];

    fails = true;
    upgraded = true;
    lab.changePassword(lab.userIndex(3));
    lab.change('password', lab.userIndex(1));
    lab.journal.overlay(lab.userIndex(1))!.passwords--;
    expect(await site.sync(made)).toMatchObject({ credentialsSent: 2, sealed: 0, retryQueue: 2, error: undefined });
    expect(withBlobs()).toBe(0);
    expect(await site.password(lab, lab.userIndex(3))).toBe('right');
    expect(state().standing).toMatchObject({ name: 'on', since: before.since, fullAt: before.fullAt });
    expect(state().retryQueue.list(2)).toMatchObject([
      { code: 'domain-services-unanswered' },
      { code: 'domain-services-unanswered' },
    ]);
    expect(rowOf(3).keysVersion).toBeNull();
    // Twice more, and told once.
    await site.sync(made);
    await site.sync(made);
    expect(told(658)).toMatchObject([{ state: 'on', code: 'domain-services-unanswered' }]);
    expect(told(604)).toHaveLength(1);
    expect(made.status().connectors[0]).toMatchObject({
      domainServices: 'on',
      domainServicesReason: expect.stringContaining(fault.message),
    });

    fails = false;
    sent.clear();
    // Two, not all twelve.
    expect(await site.sync(made)).toMatchObject({ credentialsSent: 2, sealed: 2, retryQueue: 0 });
    expect(sent.size).toBe(2);
    expect(await opened(3)).toEqual(expected(3));
    expect((await opened(1)).kerberos?.size).toBe(2);
    expect(rowOf(1).keysVersion).toBe(7);
    expect(state().standing).toEqual(before);
    expect(told(658)).toHaveLength(2);
    expect(told(657)).toEqual([]);
    expect(await site.sync(made)).toMatchObject({ credentialsSent: 0 });
  });

  test('at first has them sent with a full synchronization, once it does', async () => {
    await on();
    let fails = true;
    const asked = client({
      getWindowsCredentialsSyncConfig: (options) =>
        fails ? Promise.reject(faults[0]!) : site.client.getWindowsCredentialsSyncConfig(options),
    });
    const made = agent({ client: asked });
    expect(await site.sync(made)).toMatchObject({ credentialsSent: USERS, sealed: 0, retryQueue: 0 });
    expect(state().standing.name).toBe('off');
    fails = false;
    expect(await site.sync(made)).toMatchObject({ credentialsSent: USERS, sealed: USERS });
  });

  test('in the middle of a full synchronization has it end, and the keys follow one by one', async () => {
    await site.sync(agent());
    let fails = false;
    const asked = client({
      getWindowsCredentialsSyncConfig: (options) =>
        fails ? Promise.reject(faults[0]!) : site.client.getWindowsCredentialsSyncConfig(options),
    });
    await on();
    const made = agent({ client: asked });
    state().transaction(() => {
      state().standing = { ...state().standing, name: 'on', ntlm: true, kerberos: true };
      state().demandResend();
      state().cookie = undefined;
    });
    fails = true;
    expect(await site.sync(made)).toMatchObject({ credentialsSent: USERS, sealed: 0, retryQueue: USERS });
    expect(state().standing.fullAt).toBeNull();
    fails = false;
    expect(await site.sync(made)).toMatchObject({ sealed: USERS, retryQueue: 0 });
    expect(state().standing.fullAt).not.toBeNull();
    for (let n = 0; n < USERS; n++) expect(await opened(n), `user ${n}`).toEqual(expected(n));
  });
});

describe('the certificate', () => {
  test('that replaces another is used from the next cycle on', async () => {
    await on();
    await site.sync(agent());
    const before = [thumbprintOf(1), thumbprintOf(2)];
    await on(other);
    lab.changePassword(lab.userIndex(1));
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: 1, sealed: 1 });
    expect(await opened(1, other)).toEqual(expected(1));
    expect(await opened(2)).toEqual(expected(2));
    expect(told(658).at(-1)).toMatchObject({ formerThumbprint: before[0], thumbprint: thumbprintOf(1) });
    expect(thumbprintOf(1)).not.toBe(before[0]);
  });

  test('that is taken away while passwords are on their way has the keys sealed anew in the next cycle', async () => {
    await on();
    let removes = true;
    const thumbprint = createHash('sha1').update(certificate.der).digest();
    const late = client({
      getWindowsCredentialsSyncConfig: async (options) => {
        const answer = await site.client.getWindowsCredentialsSyncConfig(options);
        if (!removes) return answer;
        removes = false;
        await service.addCertificate(other.der, ADMIN);
        await service.removeCertificate(thumbprint, { force: true }, ADMIN);
        return answer;
      },
    });
    const made = agent({ client: late });
    expect(await site.sync(made)).toMatchObject({
      credentialsSent: USERS,
      sealed: 0,
      failed: USERS,
      retryQueue: USERS,
    });
    expect(await site.wrongUsers(lab)).toEqual([]);
    expect(state().retryQueue.list(1)[0]).toMatchObject({ code: 'tenant-6' });
    expect(await site.sync(made)).toMatchObject({ sealed: USERS, failed: 0, retryQueue: 0 });
    for (let n = 0; n < USERS; n++) expect(await opened(n, other)).toEqual(expected(n));
  });

  test('that has expired lets passwords go on without keys, which a full synchronization brings later', async () => {
    const expired = await createCertificate(2048, { from: Date.now() - 2 * HOUR, to: Date.now() - HOUR });
    await on();
    let answers: 'its own' | 'expired' = 'its own';
    // A tenant refuses such a certificate when it is added, and then time goes by.
    const aged = client({
      getWindowsCredentialsSyncConfig: async (options) => {
        const answer = await site.client.getWindowsCredentialsSyncConfig(options);
        const secretEncryptionCertificate = expired.der.toString('base64');
        return answers === 'expired' ? { ...answer, secretEncryptionCertificate } : answer;
      },
    });
    await site.sync(agent({ client: aged }));
    sent.clear();
    events = [];
    answers = 'expired';
    lab.changePassword(lab.userIndex(6));
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: 1, sealed: 0, error: undefined });
    expect(itemOf(6).windowsLegacyCredentials).toBeUndefined();
    expect(await site.password(lab, lab.userIndex(6))).toBe('right');
    expect(told(658)).toMatchObject([{ state: 'stopped', code: 'domain-services-certificate-expired' }]);
    expect(told(604)).toMatchObject([{ task: 'sending keys for Domain Services' }]);
    expect(agents[0]!.status().connectors[0]).toMatchObject({
      domainServices: 'stopped',
      domainServicesReason: expect.stringContaining('has expired'),
    });
    // Not once a cycle, but for the log.
    await site.sync(agents[0]!);
    expect(told(658)).toHaveLength(1);
    answers = 'its own';
    await on(other);
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: USERS, sealed: USERS });
    expect(await opened(6, other)).toEqual(expected(6));
    expect(agents[0]!.status().connectors[0]).toMatchObject({
      domainServices: 'on',
      domainServicesReason: undefined,
    });
  });
});

describe('a page', () => {
  const ofUser = (n: number) => lab.guidOf(lab.userIndex(n));

  test('with a changed unicodePwd alone has the object read as a whole', async () => {
    await on();
    const without: Change = (object) =>
      object.objectClass === undefined
        ? { ...object, supplementalCredentials: undefined, supplementalVersion: undefined }
        : object;
    await site.sync(agent({ openSource: async () => watched(without) }));
    asked = [];
    lab.changePassword(lab.userIndex(1));
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: 1, sealed: 1, keysMissing: 0 });
    expect(asked).toEqual([true, true]);
    expect(await opened(1)).toEqual(expected(1));
  });

  test('with changed supplementalCredentials alone has the keys sent, once', async () => {
    await on();
    let upgraded = false;
    const upgrade: Change = (object) =>
      upgraded && object.guid === ofUser(1) ? { ...object, supplementalVersion: 7 } : object;
    const alone: Change = (object) =>
      upgraded && object.guid === ofUser(1)
        ? {
            ...upgrade(object),
            unicodePwd: undefined,
            passwordVersion: undefined,
            passwordChanged: undefined,
            pwdLastSet: undefined,
          }
        : object;
    await site.sync(agent({ openSource: async () => watched(alone, upgrade) }));
    sent.clear();
    const before = rowOf(1);
    upgraded = true;
    // Shows the object again, and nothing of the password is another.
    lab.change('password', lab.userIndex(1));
    lab.journal.overlay(lab.userIndex(1))!.passwords--;
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: 1, sealed: 1, pwdLastSetOnly: 0 });
    expect(rowOf(1)).toMatchObject({ keysVersion: 7, passwordVersion: before.passwordVersion });
    expect((await opened(1)).kerberos?.size).toBe(2);
    sent.clear();
    lab.change('password', lab.userIndex(1));
    lab.journal.overlay(lab.userIndex(1))!.passwords--;
    expect(await site.sync(agents[0]!)).toMatchObject({ credentialsSent: 0 });
  });
});

describe('a user', () => {
  const ofUser = (n: number) => lab.guidOf(lab.userIndex(n));

  test('without supplementalCredentials has the NT hash sent alone, and MissingAttribute as result', async () => {
    await on();
    const without: Change = (object) =>
      object.guid === ofUser(2)
        ? { ...object, supplementalCredentials: undefined, supplementalVersion: undefined }
        : object;
    const made = agent({ openSource: async () => watched(without, without) });
    expect(await site.sync(made)).toMatchObject({ sealed: USERS, keysMissing: 1, failed: 0 });
    expect(await opened(2)).toEqual({ ntHash: expected(2).ntHash, kerberos: undefined, properties: [] });
    expect(rowOf(2)).toMatchObject({ outcome: Outcome.missingAttribute, keysVersion: 0 });
    expect(told(658).at(-1)).toMatchObject({ keysMissing: 1 });
    expect(await made.syncObject({ guid: ofUser(2) })).toMatchObject({
      status: 'MissingAttribute',
      reason: expect.stringContaining('no Kerberos keys'),
      passwordSent: true,
      keysSent: true,
    });
    // What changes of the user besides leaves the result as it is.
    lab.change('rename', lab.userIndex(2));
    await site.sync(made);
    expect(rowOf(2).outcome).toBe(Outcome.missingAttribute);
    // The next password has keys.
    lab.changePassword(lab.userIndex(2));
    expect(await site.sync(agent())).toMatchObject({ sealed: 1, keysMissing: 0 });
    expect(rowOf(2).outcome).toBe(Outcome.success);
    expect(await opened(2)).toEqual(expected(2));
  });

  test('whose keys cannot be opened waits in the queue with the password in the tenant', async () => {
    await on();
    let broken = true;
    const flipped: Change = (object) => {
      if (!broken || object.guid !== ofUser(2)) return object;
      const supplementalCredentials = Uint8Array.from(object.supplementalCredentials!);
      supplementalCredentials[40]! ^= 1;
      return { ...object, supplementalCredentials };
    };
    const made = agent({ openSource: async () => watched(flipped, flipped) });
    expect(await site.sync(made)).toMatchObject({ credentialsSent: USERS, sealed: USERS, failed: 1, retryQueue: 1 });
    expect(state().retryQueue.list(1)).toMatchObject([
      { code: 'domain-services-checksum', reason: expect.stringContaining('supplementalCredentials opens with none') },
    ]);
    expect(rowOf(2)).toMatchObject({ outcome: Outcome.error, keysVersion: null });
    expect(await site.password(lab, lab.userIndex(2))).toBe('right');
    expect((await opened(2)).kerberos).toBeUndefined();
    broken = false;
    expect(await made.syncObject({ guid: ofUser(2) })).toMatchObject({ status: 'Success', keysSent: true });
    expect(await opened(2)).toEqual(expected(2));
    expect(state().retryQueue.size).toBe(0);
    expect(state().find(guidFromText(ofUser(2)))).toMatchObject({ outcome: Outcome.success, keysVersion: 1 });
  });
});
