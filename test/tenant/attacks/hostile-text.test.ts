/** Text that no name, code or id has, through every door of the running tenant: never a failure of ours, and nobody else is held up. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { AGENT, startTestTenant, type TestTenant, testHasher } from '../harness.js';
import { addPerson, PASSWORD } from '../oidc/people.js';
import { describeStores } from '../stores.js';

/** NUL ends C's strings and has no place in PostgreSQL's text; the others mean something to SQL, LIKE, JSON, paths or logs. */
const TEXTS = [
  '\0',
  'a\0b@phs.test',
  "' OR '1'='1",
  "anna@phs.test'; DROP TABLE users; --",
  'anna@phs.test\\',
  '%',
  '_nna@phs.test',
  '$1',
  '\u202eanna@phs.test',
  '\ud7ff\uffff\u{10ffff}',
  '{"$ne":null}',
  '../../../etc/passwd',
  'a\r\nset-cookie: x=1',
  '__proto__',
  'x'.repeat(4000),
];

const hasher = testHasher();
afterAll(() => hasher.close());

describeStores('hostile text', (newSite) => {
  let tenant: TestTenant;
  beforeAll(async () => {
    const site = await newSite();
    tenant = await startTestTenant({ ...site.tenant, hasher });
    for (const name of ['anna', 'bert']) await addPerson(tenant, name);
  });
  afterAll(() => tenant.close());

  const doors: Readonly<Record<string, (text: string) => Promise<{ readonly status: number }>>> = {
    'the name at the token endpoint': (text) => tenant.signIn(text, 'x'),
    'the password': (text) => tenant.signIn('anna@phs.test', text),
    'the client id': (text) => tenant.signIn('bert@phs.test', PASSWORD, { client_id: text }),
    'the client id of a wrong try': (text) => tenant.signIn('anna@phs.test', 'wrong', { client_id: text }),
    'the scope': (text) => tenant.signIn('bert@phs.test', PASSWORD, { scope: `openid ${text}` }),
    'the scope, with a refresh token': (text) =>
      tenant.signIn('bert@phs.test', PASSWORD, { scope: `openid offline_access ${text}` }),
    'the client id, with a refresh token': (text) =>
      tenant.signIn('bert@phs.test', PASSWORD, { scope: 'offline_access', client_id: text }),
    "an agent's secret": (text) =>
      tenant.token({ grant_type: 'client_credentials', client_id: AGENT.clientId, client_secret: text }),
    'a refresh token': (text) => tenant.token({ grant_type: 'refresh_token', client_id: 'app', refresh_token: text }),
    'a code': (text) =>
      tenant.token({ grant_type: 'authorization_code', client_id: 'app', code: text, redirect_uri: text }),
    'a device code': (text) =>
      tenant.token({
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        client_id: 'app',
        device_code: text,
      }),
    'a user code': (text) => tenant.get(`/common/oauth2/v2.0/deviceauth?user_code=${encodeURIComponent(text)}`),
    'the grant': (text) => tenant.token({ grant_type: text, client_id: 'app' }),
    'the tenant': (text) => tenant.signIn('bert@phs.test', PASSWORD, {}).then(() => tenant.token({}, { tenant: text })),
    'the user realm': (text) => tenant.get(`/common/userrealm/${encodeURIComponent(text)}`),
    'an authorization request': (text) =>
      tenant.get(
        `/common/oauth2/v2.0/authorize?${new URLSearchParams({
          client_id: text,
          redirect_uri: text,
          login_hint: text,
          state: text,
        })}`,
      ),
    'a sign-in': (text) => tenant.get(`/sign-in/${encodeURIComponent(text)}/password`),
    'the sign-out': (text) =>
      tenant.get(`/common/oauth2/v2.0/logout?${new URLSearchParams({ id_token_hint: text, client_id: text })}`),
    'an error code': (text) => tenant.get(`/error?code=${encodeURIComponent(text)}`),
  };

  for (const [door, send] of Object.entries(doors)) {
    it(`in ${door}`, async () => {
      for (const text of TEXTS) {
        const { status } = await send(text);
        expect(status, JSON.stringify(text.slice(0, 40))).toBeLessThan(500);
      }
      expect(tenant.logText()).not.toContain('request failed');
    });
  }

  it('keeps nobody else’s sign-in out of the log', async () => {
    const correlationId = '5ca1ab1e-0000-4000-8000-000000000001';
    for (const text of TEXTS) await tenant.signIn('bert@phs.test', PASSWORD, { client_id: text });
    const reply = await tenant.token(
      { grant_type: 'password', client_id: 'app', username: 'bert@phs.test', password: PASSWORD },
      { headers: { 'client-request-id': correlationId } },
    );
    expect(reply.status).toBe(200);
    await tenant.signInService.log.flush();
    const rows = await tenant.store.database.run((queries) =>
      queries.selectFrom('sign_ins').select('error_code').where('correlation_id', '=', correlationId).execute(),
    );
    expect(rows).toEqual([{ error_code: 0 }]);
    expect(tenant.logText()).not.toContain('not written');
  });
});
