/** Administrators who act at the same moment, and acts whose entry in the audit log cannot be written. */

import { sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { synchronizationFlags } from '#src/tenant/graph/organization/synchronization-features.js';
import { describeGraph, type GraphTenant, provision } from './graph-tenant.js';

const POLICIES = '/policies/featureRolloutPolicies';
const PASSWORD = 'Correct-Horse-7-Battery';
const statuses = async (calls: readonly Promise<{ readonly status: number }>[]) =>
  (await Promise.all(calls)).map(({ status }) => status).sort();

describeGraph('at the same moment', (tenant, dialect) => {
  const patchFeatures = async (features: object) =>
    tenant().call('PATCH', `/directory/onPremisesSynchronization/${tenant().tenantId}`, {
      token: await tenant().bearer('user', ['OnPremDirectorySynchronization.ReadWrite.All']),
      body: { features },
    });
  const rollout = async (method: string, path: string, body?: object) =>
    tenant().call(method, path, {
      token: await tenant().bearer('user', ['Directory.ReadWrite.All']),
      ...(body === undefined ? {} : { body }),
    });
  const reference = (id: string) => ({ '@odata.id': `${tenant().url}/v1.0/directoryObjects/${id}` });

  it('no flag that somebody switched on is lost', async () => {
    expect(new Set(await statuses(synchronizationFlags.map((flag) => patchFeatures({ [flag]: true }))))).toEqual(
      new Set([204]),
    );
    const { json } = await tenant().call('GET', `/directory/onPremisesSynchronization/${tenant().tenantId}`, {
      token: await tenant().bearer('user', ['OnPremDirectorySynchronization.Read.All']),
    });
    expect(Object.values(json.features)).toEqual(synchronizationFlags.map(() => true));
  });

  it('one of ten gets the name', async () => {
    const token = await tenant().bearer('app', ['User.ReadWrite.All']);
    const body = {
      accountEnabled: true,
      displayName: 'Same',
      userPrincipalName: 'same@phs.test',
      passwordProfile: { password: PASSWORD },
    };
    const made = await statuses(Array.from({ length: 10 }, () => tenant().call('POST', '/users', { token, body })));
    expect(made).toEqual([201, ...Array(9).fill(400)]);
    const renamed = await Promise.all(
      ['one', 'two'].map((name) =>
        tenant().call('POST', '/users', { token, body: { ...body, userPrincipalName: `${name}@phs.test` } }),
      ),
    );
    const wanted = { userPrincipalName: 'wanted@phs.test' };
    expect(
      await statuses(renamed.map(({ json }) => tenant().call('PATCH', `/users/${json.id}`, { token, body: wanted }))),
    ).toEqual([204, 400]);
  });

  it('a feature gets no eleventh group, and one policy', async () => {
    const policy = { displayName: 'P', feature: 'passwordHashSync', isEnabled: true };
    expect(await statuses([1, 2, 3].map(() => rollout('POST', POLICIES, policy)))).toEqual([201, 400, 400]);
    const { json } = await rollout('GET', POLICIES);
    const groups = await Promise.all(
      Array.from({ length: 14 }, (_, i) => rollout('POST', '/groups', { displayName: `G${i}` })),
    );
    const added = await statuses(
      groups.map((group) =>
        rollout('POST', `${POLICIES}/${json.value[0].id}/appliesTo/$ref`, reference(group.json.id)),
      ),
    );
    expect(added).toEqual([...Array(10).fill(201), ...Array(4).fill(400)]);
    const exclusive = [
      rollout('PATCH', `${POLICIES}/${json.value[0].id}`, { isEnabled: true }),
      rollout('POST', POLICIES, { displayName: 'X', feature: 'passthroughAuthentication', isEnabled: true }),
    ];
    expect(await statuses(exclusive)).toEqual([204, 400]);
  });

  it('a domain is the default one', async () => {
    const token = await tenant().bearer('app', ['Domain.ReadWrite.All']);
    const domains = ['phs.test', 'second.example'];
    const body = { isDefault: true };
    await Promise.all(
      domains.flatMap((id) => [1, 2, 3].map(() => tenant().call('PATCH', `/domains/${id}`, { token, body }))),
    );
    const { json } = await tenant().call('GET', '/domains', { token });
    expect(json.value.filter(({ isDefault }: { isDefault: boolean }) => isDefault)).toHaveLength(1);
  });

  describe('where the audit log cannot be written', () => {
    let user: string;
    beforeAll(async () => {
      [user] = (await provision(tenant(), [
        { sourceAnchor: 'a', userPrincipalName: 'a@phs.test', displayName: 'A', accountEnabled: true },
      ])) as [string];
      await refuseAudit(tenant(), dialect);
    });

    it.each<[string, string, object | undefined, 'user' | 'app', string]>([
      ['PATCH', '/domains/phs.test', { passwordValidityPeriodInDays: 33 }, 'app', 'Domain.ReadWrite.All'],
      ['PATCH', '/users/USER', { accountEnabled: false }, 'app', 'User.ReadWrite.All'],
      ['DELETE', '/users/USER', undefined, 'app', 'User.ReadWrite.All'],
      [
        'POST',
        '/users',
        {
          accountEnabled: true,
          displayName: 'Never',
          userPrincipalName: 'never@phs.test',
          passwordProfile: { password: 'Winding-Stairs-77' },
        },
        'app',
        'User.ReadWrite.All',
      ],
      ['POST', '/users/USER/revokeSignInSessions', undefined, 'app', 'User.RevokeSessions.All'],
      ['POST', '/groups', { displayName: 'Never' }, 'app', 'Group.ReadWrite.All'],
      [
        'POST',
        '/identityProtection/riskyUsers/dismiss',
        { userIds: ['USER'] },
        'app',
        'IdentityRiskyUser.ReadWrite.All',
      ],
      [
        'PATCH',
        '/directory/onPremisesSynchronization/TENANT',
        { features: { blockSoftMatchEnabled: false } },
        'user',
        'OnPremDirectorySynchronization.ReadWrite.All',
      ],
    ])('%s %s is not done', async (method, path, body, kind, permission) => {
      const named = (text: string) => text.replace('USER', user).replace('TENANT', tenant().tenantId);
      const before = await everything(tenant());
      const reply = await tenant().call(method, named(path), {
        token: await tenant().bearer(kind, [permission]),
        ...(body === undefined ? {} : { body: named(JSON.stringify(body)) }),
      });
      expect(reply.status).toBe(500);
      expect(reply.json.error.code).toBe('InternalServerError');
      expect(reply.text).not.toMatch(/SQL|trigger|audit_events/i);
      expect(await everything(tenant())).toEqual(before);
    });
  });
});

async function refuseAudit({ store }: GraphTenant, dialect: 'sqlite' | 'postgres'): Promise<void> {
  const statements =
    dialect === 'sqlite'
      ? ["CREATE TRIGGER no_audit BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'disk full'); END"]
      : ['ALTER TABLE audit_events ADD CONSTRAINT no_audit CHECK (at < 0) NOT VALID'];
  await store.database.run(async (queries) => {
    for (const statement of statements) await sql.raw(statement).execute(queries);
  });
}

/** What the acts would have changed. */
const everything = ({ store }: GraphTenant) =>
  store.database.run(async (queries) => ({
    users: await queries.selectFrom('users').selectAll().orderBy('id').execute(),
    credentials: await queries.selectFrom('credentials').selectAll().orderBy('user_id').execute(),
    history: await queries.selectFrom('credential_history').selectAll().orderBy('id').execute(),
    domains: await queries.selectFrom('domains').selectAll().orderBy('name').execute(),
    groups: await queries.selectFrom('groups').selectAll().orderBy('group_id').execute(),
    risky: await queries.selectFrom('risky_users').selectAll().execute(),
    tenant: await queries.selectFrom('tenant').selectAll().execute(),
  }));
