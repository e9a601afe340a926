/** Tokens that nobody here signed, or not for this: whatever a resource of the tenant is shown (RFC 8725). */

import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, exportJWK, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { PROVISIONING_SCOPE, type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { addPerson, PASSWORD } from './people.js';
import { SECRETS, startOidcTenant } from './site.js';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let other: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;
let elsewhere: TestTenant;
let good: string;
let keys: JWK[];

beforeAll(async () => {
  directory = await temporaryDirectory();
  other = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startOidcTenant({ stateDir: directory.path, hasher });
  elsewhere = await startOidcTenant({ stateDir: other.path, hasher });
  await addPerson(tenant, 'root');
  good = await userToken();
  keys = (await tenant.get('/common/discovery/v2.0/keys')).json.keys;
});
afterAll(async () => {
  await tenant.close();
  await elsewhere.close();
  await hasher.close();
  await directory.remove();
  await other.remove();
});

const GRAPH = 'https://graph.microsoft.com/.default';

async function userToken(): Promise<string> {
  const { json } = await tenant.signIn('root@phs.test', PASSWORD, { client_id: 'spa', scope: `openid ${GRAPH}` });
  return json.access_token;
}

async function applicationToken(from = tenant, scope = GRAPH): Promise<string> {
  const { json } = await from.token({
    grant_type: 'client_credentials',
    client_id: 'web',
    client_secret: SECRETS.WEB_SECRET,
    scope,
  });
  return json.access_token;
}

/** What Graph says to it. */
async function status(token: string): Promise<number> {
  return (await tenant.get('/v1.0/users?$top=1', { headers: { authorization: `Bearer ${token}` } })).status;
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
type Signer = (input: string) => Buffer;

function forge(header: object, payload: object, signer: Signer): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

const es256 =
  (key: KeyObject): Signer =>
  (input) =>
    sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });

describe('a token for Graph', () => {
  it('opens it, a person’s and an application’s', async () => {
    expect(await status(good)).toBe(200);
    expect(await status(await applicationToken())).toBe(200);
  });

  it('without signature opens nothing, however `none` is written', async () => {
    const payload = decodeJwt(good);
    const header = decodeProtectedHeader(good);
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', undefined]) {
      expect(await status(forge({ ...header, alg }, payload, () => Buffer.alloc(0)))).toBe(401);
    }
    const [head, body] = good.split('.');
    for (const token of [`${head}.${body}`, `${head}.${body}.`, `${head}..${good.split('.')[2]}`, '..', 'x']) {
      expect(await status(token)).toBe(401);
    }
  });

  it('signed by HMAC with what is public opens nothing', async () => {
    const payload = decodeJwt(good);
    for (const jwk of keys) {
      const publicKey = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
      const secrets = [
        publicKey.export({ type: 'spki', format: 'pem' }),
        publicKey.export({ type: 'spki', format: 'der' }),
        JSON.stringify(jwk),
        jwk.n ?? jwk.x ?? '',
        Buffer.from(jwk.n ?? jwk.x ?? '', 'base64url'),
      ];
      for (const secret of secrets) {
        for (const alg of ['HS256', jwk.alg]) {
          const signer: Signer = (input) => createHmac('sha256', secret).update(input).digest();
          expect(await status(forge({ typ: 'at+jwt', alg, kid: jwk.kid }, payload, signer))).toBe(401);
        }
      }
    }
  });

  it('signed by a key that came with it, or that it points to, opens nothing', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const payload = decodeJwt(good);
    const jwk = await exportJWK(publicKey);
    const { kid } = decodeProtectedHeader(good);
    for (const more of [
      { kid },
      { kid: 'new' },
      { kid: '' },
      { kid: '../../../../dev/null' },
      { kid: "' OR 1=1 --" },
      { jwk },
      { kid, jwk },
      { kid, jku: 'https://evil.example/keys' },
      { kid, x5u: 'https://evil.example/cert' },
      { kid, crit: ['exp'] },
      {},
    ]) {
      const token = forge({ typ: 'at+jwt', alg: 'ES256', ...more }, payload, es256(privateKey));
      expect(await status(token), JSON.stringify(more)).toBe(401);
    }
  });

  it('with another word in it opens nothing', async () => {
    const [header, payload, signature] = good.split('.') as [string, string, string];
    for (const change of [
      { scp: 'openid User.ReadWrite.All' },
      { oid: '00000000-0000-0000-0000-000000000000' },
      { exp: 4_000_000_000 },
      { idtyp: 'app', roles: ['User.Read.All'] },
    ]) {
      expect(await status(`${header}.${encode({ ...decodeJwt(good), ...change })}.${signature}`)).toBe(401);
    }
    // ES256 takes signatures of 64 bytes, and not those of a zero (CVE-2022-21449).
    expect(await status(`${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`)).toBe(401);
    expect(await status(`${header}.${payload}.${signature}AA`)).toBe(401);
  });

  it('is not an id token, nor an application’s own, nor one for provisioning, nor a refresh token', async () => {
    const { json } = await tenant.signIn('root@phs.test', PASSWORD, {
      client_id: 'spa',
      scope: 'openid offline_access',
    });
    expect(await status(json.id_token)).toBe(401);
    expect(await status(json.access_token)).toBe(401);
    expect(await status(json.refresh_token)).toBe(401);
    expect(await status(await tenant.agentToken())).toBe(401);
  });

  it('of another tenant opens nothing', async () => {
    expect(await status(await applicationToken(elsewhere))).toBe(401);
  });

  it('signed by this tenant’s own keys, but not as an access token is, opens nothing', async () => {
    const rows = await tenant.store.database.run((queries) =>
      queries.selectFrom('signing_keys').select('jwk').execute(),
    );

    const jwks = rows.map(({ jwk }) => JSON.parse(jwk) as JWK);
    const ec = jwks.find(({ kty }) => kty === 'EC')!;
    const rsa = jwks.find(({ kty }) => kty === 'RSA')!;
    const key = createPrivateKey({ key: ec as JsonWebKey, format: 'jwk' });
    const header = { typ: 'at+jwt', alg: 'ES256', kid: ec.kid };
    const payload = decodeJwt(good);
    // The way of signing is right:
    expect(await status(forge(header, payload, es256(key)))).toBe(200);
    const now = Math.floor(Date.now() / 1000);
    const without = (name: string) => Object.fromEntries(Object.entries(payload).filter(([claim]) => claim !== name));
    for (const [what, changedHeader, changedPayload] of [
      ['typ', { ...header, typ: 'JWT' }, payload],
      ['no typ', { alg: 'ES256', kid: ec.kid }, payload],
      ['over', header, { ...payload, exp: now - 1 }],
      ['not yet', header, { ...payload, nbf: now + 100 }],
      ['no exp', header, without('exp')],
      ['no azp', header, without('azp')],
      ['tid', header, { ...payload, tid: elsewhere.tenantId }],
      ['no tid', header, without('tid')],
      ['iss', header, { ...payload, iss: `${elsewhere.url}/${elsewhere.tenantId}/v2.0` }],
      ['no iss', header, without('iss')],
      ['aud', header, { ...payload, aud: 'https://graph.windows.net' }],
      ['no aud', header, without('aud')],
      ['idtyp', header, { ...payload, idtyp: 'device' }],
      ['no oid', header, without('oid')],
      ['other key', { ...header, kid: rsa.kid }, payload],
      ['other alg', { ...header, alg: 'ES384' }, payload],
    ] as const) {
      expect(await status(forge(changedHeader, changedPayload, es256(key))), what).toBe(401);
    }
  });

  it('lets an application do what it was given, and a person no more than its own', async () => {
    const token = await applicationToken();
    expect(decodeJwt(token)).toMatchObject({ roles: ['User.Read.All'], idtyp: 'app', azp: 'web', azpacr: '1' });
    const person = decodeJwt(good);
    expect(person).toMatchObject({ scp: 'openid User.Read User.Read.All', idtyp: 'user', azp: 'spa', azpacr: '0' });
    expect(person).not.toHaveProperty('roles');
  });
});

describe('the token endpoint', () => {
  it('gives provisioning tokens to agents alone, and Graph’s permissions to those that have them', async () => {
    const web = { grant_type: 'client_credentials', client_id: 'web', client_secret: SECRETS.WEB_SECRET };
    expect((await tenant.token({ ...web, scope: PROVISIONING_SCOPE })).json.error_codes).toEqual([500011]);
    expect(
      (await tenant.token({ grant_type: 'client_credentials', client_id: 'spa', scope: GRAPH })).json.error_codes,
    ).toEqual([700016]);
    expect((await tenant.token({ ...web, client_secret: 'x', scope: GRAPH })).json.error_codes).toEqual([7000215]);
    const withSecret = { client_id: 'spa', client_secret: SECRETS.WEB_SECRET };
    expect((await tenant.signIn('root@phs.test', PASSWORD, withSecret)).json.error_codes).toEqual([700025]);
    const agent = await tenant.agentToken();
    expect(decodeJwt(agent)).toMatchObject({ aud: 'https://graph.windows.net', roles: ['DirectorySynchronization'] });
  });

  it('wants a confidential application’s secret for every grant', async () => {
    for (const form of [
      { grant_type: 'password', username: 'root@phs.test', password: PASSWORD },
      { grant_type: 'refresh_token', refresh_token: 'x' },
      { grant_type: 'authorization_code', code: 'x', redirect_uri: 'https://app.example/callback' },
      { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: 'x' },
    ]) {
      const bare = await tenant.token({ ...form, client_id: 'web' } as Record<string, string>);
      expect(bare).toMatchObject({ status: 401, json: { error_codes: [7000218] } });
      const wrong = await tenant.token({ ...form, client_id: 'web', client_secret: 'x' } as Record<string, string>);
      expect(wrong).toMatchObject({ status: 401, json: { error_codes: [7000215] } });
    }
    const device = await tenant.post(`/${tenant.tenantId}/oauth2/v2.0/devicecode`, {
      client_id: 'web',
      scope: 'openid',
    });
    expect(device).toMatchObject({ status: 401, json: { error_codes: [7000218] } });
  });

  it('does not let one client speak for another by giving two names', async () => {
    const basic = `Basic ${Buffer.from(`web:${encodeURIComponent(SECRETS.WEB_SECRET)}`).toString('base64')}`;
    const reply = await tenant.token(
      { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'spa' },
      { headers: { authorization: basic } },
    );
    expect(reply.status).toBe(400);
  });
});
