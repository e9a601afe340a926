/** The feed of users and sealed credentials: what it tells, in which order, and whom; on both databases. */

import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { sidFromText } from '#src/protocol/dtyp/sid.js';
import { recipientOf } from '#src/provisioning/ad-auth-info.js';
import type { ProvisioningClient } from '#src/provisioning/client.js';
import {
  DOMAIN_SERVICES_FEED_PATH,
  DOMAIN_SERVICES_SCOPE,
  type FeedUser,
} from '#src/provisioning/domain-services-feed.js';
import { Feed } from '#src/tenant/domain-services/feed.js';
import type { DomainServices } from '#src/tenant/domain-services/service.js';
import { GRAPH_RESOURCE } from '#src/tenant/oidc/caller.js';
import { purge } from '#src/tenant/store/purge.js';
import { createCertificate, type TestCertificate } from '../../provisioning/certificates.js';
import { AGENT, PROVISIONING_SCOPE, startTestTenant, type TestTenant, testHasher, vectors } from '../harness.js';
import { describeStores, type StoreSite } from '../stores.js';
import {
  ADMIN,
  clientOf,
  item,
  provision,
  READER,
  readerOf,
  readerToken,
  sealed,
  serviceOf,
  withReader,
} from './site.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64');

const IN_USE = { isNewest: true, inUse: true };
const thumbprintOf = ({ der }: TestCertificate) => recipientOf(der).thumbprint.toString('hex');
const notAfterOf = ({ der }: TestCertificate) => new Date(new X509Certificate(der).validTo).toISOString();

let hasher: Hasher;
let certificate: TestCertificate;
beforeAll(async () => {
  hasher = testHasher();
  certificate = await createCertificate(2048);
});
afterAll(() => hasher.close());

describeStores('the feed', (newSite) => {
  let site: StoreSite;
  let tenant: TestTenant;
  let client: ProvisioningClient;
  let service: DomainServices;
  let reader: Awaited<ReturnType<typeof readerOf>>;
  beforeEach(async () => {
    site = await newSite();
    tenant = await startTestTenant({ ...site.tenant, hasher, ...withReader });
    client = clientOf(tenant);
    service = serviceOf(tenant.store);
    reader = await readerOf(tenant);
  });
  afterEach(async () => {
    await client.close();
    await tenant.close();
  });
  const enable = () => service.enable({ domainName: 'AADDS.phs.test', certificate: certificate.der }, ADMIN);
  const remove = (...anchors: string[]) =>
    client.provisionAzureADSyncObjects(
      anchors.map((anchor) => ({
        syncObjectType: 'User',
        syncOperation: 'Delete',
        propertyValues: new Map([['SourceAnchor', anchor]]),
      })),
    );
  const names = (value: readonly object[]) =>
    value.map((change) => ('deleted' in change ? 'deleted' : (change as FeedUser).mailNickname));
  const numbered = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `n${String(from + i).padStart(2, '0')}`);

  it('is refused with 409 where Domain Services are not enabled, never or no more', async () => {
    const refusal = { status: 409, json: { error: 'domain_services_disabled', error_description: expect.any(String) } };
    expect(await reader.get()).toMatchObject(refusal);
    await enable();
    const { cookie } = await reader.page();
    await service.disable(ADMIN);
    expect(await reader.get({ cookie })).toMatchObject(refusal);
    await enable();
    expect(await reader.get({ cookie })).toMatchObject({ status: 410, json: { error: 'resync_required' } });
  });

  it('tells all of a user, with what the agent has sealed, byte for byte', async () => {
    await enable();
    const sid = 'S-1-5-21-1004336348-1177238915-682003330-512';
    await client.provisionAzureADSyncObjects([
      {
        syncObjectType: 'User',
        syncOperation: 'Set',
        propertyValues: new Map<string, string | boolean | Uint8Array>([
          ['SourceAnchor', 'a'],
          ['userPrincipalName', 'Ada.L@phs.test'],
          ['displayName', 'Ada Lovelace'],
          ['givenName', 'Ada'],
          ['surname', 'Lovelace'],
          ['mail', 'ada@phs.test'],
          ['accountEnabled', false],
          ['onPremisesSamAccountName', 'ada'],
          ['onPremiseSecurityIdentifier', sidFromText(sid)],
          ['dnsDomainName', 'phs.test'],
          ['netBiosName', 'PHS'],
        ]),
      },
      {
        syncObjectType: 'User',
        syncOperation: 'Set',
        propertyValues: new Map([
          ['SourceAnchor', 'b'],
          ['userPrincipalName', 'b@phs.test'],
        ]),
      },
    ]);
    const { legacy, supplemental } = sealed(certificate.der);
    await client.provisionCredentials([item('a', '2026-01-02T03:04:05.006Z', { legacy, supplemental })]);
    expect(await reader.page()).toEqual({
      value: [
        {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          userPrincipalName: 'Ada.L@phs.test',
          displayName: 'Ada Lovelace',
          givenName: 'Ada',
          surname: 'Lovelace',
          mail: 'ada@phs.test',
          mailNickname: 'Ada.L',
          accountEnabled: false,
          passwordPolicies: 'DisablePasswordExpiration',
          onPremisesSamAccountName: 'ada',
          onPremisesSecurityIdentifier: sid,
          onPremisesDomainName: 'phs.test',
          onPremisesNetBiosName: 'PHS',
          credentials: {
            changeDate: '2026-01-02T03:04:05.006Z',
            windowsLegacyCredentials: legacy.toString('base64'),
            windowsSupplementalCredentials: supplemental.toString('base64'),
            windowsLegacyCredentialsSha256: sha256(legacy),
            windowsSupplementalCredentialsSha256: sha256(supplemental),
          },
        },
        expect.objectContaining({
          ...{ userPrincipalName: 'b@phs.test', givenName: null, accountEnabled: true, passwordPolicies: null },
          ...{ onPremisesSecurityIdentifier: null, credentials: null },
        }),
      ],
      cookie: expect.stringMatching(/^[\w-]{20,}$/),
      more: false,
      domain: {
        name: 'aadds.phs.test',
        securitySettings: {
          ...{ ntlmV1: 'Disabled', syncNtlmPasswords: 'Enabled', tlsV1: 'Disabled', kerberosRc4Encryption: 'Enabled' },
          ...{ kerberosArmoring: 'Disabled', ldapSigning: 'Disabled', channelBinding: 'Disabled' },
        },
        certificates: [{ thumbprint: thumbprintOf(certificate), notAfter: notAfterOf(certificate), ...IN_USE }],
      },
    });
  });

  it('tells which certificates are the newest, in use, and in use though they are gone', async () => {
    await enable();
    await provision(client, ['a', 'b']);
    const other = await createCertificate(2048);
    const certificates = async () => (await reader.page()).domain.certificates;
    const [first, second] = [certificate, other].map((each) => ({
      thumbprint: thumbprintOf(each),
      notAfter: notAfterOf(each),
    }));
    expect(await certificates()).toEqual([{ ...first, isNewest: true, inUse: false }]);
    await client.provisionCredentials([item('a', '2026-01-01', sealed(certificate.der))]);
    await service.addCertificate(other.der, ADMIN);
    expect(await certificates()).toEqual([
      { ...second, isNewest: true, inUse: false },
      { ...first, isNewest: false, inUse: true },
    ]);
    await client.provisionCredentials([item('b', '2026-01-01', sealed(other.der))]);
    const { thumbprint } = recipientOf(certificate.der);
    await service.removeCertificate(thumbprint, { force: true }, ADMIN);
    expect(await certificates()).toEqual([
      { ...second, isNewest: true, inUse: true },
      { thumbprint: first!.thumbprint, notAfter: null, isNewest: false, inUse: true },
    ]);
    await client.provisionCredentials([item('a', '2026-01-02', sealed(other.der))]);
    expect(await certificates()).toEqual([{ ...second, isNewest: true, inUse: true }]);
  });

  it('has digests of what agents sent, whatever became of it in the store since', async () => {
    await enable();
    await provision(client, ['a', 'b']);
    const [first, second, later] = [sealed(certificate.der), sealed(certificate.der), sealed(certificate.der)];
    await client.provisionCredentials([
      item('a', '2026-01-01', first),
      item('b', '2026-01-01', { supplemental: second.supplemental }),
    ]);
    const damaged = Buffer.from(first.legacy);
    damaged[320]! ^= 1;
    await tenant.store.database.run((queries) =>
      queries.updateTable('windows_credentials').set({ legacy: damaged }).where('legacy', 'is not', null).execute(),
    );
    const told = async () => (await reader.page()).value.map((user) => (user as FeedUser).credentials);
    expect(await told()).toMatchObject([
      {
        windowsLegacyCredentials: damaged.toString('base64'),
        windowsLegacyCredentialsSha256: sha256(first.legacy),
        windowsSupplementalCredentialsSha256: sha256(first.supplemental),
      },
      {
        windowsLegacyCredentials: null,
        windowsLegacyCredentialsSha256: null,
        windowsSupplementalCredentialsSha256: sha256(second.supplemental),
      },
    ]);
    await client.provisionCredentials([item('a', '2026-01-02', later)]);
    expect((await told())[0]).toMatchObject({
      windowsLegacyCredentials: later.legacy.toString('base64'),
      windowsLegacyCredentialsSha256: sha256(later.legacy),
      windowsSupplementalCredentialsSha256: sha256(later.supplemental),
    });
  });

  it('begins with every user that is there, page by page, and goes on with what changed meanwhile and since', async () => {
    await provision(client, numbered(0, 25));
    await remove('n03');
    await enable();
    const first = await reader.page({ limit: 10 });
    expect(names(first.value)).toEqual(['n00', 'n01', 'n02', 'n04', 'n05', 'n06', 'n07', 'n08', 'n09', 'n10']);
    expect(first.more).toBe(true);
    // While the first reading goes on: one who was told, one who was not, a new one, one who goes.
    await client.provisionCredentials([
      item('n05', '2026-01-01', sealed(certificate.der)),
      item('n20', '2026-01-01', sealed(certificate.der)),
    ]);
    await provision(client, ['n25']);
    await remove('n00');
    const rest = await reader.all(first.cookie, 10);
    expect(names(rest.value)).toEqual(numbered(11, 26));
    const changes = await reader.all(rest.cookie, 2);
    expect(names(changes.value)).toEqual(expect.arrayContaining(['n05', 'n20', 'n25', 'deleted']));
    expect(changes.value).toHaveLength(4);
    expect(changes.pages).toBe(2);
    expect(changes.value.find((change) => 'deleted' in change)!.id).toBe(first.value[0]!.id);
    expect((await reader.page({ cookie: changes.cookie })).value).toEqual([]);
    // Whoever asks with a former cookie is told the same once more, as it is now.
    await provision(client, ['n05'], { displayName: 'Five' });
    const again = await reader.all(rest.cookie);
    expect(again.value).toHaveLength(4);
    expect(again.value.at(-1)).toMatchObject({ displayName: 'Five', credentials: expect.any(Object) });
  });

  it('tells of a change when something that it shows has changed, whoever changed it, and not otherwise', async () => {
    await enable();
    await provision(client, ['a']);
    await client.provisionCredentials([item('a', '2026-01-01', sealed(certificate.der))]);
    let { cookie } = await reader.all();
    const next = async () => {
      const page = await reader.all(cookie);
      cookie = page.cookie;
      return page.value as FeedUser[];
    };
    await next();
    // The same once more, and a password without Windows credentials: nothing that the feed shows.
    await provision(client, ['a']);
    await client.provisionCredentials([item('a', '2026-01-02')]);
    expect(await next()).toEqual([]);
    await provision(client, ['a'], { accountEnabled: false });
    expect(await next()).toMatchObject([{ accountEnabled: false }]);
    const { database } = tenant.store;
    await database.run((db) => db.updateTable('users').set({ password_policies: 'None' }).execute());
    expect(await next()).toMatchObject([{ passwordPolicies: 'None' }]);
    await remove('a');
    expect(await next()).toEqual([{ id: expect.any(String), deleted: true }]);
    await provision(client, ['a']);
    // With the credentials that it had.
    expect(await next()).toMatchObject([
      { mailNickname: 'a', credentials: { changeDate: '2026-01-01T00:00:00.000Z' } },
    ]);
    const blobs = sealed(certificate.der);
    await client.provisionCredentials([item('a', '2026-01-03', blobs)]);
    expect(await next()).toMatchObject([
      { credentials: { windowsLegacyCredentials: blobs.legacy.toString('base64') } },
    ]);
    // Refused as older: no change.
    await client.provisionCredentials([item('a', '2026-01-02', sealed(certificate.der))]);
    expect(await next()).toEqual([]);
    // Gone for good: told once, though the row is no more.
    await remove('a');
    const later = new Date(Date.now() + 1000);
    const retention = { signIns: 1, audit: 1, deletedUsers: 0 };
    await purge(database, { retention, now: later });
    expect(await database.run((db) => db.selectFrom('users').select('id').execute())).toEqual([]);
    expect(await next()).toEqual([{ id: expect.any(String), deleted: true }]);
    expect(await next()).toEqual([]);
  });

  it('answers a question that waits as soon as something has changed, and not before', async () => {
    await enable();
    const { cookie } = await reader.page();
    const began = performance.now();
    const waiting = reader.page({ cookie, wait: 30 });
    await provision(client, ['a']);
    expect(names((await waiting).value)).toEqual(['a']);
    expect(performance.now() - began).toBeLessThan(25_000);
    const later = (await waiting).cookie;
    expect(await reader.page({ cookie: later, wait: 1 })).toMatchObject({ value: [], cookie: later, more: false });
    // Of one reader, not more than a few at once.
    const answered: number[] = [];
    const many = Array.from({ length: 6 }, async () =>
      answered.push((await reader.get({ cookie: later, wait: 30 })).status),
    );
    await expect.poll(() => answered).toEqual([429, 429]);
    await provision(client, ['b']);
    await Promise.all(many);
    expect(answered).toEqual([429, 429, 200, 200, 200, 200]);
  });

  it('answers a question that waits while Domain Services are off as soon as they are on', async () => {
    const refused = { status: 409, json: { error: 'domain_services_disabled' } };
    expect(await reader.get({ wait: 1 })).toMatchObject(refused);
    const waiting = reader.get({ wait: 30 });
    await provision(client, ['a']);
    await enable();
    expect(await waiting).toMatchObject({ status: 200, json: { value: [{ mailNickname: 'a' }] } });
    // With a cookie of the time before.
    const { cookie } = await reader.page();
    await service.disable(ADMIN);
    const again = reader.get({ cookie, wait: 30 });
    await service.enable({}, ADMIN);
    expect(await again).toMatchObject({ status: 410, json: { error: 'resync_required' } });
  });

  it('lets a waiting question go when the tenant closes', async () => {
    await enable();
    const { cookie } = await reader.page();
    const asked = Array.from({ length: 5 }, () => reader.get({ cookie, wait: 30 }));
    // One too many: the others are there, and wait.
    expect((await Promise.race(asked)).status).toBe(429);
    const began = performance.now();
    await tenant.closeServer();
    const answers = (await Promise.all(asked)).filter(({ status }) => status === 200);
    expect(answers.map(({ json }) => json.value)).toEqual([[], [], [], []]);
    expect(performance.now() - began).toBeLessThan(25_000);
  });

  it('takes no cookie but those of its own database and time', async () => {
    await enable();
    await provision(client, ['a', 'b']);
    const cookie = (await reader.all()).cookie;
    const refused = async (text: string, error: string) =>
      expect(await reader.get({ cookie: text })).toMatchObject({ status: 410, json: { error } });
    // Every character changed to another one.
    for (let at = 0; at < cookie.length; at += 7) {
      await refused(`${cookie.slice(0, at)}${cookie[at] === 'A' ? 'B' : 'A'}${cookie.slice(at + 1)}`, 'cookie_unknown');
    }
    for (const text of ['', 'x', cookie.slice(0, -2), `${cookie}AA`, 'A'.repeat(200)]) {
      await refused(text, 'cookie_unknown');
    }
    expect((await reader.get({ cookie: 'A'.repeat(300) })).status).toBe(400);
    // Of another tenant.
    const other = await (await newSite()).open();
    try {
      await serviceOf(other).enable({ domainName: 'aadds.phs.test', certificate: certificate.der }, ADMIN);
      const feed = new Feed({ database: other.database, now: () => new Date() });
      await refused((await feed.page(undefined, 10)).cookie, 'cookie_unknown');
    } finally {
      await other.close();
    }
    // Of a time that this database has not seen yet: it was brought back from a copy of its files.
    await provision(client, ['c']);
    const newer = (await reader.all(cookie)).cookie;
    const { database } = tenant.store;
    await database.run((db) => db.updateTable('domain_services').set({ sequence: 0 }).execute());
    await refused(newer, 'cookie_ahead');
  });

  it('takes no numbers but those that it offers', async () => {
    await enable();
    for (const query of [{ limit: 0 }, { limit: 2001 }, { limit: 'x' }, { wait: 31 }, { wait: -1 }, { limit: 1.5 }]) {
      expect(await reader.get(query)).toMatchObject({ status: 400, json: { error: 'invalid_request' } });
    }
  });

  describe('is for readers alone', () => {
    const ask = (token: string) =>
      tenant.get(DOMAIN_SERVICES_FEED_PATH, { headers: { authorization: `Bearer ${token}` } });

    it('not for agents, applications, people, or whoever has no token', async () => {
      await enable();
      await provision(client, ['a']);
      await client.provisionCredentials([item('a', '2026-01-01')]);
      const person = (await tenant.signIn('a@phs.test', vectors[0]!.password)).json.access_token;
      const application = await readerToken(tenant, { client_id: 'reports', scope: `${GRAPH_RESOURCE}/.default` });
      expect([person, application]).toEqual([expect.any(String), expect.any(String)]);
      for (const token of [await tenant.agentToken(), person, application, 'x', '', `${reader.token}x`]) {
        expect(await ask(token)).toMatchObject({ status: 401, json: { error: 'invalid_token' } });
      }
      expect((await tenant.get(DOMAIN_SERVICES_FEED_PATH)).status).toBe(401);
      // An agent cannot ask for a reader's token, nor a reader for an agent's.
      const asAgent = { client_id: AGENT.clientId, client_secret: AGENT.secret };
      const grant = { grant_type: 'client_credentials' };
      expect((await tenant.token({ ...grant, ...asAgent, scope: DOMAIN_SERVICES_SCOPE })).status).toBe(400);
      for (const client_id of ['reports', READER.clientId]) {
        const scope = client_id === 'reports' ? DOMAIN_SERVICES_SCOPE : PROVISIONING_SCOPE;
        const form = { ...grant, client_id, client_secret: READER.secret, scope };
        expect((await tenant.token(form)).status).toBe(400);
      }
    });

    it('whose tokens open nothing else', async () => {
      await enable();
      const headers = { authorization: `Bearer ${reader.token}` };
      expect((await tenant.get('/v1.0/users', { headers })).status).toBe(401);
      expect((await tenant.get('/oidc/userinfo', { headers })).status).toBe(401);
      const provisioning = clientOf({ ...tenant, agentToken: async () => reader.token });
      try {
        await expect(provisioning.getCompanyConfiguration()).rejects.toMatchObject({
          code: 'provisioning-access-denied',
        });
      } finally {
        await provisioning.close();
      }
    });
  });
});
