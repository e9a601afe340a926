/** The token endpoint over HTTPS: sign-in with every outcome, agents' tokens, errors in Entra's shape, nothing leaked. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalJWKSet, createRemoteJWKSet, customFetch, jwtVerify } from 'jose';
import { fetch, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCredential } from '#src/hasher/credential.js';
import type { Hasher } from '#src/hasher/types.js';
import type { SignInHasher } from '#src/tenant/sign-in/password-check.js';
import type { UserAttributes } from '#src/tenant/store/changes.js';
import {
  AGENT,
  credentialText,
  PROVISIONING_SCOPE,
  type Reply,
  startTestTenant,
  type TestTenant,
  temporaryDirectory,
  testHasher,
  vectors,
} from './harness.js';

/** Not a word that the log uses. */
const WRONG = 'Gu3ssed-At-Random';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;

async function addUser(
  name: string,
  credential: string | undefined,
  { forceChange = false, ...more }: UserAttributes & { forceChange?: boolean } = {},
): Promise<string> {
  const attributes = { userPrincipalName: `${name}@phs.test`, displayName: name, ...more };
  const [outcome] = await tenant.store.applyUsers([{ kind: 'upsert', sourceAnchor: name, attributes }]);
  if (outcome?.status !== 'stored' || outcome.objectId === undefined) throw new Error('not stored');
  if (credential !== undefined) {
    const change = { sourceAnchor: name, objectId: undefined, changeDate: new Date(), ...parseCredential(credential) };
    await tenant.store.applyCredentials([{ ...change, forcePasswordChangeOnLogon: forceChange }], {
      disableExpiration: true,
      actor: 'agent-1',
    });
  }
  return outcome.objectId;
}

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startTestTenant({ stateDir: directory.path, hasher });
  for (const [i, vector] of vectors.entries()) await addUser(`vector${i}`, credentialText(vector));
  await addUser('disabled', credentialText(vectors[0]!), { accountEnabled: false });
  await addUser('nopassword', undefined);
  await addUser('deleted', credentialText(vectors[0]!));
  await tenant.store.applyUsers([{ kind: 'delete', sourceAnchor: 'deleted' }]);
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});

function expectRefused(reply: Reply, code: number, error: string, status = 400): void {
  expectRefusedBy(tenant, reply, code, error, status);
}

function expectRefusedBy(by: TestTenant, reply: Reply, code: number, error: string, status = 400): void {
  expect(reply.json).toMatchObject({ error, error_codes: [code] });
  expect(reply.status).toBe(status);
  expect(reply.json.error_description).toMatch(
    new RegExp(`^AADSTS${code}: .* Trace ID: .* Correlation ID: .* Timestamp: `),
  );
  expect(reply.json.timestamp).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/);
  expect(reply.json.trace_id).toMatch(/^[0-9a-f-]{36}$/);
  expect(reply.json.correlation_id).toMatch(/^[0-9a-f-]{36}$/);
  expect(reply.json.error_uri).toBe(`${by.url}/error?code=${code}`);
  expect(Object.keys(reply.json)).toHaveLength(7);
  expect(reply.headers['cache-control']).toBe('no-store');
}

describe('sign-in by password', () => {
  it('knows the tenant by id, by its domains in any case, and by the names for any', async () => {
    for (const name of [
      tenant.tenantId,
      tenant.tenantId.toUpperCase(),
      'phs.test',
      'PHS.test',
      'second.example',
      'organizations',
      'common',
    ]) {
      const form = {
        grant_type: 'password',
        client_id: 'x',
        username: 'vector0@phs.test',
        password: vectors[0]!.password,
      };
      expect((await tenant.token(form, { tenant: name })).status).toBe(200);
    }
  });

  // An empty password is a credential like any other, but RFC 6749 counts an empty parameter as missing.
  it.each(vectors.map((vector, i) => ({ ...vector, i })).filter(({ password }) => password !== ''))(
    'takes the password of an independently made credential: $password',
    async ({ password, i }) => {
      const { status, json } = await tenant.signIn(`Vector${i}@PHS.test`, password);
      expect(status).toBe(200);
      expect(json).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'openid profile' });
      expectRefused(await tenant.signIn(`vector${i}@phs.test`, `${password}x`), 50126, 'invalid_grant');
      expectRefused(await tenant.signIn(`vector${i}@phs.test`, password.toUpperCase()), 50126, 'invalid_grant');
    },
  );

  it.each([
    ['unknown user', 'nobody@phs.test', 50126],
    ['user of an unknown domain', 'vector0@other.test', 50126],
    ['deleted user', 'deleted@phs.test', 50126],
    ['user without password', 'nopassword@phs.test', 50126],
    ['disabled user', 'disabled@phs.test', 50057],
  ])('answers for a %s', async (_name, username, code) => {
    expectRefused(await tenant.signIn(username, vectors[0]!.password), code, 'invalid_grant');
  });

  it('tells only those who know the password that an account is disabled', async () => {
    expectRefused(await tenant.signIn('disabled@phs.test', WRONG), 50126, 'invalid_grant');
  });

  it('refuses a password that only begins right', async () => {
    const { password } = vectors[0]!;
    for (const longer of [`${password}\u0000`, password + 'x'.repeat(256), password + 'x'.repeat(8000)]) {
      expectRefused(await tenant.signIn('vector0@phs.test', longer), 50126, 'invalid_grant');
    }
  });

  it('signs tokens that verify against the published keys', async () => {
    const objectId = await addUser('token', credentialText(vectors[0]!), {
      displayName: 'To Ken',
      givenName: 'To',
      surname: 'Ken',
      mail: 'token@phs.test',
    });
    const { json } = await tenant.signIn('token@phs.test', vectors[0]!.password, { scope: 'openid profile email api' });
    const configuration = (await tenant.get('/phs.test/v2.0/.well-known/openid-configuration')).json;
    expect(configuration).toMatchObject({
      token_endpoint: tenant.tokenUrl,
      issuer: `${tenant.url}/${tenant.tenantId}/v2.0`,
    });
    const keys = createRemoteJWKSet(new URL(configuration.jwks_uri), {
      [customFetch]: ((url: string, init: object) => fetch(url, { ...init, dispatcher: tenant.dispatcher })) as never,
    });
    const options = { issuer: configuration.issuer, audience: 'app', algorithms: ['RS256'] };
    const { payload: id } = await jwtVerify(json.id_token, keys, options);
    expect(id).toMatchObject({
      sub: objectId,
      oid: objectId,
      tid: tenant.tenantId,
      preferred_username: 'token@phs.test',
      name: 'To Ken',
      given_name: 'To',
      family_name: 'Ken',
      email: 'token@phs.test',
      ver: '2.0',
    });
    expect(id.exp! - id.iat!).toBe(3600);
    const { payload: access } = await jwtVerify(json.access_token, keys, {
      ...options,
      algorithms: ['ES256'],
      typ: 'at+jwt',
    });
    expect(access).toMatchObject({
      sub: objectId,
      upn: 'token@phs.test',
      scp: 'openid profile email api',
      idtyp: 'user',
    });
    expect(access).not.toHaveProperty('roles');
    // Somebody else's key under the same id does not pass.
    const { keys: published } = (await tenant.get('/common/discovery/v2.0/keys')).json;
    expect(published[0]).not.toHaveProperty('d');
    const other = createLocalJWKSet({ keys: [{ ...published[0], n: published[0].n.replace(/^.../, 'AAA') }] });
    await expect(jwtVerify(json.access_token, other, options)).rejects.toThrow();
  });

  it('leaves the id token out where openid is not asked for', async () => {
    const { json } = await tenant.signIn('vector0@phs.test', vectors[0]!.password, { scope: 'api' });
    expect(json).not.toHaveProperty('id_token');
    expect(json.scope).toBe('api');
  });
});

describe('requests that are no sign-in', () => {
  const good = {
    grant_type: 'password',
    client_id: 'app',
    username: 'vector0@phs.test',
    password: vectors[0]!.password,
  };

  it.each(['grant_type', 'client_id', 'username', 'password'] as const)('need %s', async (name) => {
    const { [name]: _, ...rest } = good;
    for (const form of [rest, { ...rest, [name]: '' }]) {
      const reply = await tenant.token(form as Record<string, string>);
      expectRefused(reply, 900144, 'invalid_request');
      expect(reply.json.error_description).toContain(`'${name}'`);
    }
  });

  it('must not repeat a parameter', async () => {
    const { request } = await import('undici');
    const body = `${new URLSearchParams(good)}&username=other`;
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { statusCode } = await request(tenant.tokenUrl, {
      method: 'POST',
      headers,
      body,
      dispatcher: tenant.dispatcher,
    });
    expect(statusCode).toBe(400);
  });

  it('are refused for another tenant, grant or form', async () => {
    expectRefused(await tenant.token(good, { tenant: 'elsewhere.test' }), 90002, 'invalid_request');
    expectRefused(await tenant.token({ ...good, grant_type: 'implicit' }), 70003, 'unsupported_grant_type');
    for (const type of ['text/xml', 'text/plain', 'application/json', 'nonsense', '']) {
      const reply = await tenant.token(good, { headers: { 'content-type': type } });
      expectRefused(reply, 900144, 'invalid_request');
    }
    expectRefused(await tenant.token({ ...good, password: 'x'.repeat(20_000) }), 90013, 'invalid_request');
    expect((await tenant.get('/elsewhere.test/discovery/v2.0/keys')).json.correlation_id).toMatch(/^[0-9a-f-]{36}$/);
    expect((await tenant.get(`/${tenant.tenantId}/oauth2/v2.0/token`)).status).toBe(404);
    expect((await tenant.get('/elsewhere.test/discovery/v2.0/keys')).json.error_codes).toEqual([90002]);
  });

  it('are not taken as JSON', async () => {
    const { statusCode, body } = await request(tenant.tokenUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        grant_type: 'password',
        client_id: 'app',
        username: 'vector0@phs.test',
        password: vectors[0]!.password,
      }),
      dispatcher: tenant.dispatcher,
    });
    expect([statusCode, ((await body.json()) as { error_codes: unknown }).error_codes]).toEqual([400, [900144]]);
  });

  it('do not get an address back that is none', async () => {
    for (const [path, status] of [
      ['%ff', 400],
      ['secret'.repeat(50), 404],
    ] as const) {
      const reply = await tenant.get(`/${path}/discovery/v2.0/keys`);
      expect(reply).toMatchObject({ status, json: { error: 'invalid_request' } });
      expect(reply.text).not.toContain(path);
    }
  });

  it('get their correlation id back, and a page for the error', async () => {
    const id = '8D2A6C0A-ddf3-428e-8441-7316480377e9';
    const reply = await tenant.token({ ...good, password: 'no' }, { headers: { 'client-request-id': id } });
    expect(reply.json.correlation_id).toBe(id.toLowerCase());
    expect(reply.headers['client-request-id']).toBe(id.toLowerCase());
    expect((await tenant.get('/error?code=50126')).text).toContain('AADSTS50126: ');
    expect((await tenant.get('/error?code=1')).status).toBe(404);
    expect((await tenant.get('/error?code=toString')).status).toBe(404);
  });
});

describe('an agent’s token', () => {
  const good = {
    grant_type: 'client_credentials',
    client_id: AGENT.clientId,
    client_secret: AGENT.secret,
    scope: PROVISIONING_SCOPE,
  };

  it('is for the provisioning service and carries the role', async () => {
    const { status, json } = await tenant.token(good);
    expect(status).toBe(200);
    expect(Object.keys(json).sort()).toEqual(['access_token', 'expires_in', 'ext_expires_in', 'token_type']);
    const keys = createLocalJWKSet((await tenant.get('/common/discovery/v2.0/keys')).json);
    const { payload } = await jwtVerify(json.access_token, keys, { audience: 'https://graph.windows.net' });
    expect(payload).toMatchObject({ appid: AGENT.clientId, idtyp: 'app', roles: ['DirectorySynchronization'] });
  });

  it('is given for HTTP Basic too', async () => {
    const { client_id, client_secret, ...rest } = good;
    const basic = (secret: string) =>
      `Basic ${Buffer.from(`${client_id}:${encodeURIComponent(secret)}`).toString('base64')}`;
    expect((await tenant.token(rest, { headers: { authorization: basic(client_secret) } })).status).toBe(200);
    const wrong = await tenant.token(rest, { headers: { authorization: basic(WRONG) } });
    expectRefused(wrong, 7000215, 'invalid_client', 401);
    expect(wrong.headers['www-authenticate']).toMatch(/^Basic /);
  });

  it('needs the right client and secret, and no other scope', async () => {
    const { client_secret, scope, ...rest } = good;
    expectRefused(await tenant.token({ ...good, client_secret: WRONG }), 7000215, 'invalid_client', 401);
    expectRefused(await tenant.token({ ...good, client_secret: `${AGENT.secret} ` }), 7000215, 'invalid_client', 401);
    expectRefused(await tenant.token({ ...rest, scope }), 7000218, 'invalid_client', 401);
    expectRefused(await tenant.token({ ...good, client_id: 'other' }), 700016, 'unauthorized_client');
    expectRefused(await tenant.token({ ...rest, scope, client_id: 'other' }), 700016, 'unauthorized_client');
    expect((await tenant.token({ ...rest, client_secret })).status).toBe(200);
    expectRefused(await tenant.token({ ...good, scope: 'https://elsewhere/.default' }), 500011, 'invalid_resource');
  });

  it('is not given to a person through the agent’s name without the secret', async () => {
    const form = { grant_type: 'password', client_id: AGENT.clientId, username: 'vector0@phs.test', password: 'x' };
    expectRefused(await tenant.token(form), 7000218, 'invalid_client', 401);
  });
});

describe('a list of applications', () => {
  it('keeps all others out', async () => {
    const own = await temporaryDirectory();
    const listed = await startTestTenant({
      stateDir: own.path,
      hasher,
      config: { applications: [{ clientId: 'portal' }] },
    });
    expect((await listed.signIn('a@phs.test', 'x', { client_id: 'portal' })).json.error_codes).toEqual([50126]);
    expect((await listed.signIn('a@phs.test', 'x', { client_id: 'other' })).json.error_codes).toEqual([700016]);
    await listed.close();
    await own.remove();
  });
});

describe('a tenant that closes', () => {
  it('answers the request under way first, and takes no other', async () => {
    const own = await temporaryDirectory();
    let finish = () => {};
    let began = () => {};
    const checking = new Promise<void>((resolve) => {
      began = resolve;
    });
    const slow: SignInHasher & Pick<Hasher, 'info'> = {
      info: hasher.info,
      ntHash: (password) => hasher.ntHash(password),
      derive: async (ntHash, options) => {
        await new Promise<void>((resolve) => {
          finish = resolve;
          began();
        });
        return hasher.derive(ntHash, options);
      },
    };
    const closing = await startTestTenant({ stateDir: own.path, hasher: slow });
    const answer = closing.signIn('a@phs.test', 'x');
    await checking;
    const closed = closing.closeServer();
    expect(closing.closeServer()).toBe(closed);
    await expect(closing.get('/health')).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);
    finish();
    expectRefusedBy(closing, await answer, 50126, 'invalid_grant');
    await closed;
    await closing.close();
    await own.remove();
  });
});

// Last: by now every path has logged.
describe('secrets', () => {
  it('are neither in the log nor in the state directory', async () => {
    const token = await tenant.agentToken();
    const { json } = await tenant.signIn('vector0@phs.test', vectors[0]!.password);
    const log = tenant.logText();
    expect(log).toContain('sign-in');
    expect(log).toContain('50126');
    const secrets = [
      AGENT.secret,
      token,
      json.access_token,
      json.id_token,
      WRONG,
      ...vectors.flatMap(({ password, ntHash, hash }) => [password, ntHash, hash]),
    ];
    for (const secret of secrets.filter((text) => text !== '')) expect(log.includes(secret)).toBe(false);
    expect(log).not.toContain('nobody@phs.test');
    const onDisk = [
      AGENT.secret,
      token,
      json.access_token,
      ...vectors.flatMap(({ password, ntHash }) => [password, ntHash]),
    ];
    for (const name of await readdir(directory.path)) {
      const bytes = await readFile(join(directory.path, name));
      for (const secret of onDisk.filter((text) => text !== '')) {
        expect(bytes.includes(secret)).toBe(false);
        if (/^[0-9a-f]{32}$/.test(secret)) expect(bytes.includes(Buffer.from(secret, 'hex'))).toBe(false);
      }
    }
  });
});
