/** Who may call what, and what hostile requests come to. */

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { GraphRoute } from '#src/tenant/graph/route.js';
import { graphRoutes } from '#src/tenant/graph/routes.js';
import { PROVISIONING_RESOURCE } from '#src/tenant/oidc/tokens.js';
import { describePostgres } from '../../postgres.js';
import { type Reply, temporaryDirectory, testHasher } from '../harness.js';
import { checkReply } from './conformance.js';
import { ADMINISTRATOR, type GraphTenant, provision, startGraphTenant } from './graph-tenant.js';

const hasher = testHasher();
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let tenant: GraphTenant;
let user: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  tenant = await startGraphTenant({ stateDir: directory.path, hasher });
  [user] = (await provision(tenant, [
    { sourceAnchor: 'a', userPrincipalName: "o'hara@phs.test", displayName: "O'Hara", accountEnabled: true },
  ])) as [string];
});
afterAll(async () => {
  await tenant.close();
  await directory.remove();
  await hasher.close();
});

/** Of Graph's own shape, and with the ids of the request. */
function expectError(reply: Reply, status: number, code: string): void {
  expect(reply.status, reply.text).toBe(status);
  checkReply('GET', '/', status, reply.json);
  const { error } = reply.json;
  expect(error.code).toBe(code);
  expect(error.innerError['request-id']).toBe(reply.headers['request-id']);
  expect(error.innerError['client-request-id']).toBe(reply.headers['client-request-id']);
}

const addressed = (path: string) => path.replace(/\{\w+\}/g, () => randomUUID());

/** Good for a part of the call: for oneself, or for one property. */
const isPartial = (permission: string, { method, path }: GraphRoute) =>
  path === '/users/{id}' &&
  (method === 'GET'
    ? ['User.Read', 'User.ReadWrite'].includes(permission)
    : method === 'PATCH' && !['User.ReadWrite.All', 'Directory.ReadWrite.All'].includes(permission));

describe.each(graphRoutes.map((route) => [`${route.method} ${route.path}`, route] as const))('%s', (_name, route) => {
  const call = async (token?: string) => {
    const reply = await tenant.call(route.method, addressed(route.path), {
      ...(token === undefined ? {} : { token }),
      ...(route.body === undefined ? {} : { body: {} }),
    });
    // The tokens that the tests share are good again.
    if (route.path === '/me/revokeSignInSessions') {
      await tenant.store.database.run((queries) =>
        queries.updateTable('users').set({ sessions_valid_from: null }).execute(),
      );
    }
    return reply;
  };

  it('demands a token', async () => {
    const reply = await call();
    expectError(reply, 401, 'InvalidAuthenticationToken');
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer realm="", authorization_uri="https:\/\/.*\/authorize"/);
  });

  it('refuses a token without a permission of its own, of an application and of a person', async () => {
    expectError(await call(await tenant.bearer('app', [])), 403, 'Authorization_RequestDenied');
    const { delegated, application } = route.permissions;
    const other = ['Organization.Read.All', 'AuditLog.Read.All'];
    const wrong = other.find((name) => !delegated.includes(name) && !application.includes(name))!;
    expectError(await call(await tenant.bearer('user', [wrong])), 403, 'Authorization_RequestDenied');
    expectError(await call(await tenant.bearer('app', [wrong])), 403, 'Authorization_RequestDenied');
  });

  it('lets each of its permissions in, and no other kind of caller', async () => {
    const { delegated, application } = route.permissions;
    for (const name of new Set([...delegated, ...application])) {
      for (const [kind, names] of [['user', delegated] as const, ['app', application] as const]) {
        const { status } = await call(await tenant.bearer(kind, [name]));
        const needsMore = isPartial(name, route);
        expect(status === 403, `${kind} ${name}: ${status}`).toBe(needsMore || !names.includes(name));
        expect(status).not.toBe(401);
      }
    }
  });

  it('says that another method is not allowed', async () => {
    const offered = graphRoutes.filter(({ path }) => path === route.path).map(({ method }) => method);
    const other = ['PUT', 'POST'].find((method) => !(offered as string[]).includes(method))!;
    const reply = await tenant.call(other, addressed(route.path), { token: await tenant.bearer('app', []) });
    expectError(reply, 405, 'Request_BadRequest');
    expect(String(reply.headers.allow).split(', ').sort()).toEqual([...offered].sort());
  });
});

/** Microsoft's documentation of each call: the least privileged permission, delegated and of applications. */
const LEAST: Readonly<Record<string, readonly [string, string | undefined]>> = {
  'GET /users': ['User.ReadBasic.All', 'User.Read.All'],
  'GET /users/$count': ['User.ReadBasic.All', 'User.Read.All'],
  'GET /users/{id}': ['User.Read', 'User.Read.All'],
  'GET /me': ['User.Read', undefined],
  'POST /users': ['User.ReadWrite.All', 'User.ReadWrite.All'],
  'PATCH /users/{id}': ['User.EnableDisableAccount.All', 'User.EnableDisableAccount.All'],
  'DELETE /users/{id}': ['User.ReadWrite.All', 'User.ReadWrite.All'],
  'POST /users/{id}/revokeSignInSessions': ['User.RevokeSessions.All', 'User.RevokeSessions.All'],
  'POST /me/revokeSignInSessions': ['User.RevokeSessions.All', undefined],
  'GET /organization': ['User.Read', 'Organization.Read.All'],
  'GET /organization/{id}': ['User.Read', 'Organization.Read.All'],
  'PATCH /organization/{id}': ['Organization.ReadWrite.All', 'Organization.ReadWrite.All'],
  'GET /domains': ['Domain.Read.All', 'Domain.Read.All'],
  'GET /domains/{id}': ['Domain.Read.All', 'Domain.Read.All'],
  'PATCH /domains/{id}': ['Domain.ReadWrite.All', 'Domain.ReadWrite.All'],
  'GET /directory/onPremisesSynchronization': ['OnPremDirectorySynchronization.Read.All', undefined],
  'GET /directory/onPremisesSynchronization/{id}': ['OnPremDirectorySynchronization.Read.All', undefined],
  'PATCH /directory/onPremisesSynchronization/{id}': ['OnPremDirectorySynchronization.ReadWrite.All', undefined],
  'GET /groups': ['GroupMember.Read.All', 'GroupMember.Read.All'],
  'POST /groups': ['Group.ReadWrite.All', 'Group.ReadWrite.All'],
  'GET /groups/{id}': ['GroupMember.Read.All', 'GroupMember.Read.All'],
  'PATCH /groups/{id}': ['Group.ReadWrite.All', 'Group.ReadWrite.All'],
  'DELETE /groups/{id}': ['Group.ReadWrite.All', 'Group.ReadWrite.All'],
  'GET /groups/{id}/members': ['GroupMember.Read.All', 'GroupMember.Read.All'],
  'GET /groups/{id}/members/$count': ['GroupMember.Read.All', 'GroupMember.Read.All'],
  'POST /groups/{id}/members/$ref': ['GroupMember.ReadWrite.All', 'GroupMember.ReadWrite.All'],
  'DELETE /groups/{id}/members/{memberId}/$ref': ['GroupMember.ReadWrite.All', 'GroupMember.ReadWrite.All'],
  ...Object.fromEntries(
    ['GET ', 'POST ', 'GET /{id}', 'PATCH /{id}', 'DELETE /{id}', 'GET /{id}/appliesTo', 'POST /{id}/appliesTo/$ref']
      .concat('DELETE /{id}/appliesTo/{groupId}/$ref')
      .map((call) => [
        call.replace(' ', ' /policies/featureRolloutPolicies'),
        ['Policy.ReadWrite.HybridAuthentication', undefined] as const,
      ]),
  ),
  'GET /identityProtection/riskyUsers': ['IdentityRiskyUser.Read.All', 'IdentityRiskyUser.Read.All'],
  'GET /identityProtection/riskyUsers/{id}': ['IdentityRiskyUser.Read.All', 'IdentityRiskyUser.Read.All'],
  'POST /identityProtection/riskyUsers/dismiss': ['IdentityRiskyUser.ReadWrite.All', 'IdentityRiskyUser.ReadWrite.All'],
  'POST /identityProtection/riskyUsers/confirmCompromised': [
    'IdentityRiskyUser.ReadWrite.All',
    'IdentityRiskyUser.ReadWrite.All',
  ],
  'GET /identityProtection/riskDetections': ['IdentityRiskEvent.Read.All', 'IdentityRiskEvent.Read.All'],
  'GET /auditLogs/signIns': ['AuditLog.Read.All', 'AuditLog.Read.All'],
  'GET /auditLogs/signIns/{id}': ['AuditLog.Read.All', 'AuditLog.Read.All'],
  'GET /auditLogs/directoryAudits': ['AuditLog.Read.All', 'AuditLog.Read.All'],
  'GET /auditLogs/directoryAudits/{id}': ['AuditLog.Read.All', 'AuditLog.Read.All'],
};

/** Azure's resource has roles of Azure in place of Graph's permissions: these are phsync's own, for people alone. */
const READ_SERVICES = ['DomainServices.Read.All', undefined] as const;
const WRITE_SERVICES = ['DomainServices.ReadWrite.All', undefined] as const;
const SERVICES = '/providers/Microsoft.AAD/domainServices';
const OWN: typeof LEAST = {
  [`GET ${SERVICES}`]: READ_SERVICES,
  [`GET ${SERVICES}/{name}`]: READ_SERVICES,
  [`PUT ${SERVICES}/{name}`]: WRITE_SERVICES,
  [`PATCH ${SERVICES}/{name}`]: WRITE_SERVICES,
  [`DELETE ${SERVICES}/{name}`]: WRITE_SERVICES,
  [`POST ${SERVICES}/{name}/addCertificate`]: WRITE_SERVICES,
  [`POST ${SERVICES}/{name}/removeCertificate`]: WRITE_SERVICES,
};

it('the permissions of every call are those of Microsoft Graph', () => {
  const least = { ...LEAST, ...OWN };
  expect(graphRoutes.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(Object.keys(least).sort());
  for (const { method, path, permissions } of graphRoutes) {
    const [delegated, application] = least[`${method} ${path}`]!;
    expect(permissions.delegated, `${method} ${path}`).toContain(delegated);
    if (application === undefined) expect(permissions.application, `${method} ${path}`).toEqual([]);
    else expect(permissions.application, `${method} ${path}`).toContain(application);
    // What only reads never lets a change in.
    const reading = [...permissions.delegated, ...permissions.application].filter((name) =>
      /\.Read(Basic)?(\.All)?$/.test(name),
    );
    if (method !== 'GET') expect(reading, `${method} ${path}`).toEqual([]);
  }
});

it('the OpenAPI document is there without a token', async () => {
  const { status, json } = await tenant.get('/v1.0/openapi.json');
  expect(status).toBe(200);
  expect(json.servers).toEqual([{ url: `${tenant.url}/v1.0` }]);
  expect(json.paths['/users'].get.operationId).toBe('user.list');
});

describe('tokens', () => {
  it.each([
    ['no bearer', 'Basic cm9vdDpyb290'],
    ['nothing behind', 'Bearer '],
    ['no token', 'Bearer not.a.token'],
    ['two tokens', 'Bearer a b'],
    ['a line more', 'Bearer a, Bearer b'],
  ])('%s', async (_name, authorization) => {
    expectError(await tenant.call('GET', '/users', { headers: { authorization } }), 401, 'InvalidAuthenticationToken');
  });

  it('of another resource are refused', async () => {
    const agent = await tenant.agentToken();
    const reply = await tenant.call('GET', '/users', { token: agent });
    expectError(reply, 401, 'InvalidAuthenticationToken');
    expect(reply.json.error.message).toContain('audience');
    expect(PROVISIONING_RESOURCE).not.toBe('https://graph.microsoft.com');
  });

  it('are looked at before the body, and before what there is', async () => {
    const big = 'x'.repeat(1_000_000);
    expectError(await tenant.call('POST', '/users', { body: big }), 401, 'InvalidAuthenticationToken');
    expectError(await tenant.call('GET', '/nothing/here'), 401, 'InvalidAuthenticationToken');
  });
});

describe('permissions within a call', () => {
  const patch = async (permission: string, body: object) =>
    (await tenant.call('PATCH', `/users/${user}`, { token: await tenant.bearer('app', [permission]), body })).status;

  it('of passwords, of enabling accounts and of everything else are apart', async () => {
    const password = { passwordProfile: { password: 'Another-Horse-8-Battery' } };
    expect(await patch('User.ReadWrite.All', password)).toBe(403);
    expect(await patch('User-PasswordProfile.ReadWrite.All', password)).toBe(204);
    expect(await patch('User-PasswordProfile.ReadWrite.All', { accountEnabled: false })).toBe(403);
    expect(await patch('User.EnableDisableAccount.All', { accountEnabled: true })).toBe(204);
    expect(await patch('User.EnableDisableAccount.All', { passwordPolicies: 'None' })).toBe(403);
    expect(await patch('User.ReadWrite.All', { passwordPolicies: 'None', accountEnabled: true })).toBe(204);
    expect(await patch('User-PasswordProfile.ReadWrite.All', { ...password, passwordPolicies: 'None' })).toBe(403);
    expect(await patch('User.EnableDisableAccount.All', {})).toBe(403);
  });

  it("make nobody an administrator, by a name or by an administrator's password", async () => {
    const asApp = async (permission: string, method: string, path: string, body?: object) => {
      const token = await tenant.bearer('app', [permission]);
      return (await tenant.call(method, path, { token, ...(body === undefined ? {} : { body }) })).status;
    };
    const root = `/users/${tenant.administratorId}`;
    const password = { passwordProfile: { password: 'Taken-Over-9-Easily' } };
    const chief = { userPrincipalName: 'CHIEF@phs.test' };
    const newUser = { accountEnabled: true, displayName: 'X', ...chief, ...password };
    expect(await asApp('User-PasswordProfile.ReadWrite.All', 'PATCH', root, password)).toBe(403);
    expect(await asApp('User.EnableDisableAccount.All', 'PATCH', root, { accountEnabled: false })).toBe(403);
    expect(await asApp('User.ReadWrite.All', 'PATCH', root, { userPrincipalName: 'x@phs.test' })).toBe(403);
    expect(await asApp('User.ReadWrite.All', 'DELETE', root)).toBe(403);
    expect(await asApp('User.ReadWrite.All', 'POST', '/users', newUser)).toBe(403);
    const other = { ...newUser, userPrincipalName: 'climber@phs.test' };
    expect(await asApp('User.ReadWrite.All', 'POST', '/users', other)).toBe(201);
    expect(await asApp('User.ReadWrite.All', 'PATCH', '/users/climber@phs.test', chief)).toBe(403);
    expect((await tenant.signIn(ADMINISTRATOR.name, ADMINISTRATOR.password)).status).toBe(200);
    // What gives nobody anything is not refused, nor is the permission that hands out roles.
    expect(await asApp('User.ReadWrite.All', 'PATCH', root, { displayName: 'Root' })).toBe(204);
    const token = await tenant.bearer('app', ['User.ReadWrite.All', 'RoleManagement.ReadWrite.Directory']);
    expect((await tenant.call('PATCH', '/users/climber@phs.test', { token, body: chief })).status).toBe(204);
    // A person who acts as oneself, and one who does not.
    const reset = async (scopes: readonly string[]) =>
      (
        await tenant.call('PATCH', '/users/chief@phs.test', {
          token: await tenant.bearer('user', scopes),
          body: password,
        })
      ).status;
    expect(await reset(['User-PasswordProfile.ReadWrite.All'])).toBe(403);
    expect(await reset(['Directory.AccessAsUser.All'])).toBe(204);
  });

  it('show basic properties alone with User.ReadBasic.All', async () => {
    const token = await tenant.bearer('user', ['User.ReadBasic.All']);
    expect((await tenant.call('GET', `/users/${user}?$select=displayName`, { token })).status).toBe(200);
    for (const path of [
      `/users/${user}?$select=passwordPolicies`,
      '/users?$select=id,accountEnabled',
      '/users?$filter=accountEnabled eq false',
      `/users?$filter=onPremisesImmutableId eq 'a'`,
    ]) {
      expectError(await tenant.call('GET', encodeURI(path), { token }), 403, 'Authorization_RequestDenied');
    }
  });

  it('let a person see itself, and nobody else', async () => {
    const token = await tenant.bearer('user', ['User.Read']);
    expect((await tenant.call('GET', '/me', { token })).json.id).toBe(tenant.administratorId);
    expect((await tenant.call('GET', `/users/${tenant.administratorId}`, { token })).status).toBe(200);
    expect((await tenant.call('GET', '/users/ROOT@phs.test', { token })).status).toBe(200);
    // There or not: the same.
    expectError(await tenant.call('GET', `/users/${user}`, { token }), 403, 'Authorization_RequestDenied');
    expectError(await tenant.call('GET', `/users/${randomUUID()}`, { token }), 403, 'Authorization_RequestDenied');
  });
});

describe('hostile requests', () => {
  const get = async (path: string, permission = 'User.Read.All') =>
    tenant.call('GET', path, { token: await tenant.bearer('app', [permission]) });
  const users = (options: Readonly<Record<string, string>>) =>
    get(
      `/users?${Object.entries(options)
        .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
        .join('&')}`,
    );

  it.each([
    ["userPrincipalName eq 'x' or 1 eq 1", 'Request_BadRequest', "'1'"],
    ["id eq 'a' or", 'Request_BadRequest', 'ends too early'],
    ["or id eq 'a'", 'Request_BadRequest', "'id'"],
    [
      "(id eq 'a' or id eq 'b') and (id eq 'c' or id eq 'd' or id eq 'e') and (id eq 'f' or id eq 'g')",
      'Request_UnsupportedQuery',
      '10 alternatives',
    ],
    [Array(11).fill("id eq 'a'").join(' or '), 'Request_UnsupportedQuery', 'conditions'],
    ["userPrincipalName eq 'x'; DROP TABLE users", 'Request_BadRequest', ';'],
    ["userPrincipalName eq 'x' -- ", 'Request_BadRequest', '--'],
    ["userPrincipalName eq 'x' UNION SELECT", 'Request_BadRequest', 'UNION'],
    ["hash eq 'x'", 'Request_BadRequest', 'hash'],
    ["__proto__ eq 'x'", 'Request_BadRequest', '__proto__'],
    ["constructor eq 'x'", 'Request_BadRequest', 'constructor'],
    ["endswith(userPrincipalName,'x')", 'Request_UnsupportedQuery', 'endswith'],
    ["not startswith(userPrincipalName,'x')", 'Request_UnsupportedQuery', 'not'],
    ["userPrincipalName ne 'x'", 'Request_UnsupportedQuery', 'ne'],
    ["userPrincipalName ge 'x'", 'Request_UnsupportedQuery', 'ge'],
    ['userPrincipalName eq 5', 'Request_BadRequest', 'userPrincipalName'],
    ['userPrincipalName eq', 'Request_BadRequest', 'ends too early'],
    ["userPrincipalName eq 'x", 'Request_BadRequest', "'x"],
    ["userPrincipalName eq 'x\0'", 'Request_BadRequest', 'userPrincipalName'],
    ["accountEnabled eq 'true'", 'Request_BadRequest', 'accountEnabled'],
    ['accountEnabled eq maybe', 'Request_BadRequest', 'accountEnabled'],
    ["id in ('a'", 'Request_BadRequest', 'ends too early'],
    ["id in ('a' 'b')", 'Request_BadRequest', "'b'"],
    ["(id eq 'a'", 'Request_BadRequest', 'ends too early'],
    ["id eq 'a')", 'Request_BadRequest', ')'],
    ['', 'Request_BadRequest', 'ends too early'],
    [`${'('.repeat(2000)}`, 'Request_BadRequest', 'parentheses'],
    [`id eq '${'x'.repeat(3000)}'`, 'Request_BadRequest', 'longer'],
    [Array(11).fill("id eq 'a'").join(' and '), 'Request_UnsupportedQuery', 'conditions'],
    [`id in (${Array(16).fill("'a'").join(',')})`, 'Request_UnsupportedQuery', 'at most 15'],
  ])('$filter=%j', async (filter, code, named) => {
    const reply = await users({ $filter: filter });
    expectError(reply, 400, code);
    expect(reply.json.error.message).toContain(named);
    expect(reply.text.length).toBeLessThan(1000);
  });

  it.each([
    ['$top', '0', "size specified: '0'"],
    ['$top', '1000', "size specified: '1000'"],
    ['$top', '-1', "size specified: '-1'"],
    ['$top', '1e2', "size specified: '1e2'"],
    ['$top', '1;DROP', "size specified: '1;DROP'"],
    ['$select', 'id,hash', "property named 'hash'"],
    ['$select', 'toString', "property named 'toString'"],
    ['$select', '*', "property named '*'"],
    ['$orderby', 'password desc', "'password desc'"],
    ['$expand', 'manager', "'$expand'"],
    ['$skip', '5', "'$skip'"],
    ['$search', '"displayName:x"', "'ConsistencyLevel: eventual'"],
    ['$count', 'yes', "'yes'"],
    ['$skiptoken', 'AAAA', '$skiptoken is not valid'],
    ['$skiptoken', Buffer.from('x'.repeat(40)).toString('base64url'), '$skiptoken is not valid'],
    ['$skiptoken', 'x'.repeat(10_000), '$skiptoken is not valid'],
  ])('%s=%j', async (name, value, named) => {
    const reply = await users({ [name]: value });
    expect(reply.status).toBe(400);
    expect(reply.json.error.code).toMatch(/^Request_(BadRequest|UnsupportedQuery)$/);
    expect(reply.json.error.message).toContain(named);
  });

  it.each([
    ['x', 'expected "property:text"'],
    ['"x"', "not 'x'"],
    ['"displayName:x', 'expected "property:text"'],
    ['"displayName:"', 'nothing to look for'],
    ['"displayName:%_"', 'nothing to look for'],
    ['"displayName:a\0"', 'nothing to look for'],
    ['"mail:x"', "by 'mail'"],
    ['"__proto__:x"', 'expected "property:text"'],
    ['"displayName:a" "displayName:b"', 'joined by AND or OR'],
    ['"displayName:a" or "displayName:b"', "'or"],
    ['"displayName:a" AND', 'expected "property:text"'],
    [Array(6).fill('"displayName:a"').join(' OR '), '5 clauses'],
    [`"displayName:${'x'.repeat(2000)}"`, 'longer'],
  ])('$search=%j', async (search, named) => {
    const token = await tenant.bearer('app', ['User.Read.All']);
    const path = `/users?$search=${encodeURIComponent(search)}`;
    const reply = await tenant.call('GET', path, { token, headers: { ConsistencyLevel: 'eventual' } });
    expect(reply.status).toBe(400);
    expect(reply.json.error.code).toMatch(/^Request_(BadRequest|UnsupportedQuery)$/);
    expect(reply.json.error.message).toContain(named);
  });

  it("'or' where a collection does not take it", async () => {
    const reply = await get(
      "/groups?$filter=displayName eq 'a' or displayName eq 'b'".replaceAll(' ', '%20'),
      'Group.Read.All',
    );
    expectError(reply, 400, 'Request_UnsupportedQuery');
    expect(reply.json.error.message).toContain("'or' is not supported for this collection");
  });

  it('an option twice', async () => {
    expectError(await get('/users?$top=1&$top=2'), 400, 'Request_BadRequest');
  });

  it('SQL metacharacters are text', async () => {
    const found = async (filter: string) => (await users({ $filter: filter })).json.value;
    expect(await found("userPrincipalName eq 'o''hara@phs.test'")).toHaveLength(1);
    expect(await found("startswith(userPrincipalName,'o''h')")).toHaveLength(1);
    for (const text of ["x'' OR ''1''=''1", '%', '_', '%25', '"; --', '\\', "''", '$1', '?']) {
      expect(await found(`startswith(userPrincipalName,'${text}')`)).toEqual([]);
      expect(await found(`userPrincipalName eq '${text}'`)).toEqual([]);
    }
    expect((await get(`/users/${encodeURIComponent("o'hara@phs.test")}`)).json.id).toBe(user);
    expect((await get(`/users/${encodeURIComponent("' OR 1=1 --")}`)).status).toBe(404);
  });

  it("a place in one list is none in another's, nor under another filter", async () => {
    await provision(
      tenant,
      Array.from({ length: 3 }, (_, i) => ({
        sourceAnchor: `page-${i}`,
        userPrincipalName: `page${i}@phs.test`,
        displayName: 'Page',
        accountEnabled: true,
      })),
    );
    const page = await users({ $top: '1' });
    const next = new URL(page.json['@odata.nextLink']);
    expect((await users({ $top: '1', $skiptoken: next.searchParams.get('$skiptoken')! })).status).toBe(200);
    const token = next.searchParams.get('$skiptoken')!;
    expectError(await users({ $filter: 'accountEnabled eq true', $skiptoken: token }), 400, 'Request_BadRequest');
    expectError(await users({ $orderby: 'userPrincipalName', $skiptoken: token }), 400, 'Request_BadRequest');
    const elsewhere = await get(`/groups?$skiptoken=${token}`, 'Group.Read.All');
    expectError(elsewhere, 400, 'Request_BadRequest');
    const changed = `${token.startsWith('A') ? 'B' : 'A'}${token.slice(1)}`;
    expectError(await users({ $skiptoken: changed }), 400, 'Request_BadRequest');
  });

  it('ids of other kinds lead nowhere', async () => {
    for (const id of [
      user,
      tenant.tenantId,
      'phs.test',
      '..',
      '%2e%2e',
      '%00',
      'a%00b',
      'null',
      'undefined',
      '0',
      '*',
    ]) {
      for (const [path, permission] of [
        ['/groups/ID', 'Group.Read.All'],
        ['/groups/ID/members', 'Group.Read.All'],
        ['/identityProtection/riskyUsers/ID', 'IdentityRiskyUser.Read.All'],
        ['/auditLogs/signIns/ID', 'AuditLog.Read.All'],
        ['/auditLogs/directoryAudits/ID', 'AuditLog.Read.All'],
        ...(id === user ? [] : [['/users/ID', 'User.Read.All'] as const]),
        ...(id === 'phs.test' ? [] : [['/domains/ID', 'Domain.Read.All'] as const]),
        ...(id === tenant.tenantId ? [] : [['/organization/ID', 'Organization.Read.All'] as const]),
      ] as const) {
        const reply = await get(path.replace('ID', id), permission);
        expectError(reply, 404, 'Request_ResourceNotFound');
      }
    }
  });
});

describe('hostile bodies', () => {
  const post = async (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    tenant.call('POST', '/users', { token: await tenant.bearer('app', ['User.ReadWrite.All']), body, headers });
  const valid = {
    accountEnabled: true,
    displayName: 'X',
    userPrincipalName: 'x@phs.test',
    passwordProfile: { password: 'Correct-Horse-7-Battery' },
  };

  it('too large', async () => {
    expectError(await post({ ...valid, displayName: 'x'.repeat(70_000) }), 413, 'RequestEntityTooLarge');
  });

  it.each([
    ['no JSON', '{"accountEnabled":', 'BadRequest'],
    ['a prototype', '{"__proto__":{"isAdmin":true}}', 'BadRequest'],
    ['nested deeply', `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`, 'Request_BadRequest'],
    ['an array', '[]', 'Request_BadRequest'],
    ['null', 'null', 'Request_BadRequest'],
    ['nothing', '', 'Request_BadRequest'],
  ])('%s', async (_name, body, code) => {
    expectError(await post(body), 400, code);
  });

  it.each([
    ['hash', { ...valid, hash: 'x' }, "'hash'"],
    ['objectId', { ...valid, id: randomUUID() }, "'id'"],
    ['onPremisesImmutableId', { ...valid, onPremisesImmutableId: 'x' }, "'onPremisesImmutableId'"],
    ['a member within', { ...valid, passwordProfile: { password: 'x', admin: true } }, "'passwordProfile/admin'"],
    ['NUL', { ...valid, displayName: 'a\0b' }, "'displayName'"],
    ['a foreign domain', { ...valid, userPrincipalName: 'x@evil.test' }, 'userPrincipalName'],
    ['no domain', { ...valid, userPrincipalName: 'x' }, 'userPrincipalName'],
    ['two domains', { ...valid, userPrincipalName: 'x@evil.test@phs.test' }, 'userPrincipalName'],
    ['no name', { ...valid, displayName: '' }, "'displayName'"],
    ['nothing', {}, "required for property 'accountEnabled'"],
  ])('%s is named', async (_name, body, named) => {
    const reply = await post(body);
    expectError(reply, 400, 'Request_BadRequest');
    expect(reply.json.error.message).toContain(named);
  });

  it('of another type', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded']) {
      const reply = await post(JSON.stringify(valid), { 'content-type': type });
      expect([400, 415]).toContain(reply.status);
      expect(reply.json.error.code).toMatch(/BadRequest|UnsupportedMediaType/);
    }
  });

  it('leave no password in an answer, in the log or in the database', async () => {
    const password = 'Never-Seen-9-Anywhere';
    const bodies = [
      { ...valid, passwordProfile: { password, forceChangePasswordNextSignIn: 'x' } },
      { ...valid, passwordProfile: { password: [password] } },
      { ...valid, passwordProfile: { [password]: password } },
      { ...valid, passwordProfile: { password: password.repeat(100) } },
    ];
    for (const body of bodies.filter((_, i) => i !== 2)) expect((await post(body)).text).not.toContain(password);
    expect((await post({ ...valid, passwordProfile: { password } })).status).toBe(201);
    expect(tenant.logText()).not.toContain(password);
    const files = await Promise.all(
      ['tenant.sqlite', 'tenant.sqlite-wal'].map((name) =>
        readFile(join(directory.path, name)).catch(() => Buffer.of()),
      ),
    );
    expect(files.some((file) => file.length > 0)).toBe(true);
    for (const file of files) expect(file.includes(password)).toBe(false);
  });
});

describe('limits and outages', () => {
  it('too many requests are told when to come again', async () => {
    const { path, remove } = await temporaryDirectory();
    const limited = await startGraphTenant({
      stateDir: path,
      hasher,
      config: { rateLimit: { token: 1000, graph: 3, pages: 1000 } },
    });
    try {
      const token = await limited.bearer('app', ['Domain.Read.All']);
      const replies: Reply[] = [];
      for (let i = 0; i < 4; i++) replies.push(await limited.call('GET', '/domains', { token }));
      const last = replies.at(-1)!;
      expectError(last, 429, 'TooManyRequests');
      expect(Number(last.headers['retry-after'])).toBeGreaterThan(0);
      // Nor does a token that is none get more tries.
      expectError(await limited.call('GET', '/domains', { token: 'x' }), 429, 'TooManyRequests');
    } finally {
      await limited.close();
      await remove();
    }
  });

  describePostgres('a database that is away, on PostgreSQL', (postgres) => {
    it('is told as 503, with Retry-After', async () => {
      const { path, remove } = await temporaryDirectory();
      const away = await startGraphTenant({ stateDir: path, hasher, databaseUrl: await postgres().createDatabase() });
      try {
        const token = await away.bearer('app', ['Domain.Read.All']);
        expect((await away.call('GET', '/domains', { token })).status).toBe(200);
        await postgres().stop();
        const reply = await away.call('GET', '/domains', { token });
        expectError(reply, 503, 'serviceNotAvailable');
        expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
        await postgres().start();
        await vi.waitFor(async () => expect((await away.call('GET', '/domains', { token })).status).toBe(200), 60_000);
      } finally {
        await away.close();
        await remove();
      }
    });
  });
});
