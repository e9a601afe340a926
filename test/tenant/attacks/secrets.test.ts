/** A story with every kind of secret in it, at log level trace; then all that the tenant wrote is searched for each of them. */

import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { pino } from 'pino';
import { request } from 'undici';
import { afterAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { importLeaks } from '#src/tenant/risk/import-leaks.js';
import { RiskStore } from '#src/tenant/risk/risk-store.js';
import { backUp } from '#src/tenant/store/backup/backup.js';
import { setFeatures } from '../features.js';
import { AGENT, startTestTenant, type TestTenant, temporaryDirectory, testHasher, vectors } from '../harness.js';
import { addPerson, Browser, PASSWORD, signInAt } from '../oidc/people.js';
import { describeStores, type StoreSite } from '../stores.js';
import { FormClient } from '../web/form-client.js';
import { killAgents, WireAgent } from '../write-back/wire-agent.js';
import { credential, message, post } from './wire.js';

const APP_SECRET = 'Geheimnis der Anwendung: ß&"<7>';
const REDIRECT = 'https://app.example/';

const hasher: Hasher = testHasher();
afterAll(() => hasher.close());
/** No two alike, and none that could stand anywhere by chance. */
const newPassword = () => `Ae7&"<${randomBytes(9).toString('base64')}`;

/** Ways in which text may have been written down. */
function formsOf(secret: string): Buffer[] {
  const utf8 = Buffer.from(secret);
  const texts = [
    utf8.toString('base64').replace(/=+$/, ''),
    utf8.toString('base64url'),
    utf8.toString('hex'),
    utf8.toString('hex').toUpperCase(),
    encodeURIComponent(secret),
    new URLSearchParams({ x: secret }).toString().slice(2),
    JSON.stringify(secret).slice(1, -1),
    secret.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;'),
  ];
  return [utf8, Buffer.from(secret, 'utf16le'), ...texts.map((text) => Buffer.from(text))];
}

/** All that lies in the database, bytes in hexadecimal; of SQLite the files are read as they are. */
async function rowsOf({ store }: TestTenant): Promise<Buffer> {
  if (store.database.dialect === 'sqlite') return Buffer.of();
  const rows: unknown[] = [];
  await store.database.run(async (queries) => {
    const tables = await sql<{ table_name: string }>`
      SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`.execute(queries);
    for (const { table_name } of tables.rows) {
      const found = await sql<{ row: string }>`SELECT to_jsonb(t)::text AS row FROM ${sql.table(table_name)} t`.execute(
        queries,
      );
      rows.push(...found.rows.map(({ row }) => row));
    }
  });
  expect(rows.length).toBeGreaterThan(10);
  // Once as JSON escapes it, once as it was.
  return Buffer.from(`${rows.join('\n')}\n${rows.map((row) => JSON.stringify(JSON.parse(String(row)))).join('\n')}`);
}

describeStores('a story with secrets', (newSite) => {
  it('leaves none of them in log, database, files, metrics, audit and backup', { timeout: 120_000 }, async () => {
    const site = await newSite();
    const tenant = await startTestTenant({
      ...site.tenant,
      hasher,
      env: { APP_SECRET },
      config: {
        monitor: { port: 0 },
        applications: [
          { clientId: 'app', redirectUris: [REDIRECT] },
          {
            clientId: 'admin',
            clientSecret: { env: 'APP_SECRET' },
            permissions: ['User.ReadWrite.All', 'User-PasswordProfile.ReadWrite.All', 'AuditLog.Read.All'],
          },
        ],
      },
    });
    const secrets = new Map<string, string>();
    const keep = (what: string, secret: unknown) => {
      expect(secret, what).toBeTypeOf('string');
      secrets.set(what, secret as string);
      return secret as string;
    };
    keep('the agent’s secret', AGENT.secret);
    keep('the application’s secret', APP_SECRET);
    keep('the synchronized password', PASSWORD);
    const ntHash = keep('its NT hash', vectors[0]!.ntHash);

    // Provisioned over the wire, by a message that a stranger and a wrong secret precede.
    const agentToken = keep('the agent’s token', await tenant.agentToken());
    const wrongSecret = keep('a wrong client secret', newPassword());
    await tenant.token({ grant_type: 'client_credentials', client_id: AGENT.clientId, client_secret: wrongSecret });
    await addPerson(tenant, 'anna', { dnsDomainName: 'phs.test' });
    const change = { items: [credential('anna', new Date())] };
    expect((await post(tenant, message(tenant, 'ProvisionCredentials', change, agentToken))).status).toBe(200);
    const strange = keep('a token that is none', `eyJ${newPassword()}`);
    expect((await post(tenant, message(tenant, 'ProvisionCredentials', change, strange))).status).toBe(500);

    // Signed in and failed, the password where the name should be, and too long.
    const signedIn = await tenant.signIn('anna@phs.test', PASSWORD, { scope: 'openid offline_access' });
    expect(signedIn.status).toBe(200);
    keep('an access token', signedIn.json.access_token);
    keep('an id token', signedIn.json.id_token);
    const refreshToken = keep('a refresh token', signedIn.json.refresh_token);
    const wrong = keep('a wrong password', `ж${newPassword()}`);
    await tenant.signIn('anna@phs.test', wrong);
    await tenant.signIn('anna@phs.test', wrong.repeat(50));
    await tenant.signIn(keep('a password typed as the name', newPassword()), 'x');
    await tenant.get(`/common/userrealm/${encodeURIComponent(secrets.get('a password typed as the name')!)}`);
    const query = keep('a password in an address', newPassword());
    await tenant.get(`/common/oauth2/v2.0/token?password=${encodeURIComponent(query)}`);
    const renewed = await tenant.token({ grant_type: 'refresh_token', client_id: 'app', refresh_token: refreshToken });
    keep('the next refresh token', renewed.json.refresh_token);
    await tenant.token({
      grant_type: 'refresh_token',
      client_id: 'app',
      refresh_token: keep('a forged one', newPassword()),
    });

    // By the page and a code, and by a device code.
    const verifier = keep('a verifier', randomBytes(32).toString('base64url'));
    const challenge = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(verifier))).toString('base64url');
    const authorize = (hint: string) =>
      `${tenant.url}/common/oauth2/v2.0/authorize?${new URLSearchParams({
        client_id: 'app',
        redirect_uri: REDIRECT,
        response_type: 'code',
        scope: 'openid offline_access',
        code_challenge: challenge,
        code_challenge_method: 'S256',
        ...(hint === '' ? {} : { login_hint: hint }),
      })}`;
    const browser = new Browser(tenant.dispatcher);
    const begun = await browser.get(authorize(''));
    keep('an interaction', begun.location!.split('/').at(-1));
    const back = await signInAt(browser, tenant, begun.location!, 'anna');
    keep('a session', browser.cookie('__Host-session')?.value);
    const code = keep('a code', new URL(back.location!).searchParams.get('code'));
    const redeemed = await tenant.token({
      grant_type: 'authorization_code',
      client_id: 'app',
      code,
      redirect_uri: REDIRECT,
      code_verifier: verifier,
    });
    keep('a code’s access token', redeemed.json.access_token);
    keep('a code’s refresh token', redeemed.json.refresh_token);
    const device = await request(`${tenant.url}/common/oauth2/v2.0/devicecode`, {
      method: 'POST',
      dispatcher: tenant.dispatcher,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'client_id=app&scope=openid',
    });
    const codes = (await device.body.json()) as { readonly device_code: string; readonly user_code: string };
    keep('a device code', codes.device_code);
    keep('a user code', codes.user_code);

    // An administrator makes and resets; the owner has to change, and does, at the page.
    const { json: adminToken } = await tenant.token({
      grant_type: 'client_credentials',
      client_id: 'admin',
      client_secret: APP_SECRET,
      scope: 'https://graph.microsoft.com/.default',
    });
    const authorization = `Bearer ${keep('an administrator’s token', adminToken.access_token)}`;
    const graph = async (method: 'POST' | 'PATCH' | 'GET', path: string, body?: object) => {
      const reply = await request(`${tenant.url}/v1.0${path}`, {
        method,
        dispatcher: tenant.dispatcher,
        headers: { authorization, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: reply.statusCode, text: await reply.body.text() };
    };
    const profile = (what: string) => ({
      passwordProfile: { password: keep(what, newPassword()), forceChangePasswordNextSignIn: true },
    });
    const user = { accountEnabled: true, displayName: 'Bea', userPrincipalName: 'bea@phs.test' };
    expect((await graph('POST', '/users', { ...user, ...profile('a first password') })).status).toBe(201);
    expect((await graph('PATCH', '/users/bea@phs.test', profile('a reset password'))).status).toBe(204);
    await graph('PATCH', '/users/bea@phs.test', {
      passwordProfile: { password: keep('a weak one', `bea${randomBytes(3).toString('hex')}`) },
    });
    const page = new FormClient(tenant);
    const { base, token } = await page.begin(authorize(''));
    await page.post(`${base}/name`, { token, name: 'bea@phs.test' });
    const temporary = await page.post(`${base}/password`, { token, password: secrets.get('a reset password')! });
    expect(temporary.location).toMatch(/\/change$/);
    const chosen = keep('a chosen password', newPassword());
    const changed = await page.post(`${base}/change`, {
      token,
      old: secrets.get('a reset password')!,
      new: chosen,
      confirm: chosen,
    });
    expect(changed.location).toMatch(/\/done$/);
    expect((await tenant.signIn('bea@phs.test', chosen)).status).toBe(200);

    // Back on premises: once taken, once refused.
    await setFeatures(tenant.store, DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
    const agent = await WireAgent.make(tenant);
    for (const outcome of [{ status: 'refused', reason: 'history' }, { status: 'done' }] as const) {
      const taking = agent.take();
      // The agent is on the list when its poll has come.
      await expect.poll(async () => (await tenant.writeback.status()).agents).toBe(1);
      const changing = tenant.passwords.change({
        user: (await tenant.store.findSignInUser('anna@phs.test'))!,
        oldPassword: PASSWORD,
        newPassword: keep(`a password that is ${outcome.status}`, newPassword()),
        clientId: 'app',
        address: '203.0.113.7',
        correlationId: '5ca1ab1e-0000-4000-8000-000000000003',
      });
      const { id } = await taking;
      expect((await agent.result(id, outcome)).status).toBe(204);
      expect((await changing).status).toBe(outcome.status === 'done' ? 'changed' : 'refused');
    }
    killAgents();

    // Leaked: one pair that fits, one that does not, one line that is none.
    const log: string[] = [];
    const lines = new Writable({
      write(chunk, _encoding, done) {
        log.push(String(chunk));
        done();
      },
    });
    const leaks = await importLeaks({
      input: Readable.from([
        [
          { name: 'bea@phs.test', password: chosen },
          { name: 'anna@phs.test', password: keep('a leaked one', newPassword()) },
          { name: keep('a bad line', newPassword()) },
        ]
          .map((line) => `${JSON.stringify(line)}\n`)
          .join(''),
      ]),
      format: 'jsonl',
      delimiter: ',',
      risks: new RiskStore(tenant.store.database, () => new Date()),
      hasher,
      audit: tenant.audit,
      log: pino({ level: 'trace' }, lines),
      actor: 'test',
    });
    expect(leaks).toMatchObject({ pairs: 2, badLines: 1, matched: 1 });

    await tenant.signInService.log.flush();
    const elsewhere = await temporaryDirectory();
    const backup = join(elsewhere.path, 'tenant.backup');
    await backUp(...placeOf(site, backup));
    const metrics = await (await request(`${tenant.monitorUrl}/metrics`)).body.text();
    const logs = await Promise.all(
      ['/auditLogs/directoryAudits', '/auditLogs/signIns'].map((path) => graph('GET', path)),
    );
    for (const { status } of logs) expect(status).toBe(200);
    const rows = await rowsOf(tenant);
    const written = new Map<string, Buffer>([
      ['the log', Buffer.from(tenant.logText() + log.join(''))],
      ['the metrics', Buffer.from(metrics)],
      ['the audit and sign-in log in Graph', Buffer.from(logs.map(({ text }) => text).join(''))],
      ['the database', rows],
      ['the backup', gunzipSync(await readFile(backup))],
    ]);
    for (const name of await readdir(tenant.stateDir)) {
      written.set(name, await readFile(join(tenant.stateDir, name)).catch(() => Buffer.of()));
    }
    await tenant.close();
    await elsewhere.remove();

    // The search finds what is there.
    expect(written.get('the log')!.includes('anna@phs.test') || written.get('the log')!.includes('sign-in')).toBe(true);
    expect([...written.values()].some((bytes) => formsOf('bea@phs.test').some((form) => bytes.includes(form)))).toBe(
      true,
    );
    expect(secrets.size).toBeGreaterThan(25);
    for (const [where, bytes] of written) {
      for (const [what, secret] of secrets) {
        for (const form of formsOf(secret)) expect(bytes.includes(form), `${what} in ${where}`).toBe(false);
      }
      expect(bytes.includes(Buffer.from(ntHash, 'hex')), `the NT hash as bytes in ${where}`).toBe(false);
    }
    // What verifies passwords is for the database and its backup alone.
    for (const where of ['the log', 'the metrics', 'the audit and sign-in log in Graph']) {
      expect(written.get(where)!.includes(vectors[0]!.hash), where).toBe(false);
      expect(written.get(where)!.includes(vectors[0]!.salt), where).toBe(false);
    }
  });
});

function placeOf({ kind, tenant }: StoreSite, out: string): Parameters<typeof backUp> {
  const { stateDir } = tenant;
  return kind === 'sqlite'
    ? [{ stateDir, store: { type: 'sqlite' } }, out, {}]
    : [
        { stateDir, store: { type: 'postgres', url: { env: 'DATABASE_URL' }, maxConnections: 2 } },
        out,
        { DATABASE_URL: tenant.databaseUrl },
      ];
}
