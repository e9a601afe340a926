/** `/v1.0/users` through Microsoft's own client, on SQLite and PostgreSQL. */

import { beforeAll, describe, expect, it } from 'vitest';
import { sidFromText } from '#src/protocol/dtyp/sid.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { setFeatures } from '../features.js';
import { describeGraph, type GraphTenant, provision, refusal } from './graph-tenant.js';

const PASSWORD = 'Correct-Horse-7-Battery';
const alice = { name: 'alice@phs.test', password: PASSWORD };

const config = {
  domains: [
    { name: 'phs.test' },
    { name: 'fed.test', authenticationType: 'Federated', federationUrl: 'https://adfs.fed.test/' },
  ],
};

describeGraph('users', suite, { config });

function suite(theTenant: () => GraphTenant) {
  let tenant: GraphTenant;
  let synchronized: string;
  const admin = () =>
    tenant.delegated(['User.ReadWrite.All', 'User-PasswordProfile.ReadWrite.All', 'AuditLog.Read.All']);

  beforeAll(async () => {
    tenant = theTenant();
    [synchronized] = (await provision(tenant, [
      {
        sourceAnchor: 'AAAAAAAAAAAAAAAAAAAAAA==',
        userPrincipalName: 'Alice@phs.test',
        displayName: 'Alice Liddell',
        givenName: 'Alice',
        surname: 'Liddell',
        mail: 'alice@phs.test',
        accountEnabled: true,
        onPremisesSamAccountName: 'alice',
        onPremisesDistinguishedName: 'CN=Alice,DC=phs,DC=test',
        onPremisesSecurityIdentifier: sidFromText('S-1-5-21-1-2-3-1104'),
        dnsDomainName: 'phs.test',
        netBiosName: 'PHS',
        lastPasswordChange: null,
      },
    ])) as [string];
  });
  it('reads a synchronized user, by id and by name in any case', async () => {
    const client = tenant.application(['User.Read.All']);
    const byId = await client.api(`/users/${synchronized}`).get();
    expect(byId).toEqual({
      '@odata.context': `${tenant.url}/v1.0/$metadata#users/$entity`,
      id: synchronized,
      userPrincipalName: 'Alice@phs.test',
      displayName: 'Alice Liddell',
      givenName: 'Alice',
      surname: 'Liddell',
      mail: 'alice@phs.test',
    });
    const byName = await client
      .api('/users/aLICE@phs.test')
      .select(['onPremisesSecurityIdentifier', 'onPremisesImmutableId', 'onPremisesSyncEnabled', 'accountEnabled'])
      .get();
    expect(byName).toMatchObject({
      onPremisesSecurityIdentifier: 'S-1-5-21-1-2-3-1104',
      onPremisesImmutableId: 'AAAAAAAAAAAAAAAAAAAAAA==',
      onPremisesSyncEnabled: true,
      accountEnabled: true,
    });
  });

  it('makes a user of the cloud, who signs in with that password', async () => {
    const user = await admin()
      .api('/users')
      .post({
        accountEnabled: true,
        displayName: 'Bob',
        mailNickname: 'bob',
        userPrincipalName: 'bob@phs.test',
        passwordProfile: { password: PASSWORD, forceChangePasswordNextSignIn: false },
      });
    expect(user).toMatchObject({ userPrincipalName: 'bob@phs.test', displayName: 'Bob' });
    expect(JSON.stringify(user)).not.toContain(PASSWORD);
    const { status } = await tenant.signIn('bob@phs.test', PASSWORD);
    expect(status).toBe(200);
    const read = await admin()
      .api(`/users/${user.id}`)
      .select('onPremisesSyncEnabled,lastPasswordChangeDateTime')
      .get();
    expect(read.onPremisesSyncEnabled).toBeNull();
    expect(Date.parse(read.lastPasswordChangeDateTime)).toBeGreaterThan(Date.now() - 60_000);
  });

  it('Passwords for users that are created directly in the cloud are still subject to password policies as defined in the cloud', async () => {
    const weak = await refusal(
      admin()
        .api('/users')
        .post({
          accountEnabled: true,
          displayName: 'Weak',
          userPrincipalName: 'weak@phs.test',
          passwordProfile: { password: 'password' },
        }),
    );
    expect(weak).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
    expect((await refusal(admin().api('/users/weak@phs.test').get())).statusCode).toBe(404);
  });

  it('refuses a second user of a name', async () => {
    const error = await refusal(
      admin()
        .api('/users')
        .post({
          accountEnabled: true,
          displayName: 'Alice the second',
          userPrincipalName: 'ALICE@phs.test',
          passwordProfile: { password: PASSWORD },
        }),
    );
    expect(error).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
    expect(error.message).toContain('userPrincipalName already exists');
  });

  it('Update-MgUser -PasswordPolicies "DisablePasswordExpiration"', async () => {
    await admin().api(`/users/${synchronized}`).patch({ passwordPolicies: 'DisablePasswordExpiration' });
    // (Get-MgUser -UserId <User Object ID> -Property PasswordPolicies).PasswordPolicies
    const user = await admin().api(`/users/${synchronized}`).select('PasswordPolicies').get();
    expect(user.passwordPolicies).toBe('DisablePasswordExpiration');
    const wrong = await refusal(admin().api(`/users/${synchronized}`).patch({ passwordPolicies: 'Never' }));
    expect(wrong.message).toContain("'passwordPolicies'");
  });

  it('An administrator can manually reset your password directly', async () => {
    await admin()
      .api(`/users/${synchronized}`)
      .patch({ passwordProfile: { password: PASSWORD, forceChangePasswordNextSignIn: false } });
    expect((await tenant.signIn('alice@phs.test', PASSWORD)).status).toBe(200);
    expect(tenant.logText()).not.toContain(PASSWORD);
  });

  it("refuses what is mastered on premises, and takes what is the cloud's", async () => {
    const error = await refusal(admin().api(`/users/${synchronized}`).patch({ displayName: 'Mallory', surname: 'M' }));
    expect(error).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
    expect(error.message).toMatch(/on-premises mastered.*displayName, surname/);
    await admin().api(`/users/${synchronized}`).patch({ accountEnabled: false });
    expect((await tenant.signIn('alice@phs.test', PASSWORD)).json.error_codes).toEqual([50057]);
    await admin().api(`/users/${synchronized}`).patch({ accountEnabled: true });
  });

  it("The Update-MgUser PowerShell command doesn't work on federated domains", async () => {
    const [id] = await provision(tenant, [
      { sourceAnchor: 'fed-1', userPrincipalName: 'fred@fed.test', displayName: 'Fred', accountEnabled: true },
    ]);
    for (const body of [
      { passwordPolicies: 'None' },
      { passwordProfile: { password: PASSWORD } },
      { passwordProfile: { forceChangePasswordNextSignIn: true } },
    ]) {
      const error = await refusal(admin().api(`/users/${id}`).patch(body));
      expect(error).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
      expect(error.message).toContain('fed.test is a federated domain');
    }
  });

  it('forces a change of password at the next sign-in without a new password', async () => {
    await admin()
      .api('/users/bob@phs.test')
      .patch({ passwordProfile: { forceChangePasswordNextSignIn: true } });
    expect((await tenant.signIn('bob@phs.test', PASSWORD)).json.error_codes).toEqual([50055]);
    await admin()
      .api('/users/bob@phs.test')
      .patch({ passwordProfile: { forceChangePasswordNextSignIn: false } });
    expect((await tenant.signIn('bob@phs.test', PASSWORD)).status).toBe(200);
  });

  it('"You should only use this feature when SSPR and Password Writeback are enabled on the tenant": warns who forces a synchronized user', async () => {
    const token = await tenant.bearer('user', ['User-PasswordProfile.ReadWrite.All']);
    const patch = async (user: string, passwordProfile: object) => {
      const reply = await tenant.call('PATCH', `/users/${user}`, { token, body: { passwordProfile } });
      expect(reply.status).toBe(204);
      return reply.headers.warning;
    };
    const warning = expect.stringMatching(/^299 - "passwordWritebackEnabled is off: /);
    const password = 'Cloudy.Day.Reset.9';
    expect(await patch(synchronized, { forceChangePasswordNextSignIn: true })).toEqual(warning);
    expect(await patch(synchronized, { password })).toEqual(warning);
    expect(await patch('bob@phs.test', { password: PASSWORD, forceChangePasswordNextSignIn: true })).toBeUndefined();
    await setFeatures(tenant.store, DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
    expect(await patch(synchronized, { forceChangePasswordNextSignIn: true })).toBeUndefined();
    await setFeatures(tenant.store, DirSyncFeature.PasswordHashSync);
    expect(
      await patch(synchronized, { password: alice.password, forceChangePasswordNextSignIn: false }),
    ).toBeUndefined();
    expect(await patch('bob@phs.test', { forceChangePasswordNextSignIn: false })).toBeUndefined();
  });

  it('renames a user of the cloud, to a free name of a domain of the tenant', async () => {
    await admin().api('/users/bob@phs.test').patch({ userPrincipalName: 'Robert@phs.test', displayName: 'Robert' });
    expect((await admin().api('/users/robert@phs.test').get()).displayName).toBe('Robert');
    for (const userPrincipalName of ['alice@phs.test', 'robert@elsewhere.test', 'robert']) {
      const error = await refusal(admin().api('/users/robert@phs.test').patch({ userPrincipalName }));
      expect(error.statusCode).toBe(400);
      expect(error.message).toContain('userPrincipalName');
    }
  });

  it('resets no password where the rest of the request is refused', async () => {
    const passwordProfile = { password: 'Another.Long-Secret.7', forceChangePasswordNextSignIn: false };
    for (const userPrincipalName of ['alice@phs.test', 'robert@elsewhere.test']) {
      const error = await refusal(admin().api('/users/robert@phs.test').patch({ userPrincipalName, passwordProfile }));
      expect(error.statusCode).toBe(400);
      expect((await tenant.signIn('robert@phs.test', PASSWORD)).status).toBe(200);
    }
  });

  it('deletes a user, and is asked for again in vain', async () => {
    await admin().api('/users/robert@phs.test').delete();
    expect(await refusal(admin().api('/users/robert@phs.test').get())).toMatchObject({
      statusCode: 404,
      code: 'Request_ResourceNotFound',
    });
    expect((await tenant.signIn('robert@phs.test', PASSWORD)).json.error_codes).toEqual([50126]);
  });

  it('writes every change down in the audit log, without a password', async () => {
    const log = await admin().api('/auditLogs/directoryAudits').top(999).get();
    const activities = new Set(
      log.value.map(({ activityDisplayName }: { activityDisplayName: string }) => activityDisplayName),
    );
    for (const activity of ['Add user', 'Update user', 'Disable account', 'Delete user', 'Reset user password']) {
      expect(activities).toContain(activity);
    }
    expect(JSON.stringify(log)).not.toContain(PASSWORD);
  });

  it('shows its own user at /me', async () => {
    const me = await tenant.delegated(['User.Read'], alice).api('/me').get();
    expect(me.id).toBe(synchronized);
    const other = await refusal(tenant.delegated(['User.Read'], alice).api('/users/fred@fed.test').get());
    expect(other).toMatchObject({ statusCode: 403, code: 'Authorization_RequestDenied' });
    const own = await tenant.delegated(['User.Read'], alice).api('/users/alice@phs.test').get();
    expect(own.id).toBe(synchronized);
  });

  describe('lists', () => {
    const MANY = 25;
    const name = (i: number) => `member${String(i).padStart(3, '0')}@phs.test`;
    beforeAll(async () => {
      const users = Array.from({ length: MANY }, (_, i) => ({
        sourceAnchor: `many-${i}`,
        userPrincipalName: name(i),
        displayName: `Member ${i}`,
        accountEnabled: i % 5 !== 0,
      }));
      await provision(tenant, users);
    });

    /** All pages, as the client's links lead from one to the next. */
    async function all(path: string): Promise<{ userPrincipalName: string }[]> {
      const client = tenant.application(['User.Read.All']);
      const found: { userPrincipalName: string }[] = [];
      for (let next: string | undefined = path; next !== undefined; ) {
        const page: { value: { userPrincipalName: string }[]; '@odata.nextLink'?: string } = await client
          .api(next)
          .get();
        found.push(...page.value);
        next = page['@odata.nextLink'];
      }
      return found;
    }

    it('pages through all users, each once', async () => {
      const names = (await all('/users?$top=7&$select=userPrincipalName')).map((user) => user.userPrincipalName);
      expect(new Set(names).size).toBe(names.length);
      for (let i = 0; i < MANY; i++) expect(names).toContain(name(i));
      expect(names).not.toContain('Robert@phs.test');
    });

    it('finds by the beginning of the name, in the order of names', async () => {
      const filter = encodeURIComponent("startswith(userPrincipalName,'MEMBER01')");
      const names = (await all(`/users?$top=3&$filter=${filter}`)).map((user) => user.userPrincipalName);
      expect(names).toEqual(Array.from({ length: 10 }, (_, i) => name(10 + i)));
    });

    it('finds the disabled ones, and those of the cloud alone', async () => {
      const disabled = await all(
        `/users?$top=2&$filter=${encodeURIComponent("accountEnabled eq false and startswith(userPrincipalName,'member')")}`,
      );
      expect(disabled.map((user) => user.userPrincipalName)).toEqual([0, 5, 10, 15, 20].map(name));
      const both = await all(
        `/users?$filter=${encodeURIComponent(`id in ('${synchronized}','x') and onPremisesSyncEnabled eq true`)}`,
      );
      expect(both.map((user) => user.userPrincipalName)).toEqual(['Alice@phs.test']);
      const cloud = await all('/users?$filter=onPremisesSyncEnabled eq false');
      expect(cloud.map((user) => user.userPrincipalName)).toEqual(['root@phs.test']);
    });

    it('finds by name and by anchor', async () => {
      for (const filter of [
        "userPrincipalName eq 'ALICE@phs.test'",
        "userprincipalname eq 'alice@phs.test'",
        "onPremisesImmutableId eq 'AAAAAAAAAAAAAAAAAAAAAA=='",
      ]) {
        const found = await tenant.application(['User.Read.All']).api('/users').filter(filter).get();
        expect(found.value.map(({ id }: { id: string }) => id)).toEqual([synchronized]);
      }
    });

    it('counts with ConsistencyLevel: eventual', async () => {
      const client = tenant.application(['User.Read.All']);
      const filter = "startswith(userPrincipalName,'member')";
      const page = await client
        .api('/users')
        .header('ConsistencyLevel', 'eventual')
        .filter(filter)
        .count(true)
        .top(2)
        .get();
      expect(page['@odata.count']).toBe(MANY);
      expect(page.value).toHaveLength(2);
      const without = await client.api('/users').filter(filter).count(true).get();
      expect(without['@odata.count']).toBeUndefined();
      const eventual = {
        token: await tenant.bearer('app', ['User.Read.All']),
        headers: { ConsistencyLevel: 'eventual' },
      };
      const plain = await tenant.call('GET', `/users/$count?$filter=${encodeURIComponent(filter)}`, eventual);
      expect(plain).toMatchObject({ status: 200, text: String(MANY) });
    });
  });
}
