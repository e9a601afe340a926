/** Domains, features, staged rollout, groups, risk, logs and the organization through Microsoft's own client. */

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { synchronizationFlags } from '#src/tenant/graph/organization/synchronization-features.js';
import { purge } from '#src/tenant/store/purge.js';
import { CredentialOrigin } from '#src/tenant/store/tables.js';
import { setFeatures } from '../features.js';
import { AGENT } from '../harness.js';
import {
  ADMINISTRATOR,
  applicationWith,
  describeGraph,
  type GraphTenant,
  MAKERS,
  provision,
  refusal,
} from './graph-tenant.js';

const PASSWORD = 'Correct-Horse-7-Battery';
const config = {
  domains: [
    { name: 'phs.test' },
    { name: 'second.test' },
    { name: 'fed.test', authenticationType: 'Federated', federationUrl: 'https://adfs.fed.test/' },
  ],
};

describeGraph(
  'administration',
  (tenant) => {
    describe('directory/onPremisesSynchronization', () => synchronization(tenant));
    describe('domains', () => domains(tenant));
    describe('groups and staged rollout', () => rollout(tenant));
    describe('risk', () => risk(tenant));
    describe('logs', () => logs(tenant));
    describe('organization', () => organization(tenant));
  },
  { config },
);

type Tenant = () => GraphTenant;

function synchronization(tenant: Tenant) {
  const admin = () => tenant().delegated(['OnPremDirectorySynchronization.ReadWrite.All']);
  const path = () => `/directory/onPremisesSynchronization/${tenant().tenantId}`;

  it('has all 19 flags, those of the wire among them', async () => {
    const { value } = await admin().api('/directory/onPremisesSynchronization').get();
    expect(value).toHaveLength(1);
    expect(value[0].id).toBe(tenant().tenantId);
    expect(Object.keys(value[0].features)).toHaveLength(19);
    const on = Object.keys(value[0].features).filter((name) => value[0].features[name]);
    expect(on).toEqual(['passwordSyncEnabled']);
    expect(value[0].configuration).toEqual({
      accidentalDeletionPrevention: { synchronizationPreventionType: 'enabledForCount', alertThreshold: 500 },
    });
  });

  it('To enable the CloudPasswordPolicyForPasswordSyncedUsersEnabled feature: Get, set, Update -Features', async () => {
    const { value } = await admin().api('/directory/onPremisesSynchronization').get();
    const { features } = value[0];
    features.cloudPasswordPolicyForPasswordSyncedUsersEnabled = true;
    await admin().api(path()).patch({ features });
    expect(await tenant().store.dirSyncFeatures()).toBe(
      DirSyncFeature.PasswordHashSync | DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers,
    );
  });

  it('switches each flag alone, and each is its own', async () => {
    const read = async () => (await admin().api(path()).get()).features;
    for (const name of synchronizationFlags) {
      const before = await read();
      await admin()
        .api(path())
        .patch({ features: { [name]: !before[name] } });
      expect(await read()).toEqual({ ...before, [name]: !before[name] });
      await admin()
        .api(path())
        .patch({ features: { [name]: before[name] } });
      expect(await read()).toEqual(before);
    }
  });

  it('keeps bits that Graph has no flag for, and flags that the wire has no bit for', async () => {
    await admin()
      .api(path())
      .patch({ features: { groupWriteBackEnabled: true } });
    const wire = 0x8000 | DirSyncFeature.PasswordHashSync | DirSyncFeature.EnableSoftMatchOnUpn;
    await setFeatures(tenant().store, wire);
    await admin()
      .api(path())
      .patch({ features: { blockSoftMatchEnabled: true } });
    expect(await tenant().store.dirSyncFeatures()).toBe(wire | DirSyncFeature.BlockSoftMatch);
    const { features } = await admin().api(path()).get();
    expect(features).toMatchObject({ groupWriteBackEnabled: true, softMatchOnUpnEnabled: true });
  });

  it('notes when password hash synchronization was switched on, and keeps it while it is on', async () => {
    const since = async () => {
      const row = await tenant().store.database.run((queries) =>
        queries.selectFrom('tenant').select('password_sync_since').executeTakeFirstOrThrow(),
      );
      return row.password_sync_since;
    };
    await admin()
      .api(path())
      .patch({ features: { passwordSyncEnabled: false } });
    expect(await since()).toBeNull();
    const before = Date.now();
    await admin()
      .api(path())
      .patch({ features: { passwordSyncEnabled: true } });
    const first = await since();
    expect(first).toBeGreaterThanOrEqual(before);
    await admin()
      .api(path())
      .patch({ features: { passwordSyncEnabled: true } });
    expect(await since()).toBe(first);
  });

  it('You should only use this feature when SSPR and Password Writeback are enabled on the tenant', async () => {
    const set = async (features: object) =>
      tenant().call('PATCH', path(), {
        token: await tenant().bearer('user', ['OnPremDirectorySynchronization.ReadWrite.All']),
        body: { features },
      });
    const warned = await set({ userForcePasswordChangeOnLogonEnabled: true });
    expect(warned.status).toBe(204);
    expect(warned.headers.warning).toMatch(
      /^299 - "userForcePasswordChangeOnLogonEnabled is on while passwordWriteback/,
    );
    expect(tenant().logText()).toContain('passwordWritebackEnabled is off');
    expect((await set({ passwordWritebackEnabled: true })).headers.warning).toBeUndefined();
    expect((await set({ userForcePasswordChangeOnLogonEnabled: true })).headers.warning).toBeUndefined();
    expect((await set({ passwordWritebackEnabled: false })).headers.warning).toContain('299');
    await set({ userForcePasswordChangeOnLogonEnabled: false });
  });

  it('sets the accidental deletion prevention', async () => {
    const accidentalDeletionPrevention = { synchronizationPreventionType: 'enabledForPercentage', alertThreshold: 20 };
    await admin().api(path()).patch({ configuration: { accidentalDeletionPrevention } });
    expect((await admin().api(path()).get()).configuration).toEqual({ accidentalDeletionPrevention });
    const tooMany = { accidentalDeletionPrevention: { alertThreshold: 101 } };
    expect((await refusal(admin().api(path()).patch({ configuration: tooMany }))).message).toContain('alertThreshold');
  });

  it('is one truth with the provisioning wire, both ways', async () => {
    const { tenantId, provisioningUrl, caPath } = tenant();
    const client = createProvisioningClient({
      url: provisioningUrl,
      ca: readFileSync(caPath!),
      token: () => tenant().agentToken(),
    });
    try {
      const accidentalDeletionPrevention = { synchronizationPreventionType: 'enabledForCount', alertThreshold: 77 };
      const features = { synchronizeUpnForManagedUsersEnabled: true };
      await admin().api(path()).patch({ features, configuration: { accidentalDeletionPrevention } });
      const seen = await client.getCompanyConfiguration();
      expect(seen.dirSyncFeatures & DirSyncFeature.SynchronizeUpnForManagedUsers).not.toBe(0);
      expect(seen.dirSyncConfiguration.preventAccidentalDeletion).toEqual({
        deletionPrevention: 'EnabledForCount',
        thresholdCount: 77,
        thresholdPercentage: 0,
      });
      const before = (await admin().api(path()).get()).features;
      await client.setCompanyDirsyncFeatures(seen.dirSyncFeatures | DirSyncFeature.DeviceWriteback);
      const after = (await admin().api(path()).get()).features;
      expect(after).toEqual({ ...before, deviceWritebackEnabled: true });
      // What the agent does is written down like everything else.
      const filter = `activityDisplayName eq 'Set DirSync feature' and initiatedBy/app/appId eq '${AGENT.clientId}'`;
      const acts = await tenant()
        .application(['AuditLog.Read.All'])
        .api('/auditLogs/directoryAudits')
        .filter(filter)
        .get();
      expect(acts.value).toMatchObject([{ targetResources: [{ id: tenantId }] }]);
      const [{ oldValue, newValue }] = acts.value[0].targetResources[0].modifiedProperties;
      expect(JSON.parse(newValue)).toHaveLength(JSON.parse(oldValue).length + 1);
      expect(JSON.parse(newValue)).toEqual(expect.arrayContaining([...JSON.parse(oldValue), 'DeviceWriteback']));
      const line = tenant()
        .logText()
        .split('\n')
        .findLast((text) => text.includes('company features set'))!;
      expect(JSON.parse(line).features).toEqual(JSON.parse(newValue));
    } finally {
      await client.close();
    }
  });

  it('names what it does not know', async () => {
    const unknown = await refusal(
      admin()
        .api(path())
        .patch({ features: { passwordSyncEnable: true } }),
    );
    expect(unknown).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
    expect(unknown.message).toContain("'features/passwordSyncEnable'");
    const wrong = await refusal(
      admin()
        .api(path())
        .patch({ features: { passwordSyncEnabled: 'yes' } }),
    );
    expect(wrong.message).toContain("'features/passwordSyncEnabled'");
    const other = await refusal(admin().api('/directory/onPremisesSynchronization/x').patch({ features: {} }));
    expect(other.statusCode).toBe(404);
  });

  it('is for people alone, as in Graph', async () => {
    const app = tenant().application(['OnPremDirectorySynchronization.ReadWrite.All']);
    expect((await refusal(app.api(path()).get())).statusCode).toBe(403);
  });
}

function domains(tenant: Tenant) {
  const admin = () => tenant().application(['Domain.ReadWrite.All']);

  it('lists them, the first managed one as default', async () => {
    const { value } = await admin().api('/domains').get();
    expect(value.map(({ id }: { id: string }) => id)).toEqual(['fed.test', 'phs.test', 'second.test']);
    expect(value.map(({ isDefault }: { isDefault: boolean }) => isDefault)).toEqual([false, true, false]);
    expect(value[0].authenticationType).toBe('Federated');
  });

  it('Microsoft Entra ID supports a separate password expiration policy per registered domain', async () => {
    await admin()
      .api('/domains/phs.test')
      .patch({ passwordValidityPeriodInDays: 60, passwordNotificationWindowInDays: 7 });
    const one = await admin().api('/domains/PHS.test').get();
    expect(one).toMatchObject({ passwordValidityPeriodInDays: 60, passwordNotificationWindowInDays: 7 });
    const other = await admin().api('/domains/second.test').get();
    expect(other.passwordValidityPeriodInDays).toBeNull();
    for (const days of [0, 13, 731, 1.5, 'ninety']) {
      const error = await refusal(admin().api('/domains/phs.test').patch({ passwordValidityPeriodInDays: days }));
      expect(error.message).toContain("'passwordValidityPeriodInDays'");
    }
    await admin().api('/domains/phs.test').patch({ passwordValidityPeriodInDays: 2147483647 });
  });

  it("The Update-MgDomain PowerShell command doesn't work on federated domains", async () => {
    for (const body of [
      { passwordValidityPeriodInDays: 60 },
      { passwordNotificationWindowInDays: 7 },
      { isDefault: true },
    ]) {
      const error = await refusal(admin().api('/domains/fed.test').patch(body));
      expect(error).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
      expect(error.message).toContain('fed.test is a federated domain');
    }
  });

  it('has one default domain', async () => {
    await admin().api('/domains/second.test').patch({ isDefault: true });
    const { value } = await admin().api('/domains').get();
    const defaults = value.filter(({ isDefault }: { isDefault: boolean }) => isDefault);
    expect(defaults.map(({ id }: { id: string }) => id)).toEqual(['second.test']);
    await admin().api('/domains/phs.test').patch({ isDefault: true });
  });

  it('It may be used as a fallback if your federation service experiences an outage', async () => {
    const realm = async () => (await tenant().signInService.realm('someone@fed.test')).type;
    expect(await realm()).toBe('federated');
    await admin().api('/domains/fed.test').patch({ authenticationType: 'Managed' });
    expect(await realm()).toBe('managed');
    await admin().api('/domains/fed.test').patch({ authenticationType: 'Federated' });
    expect(await realm()).toBe('federated');
    await admin().api('/domains/fed.test').patch({ passwordHashFallback: true });
    expect(await realm()).toBe('managed');
    const read = await admin().api('/domains/fed.test').select('passwordHashFallback,federationUrl').get();
    expect(read).toMatchObject({ passwordHashFallback: true, federationUrl: 'https://adfs.fed.test/' });
    await admin().api('/domains/fed.test').patch({ passwordHashFallback: false });
    expect(await realm()).toBe('federated');
  });

  it('asks where a domain that is to be federated sends its users', async () => {
    const error = await refusal(admin().api('/domains/second.test').patch({ authenticationType: 'Federated' }));
    expect(error.message).toContain("'federationUrl'");
    expect((await refusal(admin().api('/domains/none.test').get())).statusCode).toBe(404);
  });
}

function rollout(tenant: Tenant) {
  const admin = () => tenant().delegated(['Directory.ReadWrite.All']);
  const POLICIES = '/policies/featureRolloutPolicies';
  const reference = (id: string) => ({ '@odata.id': `https://graph.microsoft.com/v1.0/directoryObjects/${id}` });
  const newGroup = async (displayName: string): Promise<string> =>
    (await admin().api('/groups').post({ displayName, mailEnabled: false, mailNickname: 'x', securityEnabled: true }))
      .id;
  let users: string[];
  let policy: string;
  let group: string;

  beforeAll(async () => {
    users = await provision(
      tenant(),
      Array.from({ length: 202 }, (_, i) => ({
        sourceAnchor: `rollout-${i}`,
        userPrincipalName: `r${i}@fed.test`,
        displayName: `R ${i}`,
        accountEnabled: true,
      })),
    );
  });

  it('makes a group and its members', async () => {
    group = await newGroup('Pilot');
    await admin().api(`/groups/${group}/members/$ref`).post(reference(users[0]!));
    await admin().api(`/groups/${group}/members/$ref`).post(reference(users[1]!));
    const twice = await refusal(admin().api(`/groups/${group}/members/$ref`).post(reference(users[0]!)));
    expect(twice.message).toContain('already exist');
    const { value } = await admin().api(`/groups/${group}/members`).select('id,userPrincipalName').get();
    expect(value.map(({ userPrincipalName }: { userPrincipalName: string }) => userPrincipalName)).toEqual([
      'r0@fed.test',
      'r1@fed.test',
    ]);
    const count = await tenant().call('GET', `/groups/${group}/members/$count`, {
      token: await tenant().bearer('app', ['Group.Read.All']),
      headers: { consistencylevel: 'eventual' },
    });
    expect(count.text).toBe('2');
    await admin().api(`/groups/${group}/members/${users[1]}/$ref`).delete();
    expect((await refusal(admin().api(`/groups/${group}/members/${users[1]}/$ref`).delete())).statusCode).toBe(404);
    await admin().api(`/groups/${group}`).patch({ description: 'first ones' });
    expect(await admin().api(`/groups/${group}`).get()).toMatchObject({
      displayName: 'Pilot',
      description: 'first ones',
    });
    const found = await admin().api('/groups').filter("startswith(displayName,'Pil')").get();
    expect(found.value.map(({ id }: { id: string }) => id)).toEqual([group]);
  });

  it('takes no group into a group', async () => {
    const other = await newGroup('Other');
    expect((await refusal(admin().api(`/groups/${group}/members/$ref`).post(reference(other)))).statusCode).toBe(404);
    await admin().api(`/groups/${other}`).delete();
    expect((await refusal(admin().api(`/groups/${other}`).get())).statusCode).toBe(404);
  });

  it('Staged Rollout allows you to selectively test groups of users with cloud authentication', async () => {
    const realm = async (name: string) => (await tenant().signInService.realm(name)).type;
    const made = await admin()
      .api(POLICIES)
      .post({ displayName: 'PHS pilot', feature: 'passwordHashSync', isEnabled: true, isAppliedToOrganization: false });
    policy = made.id;
    expect(await realm('r0@fed.test')).toBe('federated');
    const added = await admin().api(`${POLICIES}/${policy}/appliesTo/$ref`).post(reference(group));
    expect(added).toEqual({ directoryObject: { id: group, objectType: 'group' } });
    expect(await realm('r0@fed.test')).toBe('managed');
    expect(await realm('r1@fed.test')).toBe('federated');
    const applies = await admin().api(`${POLICIES}/${policy}/appliesTo`).get();
    expect(applies.value.map(({ id }: { id: string }) => id)).toEqual([group]);
    await admin().api(`${POLICIES}/${policy}`).patch({ isEnabled: false });
    expect(await realm('r0@fed.test')).toBe('federated');
    await admin().api(`${POLICIES}/${policy}`).patch({ isEnabled: true, isAppliedToOrganization: true });
    expect(await realm('r1@fed.test')).toBe('managed');
    await admin().api(`${POLICIES}/${policy}`).patch({ isAppliedToOrganization: false });
  });

  it('has one policy a feature, and PHS and PTA not together', async () => {
    const again = { displayName: 'x', feature: 'passwordHashSync', isEnabled: false };
    expect((await refusal(admin().api(POLICIES).post(again))).message).toContain('property feature already exists');
    const passThrough = { displayName: 'PTA', feature: 'passthroughAuthentication', isEnabled: true };
    expect((await refusal(admin().api(POLICIES).post(passThrough))).message).toContain(
      'together with passwordHashSync',
    );
    const off = await admin()
      .api(POLICIES)
      .post({ ...passThrough, isEnabled: false });
    expect((await refusal(admin().api(`${POLICIES}/${off.id}`).patch({ isEnabled: true }))).statusCode).toBe(400);
    expect((await admin().api(POLICIES).get()).value).toHaveLength(2);
    await admin().api(`${POLICIES}/${off.id}`).delete();
    expect((await refusal(admin().api(`${POLICIES}/${off.id}`).get())).statusCode).toBe(404);
  });

  it('takes ten groups a feature', async () => {
    const more: string[] = [];
    for (let i = 0; i < 9; i++) {
      const id = await newGroup(`Wave ${i}`);
      more.push(id);
      await admin().api(`${POLICIES}/${policy}/appliesTo/$ref`).post(reference(id));
    }
    const eleventh = await newGroup('Eleventh');
    const error = await refusal(admin().api(`${POLICIES}/${policy}/appliesTo/$ref`).post(reference(eleventh)));
    expect(error.message).toContain('at most 10 groups');
    await admin().api(`${POLICIES}/${policy}/appliesTo/${more[0]}/$ref`).delete();
    await admin().api(`${POLICIES}/${policy}/appliesTo/$ref`).post(reference(eleventh));
  });

  it('takes a group of 200 at first, and a larger one not', async () => {
    const big = await newGroup('Big');
    const ids = await tenant().store.database.run((queries) =>
      queries.selectFrom('users').select(['id', 'object_id']).where('object_id', 'in', users).orderBy('id').execute(),
    );
    const add = (rows: typeof ids) =>
      tenant().store.database.run((queries) =>
        queries
          .insertInto('group_members')
          .values(rows.map(({ id }) => ({ group_id: big, user_id: id })))
          .execute(),
      );
    await add(ids.slice(0, 201));
    const first = (await admin().api(`${POLICIES}/${policy}/appliesTo`).get()).value[0].id;
    await admin().api(`${POLICIES}/${policy}/appliesTo/${first}/$ref`).delete();
    const error = await refusal(admin().api(`${POLICIES}/${policy}/appliesTo/$ref`).post(reference(big)));
    expect(error.message).toContain('has 201 members: at most 200');
    const last = (await admin().api(`/groups/${big}/members`).top(999).select('id').get()).value[200].id;
    await admin().api(`/groups/${big}/members/${last}/$ref`).delete();
    await admin().api(`${POLICIES}/${policy}/appliesTo/$ref`).post(reference(big));
    // And from then on more.
    await admin().api(`/groups/${big}/members/$ref`).post(reference(ids[201]!.object_id));
  });

  it('pages through members', async () => {
    const { value } = await admin().api('/groups').filter("displayName eq 'Big'").get();
    const found: string[] = [];
    let next: string | undefined = `/groups/${value[0].id}/members?$top=90&$select=id`;
    while (next !== undefined) {
      const page = await admin().api(next).get();
      found.push(...page.value.map(({ id }: { id: string }) => id));
      next = page['@odata.nextLink'];
    }
    expect(new Set(found).size).toBe(201);
    expect(found).toHaveLength(201);
  });

  it('refuses references to what is no object', async () => {
    for (const id of ['https://evil.test/v1.0/directoryObjects/', "x' OR '1'='1", '', `${group}/../${group}`]) {
      const error = await refusal(admin().api(`/groups/${group}/members/$ref`).post({ '@odata.id': id }));
      expect(error).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
    }
  });
}

function risk(tenant: Tenant) {
  const admin = () => tenant().application(['IdentityRiskyUser.ReadWrite.All', 'IdentityRiskEvent.Read.All']);
  let user: string;

  beforeAll(async () => {
    [user] = (await provision(tenant(), [
      { sourceAnchor: 'risky', userPrincipalName: 'risky@phs.test', displayName: 'Risky', accountEnabled: true },
    ])) as [string];
  });

  it('confirms a user compromised, and dismisses it', async () => {
    await admin()
      .api('/identityProtection/riskyUsers/confirmCompromised')
      .post({ userIds: [user] });
    expect(await admin().api(`/identityProtection/riskyUsers/${user}`).get()).toMatchObject({
      id: user,
      riskLevel: 'high',
      riskState: 'confirmedCompromised',
      riskDetail: 'adminConfirmedUserCompromised',
      userPrincipalName: 'risky@phs.test',
      isDeleted: false,
    });
    const high = await admin().api('/identityProtection/riskyUsers').filter("riskLevel eq 'high'").get();
    expect(high.value.map(({ id }: { id: string }) => id)).toContain(user);
    const detections = await admin().api('/identityProtection/riskDetections').filter(`userId eq '${user}'`).get();
    expect(detections.value).toMatchObject([{ riskEventType: 'adminConfirmedUserCompromised', userId: user }]);
    await admin()
      .api('/identityProtection/riskyUsers/dismiss')
      .post({ userIds: [user] });
    const dismissed = await admin().api(`/identityProtection/riskyUsers/${user}`).select('riskLevel,riskState').get();
    expect(dismissed).toMatchObject({ riskLevel: 'none', riskState: 'dismissed' });
    const still = await admin()
      .api('/identityProtection/riskyUsers')
      .filter("riskState eq 'confirmedCompromised'")
      .get();
    expect(still.value).toEqual([]);
  });

  it('marks none where one of them is unknown', async () => {
    const unknown = '00000000-0000-4000-8000-00000000dead';
    const body = { userIds: [user, unknown] };
    const error = await refusal(admin().api('/identityProtection/riskyUsers/confirmCompromised').post(body));
    expect(error).toMatchObject({ statusCode: 404 });
    expect(error.message).toContain(unknown);
    expect((await admin().api(`/identityProtection/riskyUsers/${user}`).get()).riskState).toBe('dismissed');
  });
}

function logs(tenant: Tenant) {
  const reader = () => tenant().application(['AuditLog.Read.All']);
  const filtered = (collection: string, filter: string) =>
    reader().api(`/auditLogs/${collection}`).filter(filter).get();

  it('has sign-ins, newest first, and pages through them', async () => {
    await tenant()
      .application(['User.ReadWrite.All'])
      .api('/users')
      .post({
        accountEnabled: true,
        displayName: 'Logged',
        userPrincipalName: 'logged@phs.test',
        passwordProfile: { password: PASSWORD, forceChangePasswordNextSignIn: false },
      });
    for (const password of [PASSWORD, 'wrong', PASSWORD]) await tenant().signIn('logged@phs.test', password);
    // The log is written a little behind the sign-ins.
    const { value } = await vi.waitFor(
      async () => {
        const page = await filtered('signIns', "userPrincipalName eq 'LOGGED@phs.test'");
        expect(page.value).toHaveLength(3);
        return page;
      },
      { timeout: 60_000, interval: 50 },
    );
    expect(value.map(({ status }: { status: { errorCode: number } }) => status.errorCode)).toEqual([0, 50126, 0]);
    expect(value[1].status.failureReason).toBe('Error validating credentials due to invalid username or password.');
    expect(value[0]).toMatchObject({ userDisplayName: 'Logged', appId: 'app', ipAddress: '127.0.0.1' });
    const times = value.map(({ createdDateTime }: { createdDateTime: string }) => createdDateTime);
    expect(times).toEqual([...times].sort().reverse());
    expect(JSON.stringify(value)).not.toContain(PASSWORD);

    const first = await reader().api(`/auditLogs/signIns?$top=1&$filter=userId eq '${value[0].userId}'`).get();
    expect(first.value[0].id).toBe(value[0].id);
    const second = await reader().api(first['@odata.nextLink']).get();
    expect(second.value[0].id).toBe(value[1].id);
    expect(await reader().api(`/auditLogs/signIns/${value[1].id}`).get()).toMatchObject({ id: value[1].id });

    const wrong = await filtered(
      'signIns',
      `status/errorCode eq 50126 and appId eq 'app' and userId eq '${value[0].userId}'`,
    );
    expect(wrong.value.map(({ id }: { id: string }) => id)).toEqual([value[1].id]);
    const none = await filtered('signIns', 'createdDateTime lt 2001-01-01T00:00:00Z');
    expect(none.value).toEqual([]);
    const today = await filtered('signIns', `createdDateTime ge ${times[2]} and createdDateTime le ${times[0]}`);
    expect(today.value.length).toBeGreaterThanOrEqual(3);
  });

  it('has renewals by refresh token as sign-ins that are not interactive, the refused ones too', async () => {
    const form = { grant_type: 'password', client_id: 'app', username: 'logged@phs.test', password: PASSWORD };
    const { json } = await tenant().token({ ...form, scope: 'openid offline_access' });
    const renew = (token: string, clientId = 'app') =>
      tenant().token({ grant_type: 'refresh_token', client_id: clientId, refresh_token: token });
    const second = await renew(json.refresh_token);
    expect(second.status).toBe(200);
    expect((await renew(second.json.refresh_token, 'graph-shell')).json.error_codes).toEqual([70000]);
    const user = tenant().application(['User.ReadWrite.All']).api('/users/logged@phs.test');
    await user.patch({ accountEnabled: false });
    expect((await renew(second.json.refresh_token)).json.error_codes).toEqual([50057]);
    await user.patch({ accountEnabled: true });
    // Used a second time; and what nobody was ever given.
    expect((await renew(json.refresh_token)).json.error_codes).toEqual([50173]);
    expect((await renew('nobody-was-given-this')).json.error_codes).toEqual([70000]);
    const value = await vi.waitFor(
      async () => {
        const page = await reader()
          .api('/auditLogs/signIns')
          .filter("userPrincipalName eq 'logged@phs.test'")
          .select('isInteractive,flow,appId,ipAddress,isFamiliarPlace,status,userDisplayName')
          .get();
        const renewals = page.value.filter((entry: { isInteractive: boolean }) => !entry.isInteractive);
        expect(renewals).toHaveLength(4);
        return renewals;
      },
      { timeout: 60_000, interval: 50 },
    );
    // A refusal is told of when its owner is found, which the next one may overtake.
    const told = value.map(
      (entry: { status: { errorCode: number }; appId: string }) => `${entry.status.errorCode} ${entry.appId}`,
    );
    expect(told.sort()).toEqual(['0 app', '50057 app', '50173 app', '70000 graph-shell']);
    for (const entry of value) {
      const common = { flow: 'refresh', ipAddress: '127.0.0.1', isFamiliarPlace: true, userDisplayName: 'Logged' };
      expect(entry).toMatchObject(common);
    }
    const text = JSON.stringify(value) + tenant().logText();
    for (const token of [json.refresh_token, second.json.refresh_token]) expect(text).not.toContain(token);
  });

  it('has administrative acts, by activity, actor and target', async () => {
    const acts = await filtered('directoryAudits', "activityDisplayName eq 'Update domain' and result eq 'success'");
    expect(acts.value.length).toBeGreaterThan(0);
    const validity = acts.value.find(
      (entry: { targetResources: { modifiedProperties: { displayName: string }[] }[] }) =>
        entry.targetResources[0]!.modifiedProperties.some(
          ({ displayName }) => displayName === 'passwordValidityPeriodInDays',
        ),
    );
    expect(validity).toMatchObject({
      category: 'DirectoryManagement',
      initiatedBy: { app: { appId: applicationWith(['Domain.ReadWrite.All']) }, user: null },
      targetResources: [{ id: 'phs.test', type: 'Domain' }],
    });
    const byUser = await filtered('directoryAudits', `initiatedBy/user/id eq '${tenant().administratorId}'`);
    expect(byUser.value.length).toBeGreaterThan(0);
    // Who it was has a name in both kinds, now; an application's is the configuration's, or its id.
    expect(byUser.value[0].initiatedBy).toEqual({
      user: {
        id: tenant().administratorId,
        displayName: 'Administrator',
        userPrincipalName: ADMINISTRATOR.name,
      },
      app: null,
    });
    expect(validity.initiatedBy.app.displayName).toBe(applicationWith(['Domain.ReadWrite.All']));
    const named = await filtered('directoryAudits', `initiatedBy/app/appId eq '${applicationWith(MAKERS)}'`);
    expect(named.value[0].initiatedBy.app).toEqual({ appId: applicationWith(MAKERS), displayName: 'User maker' });
    const byTarget = await filtered('directoryAudits', "targetResources/any(t: t/id eq 'fed.test')");
    expect(byTarget.value.length).toBeGreaterThan(0);
    for (const { targetResources } of byTarget.value) expect(targetResources[0].id).toBe('fed.test');
    const [entry] = byUser.value;
    expect(await reader().api(`/auditLogs/directoryAudits/${entry.id}`).get()).toMatchObject({ id: entry.id });
    const first = await reader().api('/auditLogs/directoryAudits').top(1).get();
    const second = await reader().api(first['@odata.nextLink']).get();
    expect(second.value[0].id).not.toBe(first.value[0].id);
    expect(second.value[0].activityDateTime <= first.value[0].activityDateTime).toBe(true);
  });

  it("gives the caller's correlation id to what it did", async () => {
    const id = '01234567-89ab-4cde-8f01-23456789abcd';
    const { headers } = await tenant().call('PATCH', '/domains/phs.test', {
      token: await tenant().bearer('app', ['Domain.ReadWrite.All']),
      body: { passwordNotificationWindowInDays: 10 },
      headers: { 'client-request-id': id },
    });
    expect(headers['client-request-id']).toBe(id);
    const found = await filtered('directoryAudits', `correlationId eq '${id}'`);
    expect(found.value).toHaveLength(1);
  });
}

function organization(tenant: Tenant) {
  const admin = () => tenant().application(['Organization.ReadWrite.All']);
  const lastSync = async () => {
    const call = admin().api(`/organization/${tenant().tenantId}`).select('onPremisesLastPasswordSyncDateTime');
    return (await call.get()).onPremisesLastPasswordSyncDateTime;
  };

  it('has its name and its domains', async () => {
    const { value } = await admin().api('/organization').get();
    expect(value).toHaveLength(1);
    expect(value[0]).toMatchObject({
      id: tenant().tenantId,
      displayName: 'phsync tenant',
      onPremisesSyncEnabled: true,
    });
    expect(value[0].verifiedDomains.map(({ name }: { name: string }) => name)).toEqual([
      'fed.test',
      'phs.test',
      'second.test',
    ]);
    expect(await lastSync()).toBeNull();
  });

  it('has when a password last came from on premises, however often the cloud has changed some since', async () => {
    const [user] = await provision(tenant(), [{ sourceAnchor: 'sync-1', userPrincipalName: 'synced@phs.test' }]);
    const change = { sourceAnchor: 'sync-1', objectId: undefined, changeDate: new Date('2026-01-01T00:00:00Z') };
    const before = Date.now();
    await tenant().store.applyCredentials(
      [
        {
          ...change,
          ...{ salt: Buffer.alloc(10), hash: Buffer.alloc(32), iterations: 1000, forcePasswordChangeOnLogon: false },
        },
      ],
      { disableExpiration: true, actor: 'agent-1' },
    );
    const at = Date.parse(await lastSync());
    expect(at).toBeGreaterThanOrEqual(before - 1000);
    const { database } = tenant().store;
    await database.run(async (queries) => {
      const row = await queries
        .selectFrom('credential_history')
        .selectAll()
        .where('user_id', 'in', queries.selectFrom('users').select('id').where('object_id', '=', user!))
        .executeTakeFirstOrThrow();
      const { id: _, ...entry } = row;
      const reset = { ...entry, origin: CredentialOrigin.reset, at: row.at + 60_000 };
      await queries
        .insertInto('credential_history')
        .values(Array.from({ length: 300 }, () => reset))
        .execute();
    });
    expect(Date.parse(await lastSync())).toBe(at);
    await purge(database, { retention: { signIns: 30, audit: 30, deletedUsers: 30 }, now: new Date() });
    expect(Date.parse(await lastSync())).toBe(at);
  });

  it('says what to do instead of switching synchronization off', async () => {
    const path = `/organization/${tenant().tenantId}`;
    await admin().api(path).patch({ onPremisesSyncEnabled: true });
    const error = await refusal(admin().api(path).patch({ onPremisesSyncEnabled: false }));
    expect(error).toMatchObject({ statusCode: 400 });
    expect(error.message).toContain('passwordSyncEnabled');
  });
}
