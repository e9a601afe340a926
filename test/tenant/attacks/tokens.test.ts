/** Every kind of token at every door: only its own opens, also where a client is called like the resource that it wants. */

import { randomUUID } from 'node:crypto';
import { importJWK, SignJWT } from 'jose';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setFeatures } from '../features.js';
import {
  AGENT,
  PROVISIONING_SCOPE,
  startTestTenant,
  type TestTenant,
  temporaryDirectory,
  testHasher,
} from '../harness.js';
import { addPerson, PASSWORD } from '../oidc/people.js';
import { message, post } from './wire.js';

const GRAPH = 'https://graph.microsoft.com';
const PROVISIONING = 'https://graph.windows.net';

const hasher = testHasher();
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
/** Takes any client id, as a public client. */
let tenant: TestTenant;
let anna: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  tenant = await startTestTenant({ stateDir: directory.path, hasher });
  anna = await addPerson(tenant, 'anna');
  await setFeatures(tenant.store, 3);
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});

const bearer = async (method: 'GET' | 'POST', path: string, token: string) => {
  const reply = await request(`${tenant.url}${path}`, {
    method,
    dispatcher: tenant.dispatcher,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(method === 'POST' ? { body: '{}' } : {}),
  });
  await reply.body.dump();
  return reply.statusCode;
};

/** Open: not refused for the token's sake. */
const doors: Readonly<Record<string, (token: string) => Promise<boolean>>> = {
  provisioning: async (token) => {
    const body = message(tenant, 'GetCompanyConfiguration', { includeLicenseInformation: false }, token);
    return !(await post(tenant, body)).bytes.includes('AccessDenied');
  },
  writeBack: async (token) => ![401, 403].includes(await bearer('POST', '/passwordwriteback/v1/next', token)),
  writeBackResult: async (token) =>
    ![401, 403].includes(await bearer('POST', `/passwordwriteback/v1/${randomUUID()}/result`, token)),
  users: async (token) => ![401, 403].includes(await bearer('GET', '/v1.0/users', token)),
  features: async (token) =>
    ![401, 403].includes(await bearer('GET', '/v1.0/directory/onPremisesSynchronization', token)),
  me: async (token) => ![401, 403].includes(await bearer('GET', '/v1.0/me', token)),
  userinfo: async (token) => ![401, 403].includes(await bearer('GET', '/oidc/userinfo', token)),
};
const opened = async (token: string) => {
  const names: string[] = [];
  for (const [name, door] of Object.entries(doors)) if (await door(token)) names.push(name);
  return names;
};
const personTokens = async (clientId: string, scope: string) =>
  (await tenant.signIn('anna@phs.test', PASSWORD, { client_id: clientId, scope })).json;

describe('a token opens', () => {
  it('of an agent: provisioning and write-back', async () => {
    expect(await opened(await tenant.agentToken())).toEqual(['provisioning', 'writeBack', 'writeBackResult']);
  });

  it('of an agent for Graph: nothing', async () => {
    const { json } = await tenant.token({
      grant_type: 'client_credentials',
      client_id: AGENT.clientId,
      client_secret: AGENT.secret,
      scope: `${GRAPH}/.default`,
    });
    expect(await opened(json.access_token)).toEqual([]);
  });

  it('of a person for an application: UserInfo', async () => {
    const { access_token, id_token, refresh_token } = await personTokens('app', 'openid offline_access');
    expect(await opened(access_token)).toEqual(['userinfo']);
    expect(await opened(id_token)).toEqual([]);
    expect(await opened(refresh_token)).toEqual([]);
  });

  const names = [
    PROVISIONING,
    `${PROVISIONING}/`,
    GRAPH,
    `${GRAPH}/`,
    AGENT.clientId.toUpperCase(),
    'DirectorySynchronization',
  ];
  const scopes = [
    'openid offline_access',
    'openid User.Read.All offline_access',
    'openid user.read.all Directory.ReadWrite.All',
    'openid DirectorySynchronization offline_access',
    `openid ${PROVISIONING_SCOPE}`,
    `openid ${GRAPH}/User.Read.All`,
    `openid ${GRAPH}/.default`,
    'openid\tUser.Read.All',
    'openid User.Read.All\u00a0',
  ];
  it.each(names.flatMap((name) => scopes.map((scope) => [name, scope] as const)))(
    'of a person through a client called %s, with the scope %j: UserInfo at most',
    async (name, scope) => {
      const { access_token, id_token, refresh_token, error } = await personTokens(name, scope);
      if (error !== undefined) return;
      const renewed =
        refresh_token === undefined
          ? undefined
          : (await tenant.token({ grant_type: 'refresh_token', client_id: name, refresh_token })).json.access_token;
      for (const token of [access_token, id_token, renewed].filter((each) => each !== undefined)) {
        // A token whose audience is Graph may say who its person is, and no more.
        expect((await opened(token)).filter((door) => door !== 'userinfo')).toEqual([]);
      }
    },
  );
});

describe('a token signed by the tenant’s own key opens nothing', () => {
  const signed = async (claims: object, { typ = 'at+jwt', alg = 'ES256' } = {}) => {
    const rows = await tenant.store.database.run((queries) => queries.selectFrom('signing_keys').selectAll().execute());
    const jwk = rows.map((row) => JSON.parse(row.jwk)).find((key) => key.alg === alg);
    const now = Math.floor(Date.now() / 1000);
    const whole = {
      ...{ aud: PROVISIONING, iss: `${tenant.url}/${tenant.tenantId}/v2.0`, iat: now, nbf: now - 60, exp: now + 600 },
      ...{
        sub: AGENT.clientId,
        azp: AGENT.clientId,
        idtyp: 'app',
        roles: ['DirectorySynchronization'],
        tid: tenant.tenantId,
      },
      ...claims,
    };
    return new SignJWT(whole).setProtectedHeader({ alg, kid: jwk.kid, typ }).sign(await importJWK(jwk, alg));
  };
  const now = () => Math.floor(Date.now() / 1000);

  it('unless all of it is right', async () => {
    expect(await opened(await signed({}))).toContain('provisioning');
  });

  it.each([
    ['that has ended', () => ({ exp: now() - 1 })],
    ['that begins in an hour', () => ({ nbf: now() + 3600 })],
    ['without an end', () => ({ exp: undefined })],
    ['without a beginning', () => ({ nbf: undefined })],
    ['of another issuer', () => ({ iss: `https://evil.example/${tenant.tenantId}/v2.0` })],
    ['of another tenant', () => ({ tid: randomUUID() })],
    ['for nobody', () => ({ aud: undefined })],
    ['for another', () => ({ aud: `${PROVISIONING}.evil.example` })],
    ['without the role', () => ({ roles: [] })],
    ['with the role in a text', () => ({ roles: 'DirectorySynchronization' })],
    ['with the role as a scope', () => ({ roles: undefined, scp: 'DirectorySynchronization' })],
    ['of a person with the role', () => ({ idtyp: 'user', oid: anna })],
    ['of no kind', () => ({ idtyp: undefined })],
    ['of a client that is no agent', () => ({ azp: 'app', sub: 'app' })],
    ['of a client that is a list', () => ({ azp: [AGENT.clientId] })],
  ])('%s', async (_what, claims) => {
    expect(await opened(await signed(claims()))).toEqual([]);
  });

  it('with another type, or the key of id tokens', async () => {
    for (const typ of ['JWT', 'logout+jwt', 'jwt', '']) expect(await opened(await signed({}, { typ }))).toEqual([]);
  });
});
