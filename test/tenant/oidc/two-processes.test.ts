/** Two tenant processes behind one address and on one PostgreSQL: sessions, codes, tokens and keys are of both. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '#bench/free-port.js';
import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { describePostgres } from '../../postgres.js';
import { temporaryDirectory, writeText } from '../harness.js';
import { addPerson, Browser, type BrowserReply, hiddenFields, PASSWORD } from './people.js';

const PUBLIC = 'https://login.phs.test';
const REDIRECT = 'https://app.example/callback';
const VERIFIER = 'a-verifier-of-forty-three-characters-or-more';
/** SHA-256 of it, base64url (RFC 7636 4.2). */
const CHALLENGE = 'y5UF_tmp_ICTDGza-Ou2vUvx2cu7DBN-Xwf_z0RDfTw';
const cli = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly tenantId: string;
  readonly dispatcher: Agent;
}

describePostgres('two tenant processes on one PostgreSQL', (postgres) => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let both: Running[];
  let store: PostgresStore;
  let turn = 0;

  async function start(name: string, url: string): Promise<Running> {
    const stateDir = join(directory.path, name);
    await mkdir(stateDir);
    const port = await freePort();
    const config = {
      stateDir: './state',
      listen: { host: '127.0.0.1', port },
      publicUrl: PUBLIC,
      store: { type: 'postgres', url: { env: 'TEST_DATABASE' }, maxConnections: 4 },
      domains: [{ name: 'phs.test' }],
      applications: [{ clientId: 'spa', redirectUris: [REDIRECT] }],
      logLevel: 'error',
    };
    const file = await writeText(stateDir, 'tenant.yaml', JSON.stringify(config));
    const child = spawn(process.execPath, [cli, 'tenant', '--config', file, '--json'], {
      env: { ...process.env, TEST_DATABASE: url },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    const ready = JSON.parse(line.toString()) as { ca: string; tenantId: string };
    return {
      child,
      url: `https://127.0.0.1:${port}`,
      tenantId: ready.tenantId,
      dispatcher: new Agent({ connect: { ca: readFileSync(ready.ca, 'utf8') } }),
    };
  }

  beforeAll(async () => {
    directory = await temporaryDirectory();
    const url = await postgres().createDatabase();
    // Both at once on an empty database: one of them makes the tables and the keys.
    both = await Promise.all([start('one', url), start('two', url)]);
    store = await PostgresStore.open({ url, maxConnections: 2, initialFeatures: 1, now: () => new Date() });
    await addPerson({ store }, 'anna');
  }, 240_000);
  afterAll(async () => {
    for (const { child, dispatcher } of both ?? []) {
      await dispatcher.close();
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    }
    await store?.close();
    await directory.remove();
  });

  /** The next request goes to the other process. */
  const next = () => both[turn++ % 2]!;

  /** A browser whose requests the address in front hands to one process after the other. */
  class Balanced extends Browser {
    constructor() {
      super(both[0]!.dispatcher);
    }

    protected override where(url: string) {
      const { url: own, dispatcher } = next();
      return { url: url.replace(PUBLIC, own), dispatcher };
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at member by member
  async function token(form: Record<string, string>, at = next()): Promise<{ status: number; json: any }> {
    const { statusCode, body } = await request(`${at.url}/phs.test/oauth2/v2.0/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_id: 'spa', ...form }).toString(),
      dispatcher: at.dispatcher,
    });
    return { status: statusCode, json: await body.json() };
  }

  const authorizeUrl = (more: Record<string, string> = {}) =>
    `${PUBLIC}/phs.test/oauth2/v2.0/authorize?${new URLSearchParams({
      client_id: 'spa',
      response_type: 'code',
      redirect_uri: REDIRECT,
      scope: 'openid offline_access',
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      ...more,
    })}`;

  const codeOf = (reply: BrowserReply) => new URL(reply.location!).searchParams.get('code')!;
  const redeem = (code: string, at = next()) =>
    token({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: VERIFIER }, at);

  /** Every step of the sign-in is answered by the other process than the one before. */
  async function signIn(browser: Browser): Promise<string> {
    const base = (await browser.get(authorizeUrl())).location!.replace(/(\/sign-in\/[^/]+).*$/, '$1');
    const name = await browser.get(`${base}/name`);
    await browser.post(`${base}/name`, { ...hiddenFields(name.text), name: 'anna@phs.test' });
    const password = await browser.get(`${base}/password`);
    const done = await browser.post(`${base}/password`, { ...hiddenFields(password.text), password: PASSWORD });
    let reply = done;
    for (let steps = 0; steps < 6; steps++) {
      if (reply.location?.startsWith(REDIRECT)) return codeOf(reply);
      const onward = reply.location ?? /href="([^"]*\/oauth2\/[^"]*)"/.exec(reply.text)![1]!.replaceAll('&amp;', '&');
      reply = await browser.get(new URL(onward, PUBLIC).href.replace(/https:\/\/127\.0\.0\.1:\d+/, PUBLIC));
    }
    throw new Error(`no way back: ${reply.text}`);
  }

  it('are one tenant with one set of keys', async () => {
    expect(both[0]!.tenantId).toBe(both[1]!.tenantId);
    const sets = await Promise.all(
      both.map(async ({ url, dispatcher }) => {
        const { body } = await request(`${url}/common/discovery/v2.0/keys`, { dispatcher });
        return (await body.json()) as { keys: { kid: string }[] };
      }),
    );
    expect(sets[0]!.keys.map(({ kid }) => kid).sort()).toEqual(sets[1]!.keys.map(({ kid }) => kid).sort());
    expect(sets[0]!.keys).toHaveLength(2);
    const { json } = await token({
      grant_type: 'password',
      username: 'anna@phs.test',
      password: PASSWORD,
      scope: 'openid',
    });
    await jwtVerify(json.access_token, createLocalJWKSet(sets[1]!), {
      issuer: `${PUBLIC}/${both[0]!.tenantId}/v2.0`,
      typ: 'at+jwt',
    });
  });

  it('share the sign-in, the code, the session and the refresh token', async () => {
    const browser = new Balanced();
    const { status, json } = await redeem(await signIn(browser));
    expect(status).toBe(200);
    const silent = await browser.get(authorizeUrl({ prompt: 'none' }));
    expect(codeOf(silent)).toBeTruthy();
    const renewed = await token({ grant_type: 'refresh_token', refresh_token: json.refresh_token });
    expect(renewed.status).toBe(200);
    const again = await token({ grant_type: 'refresh_token', refresh_token: json.refresh_token });
    expect(again).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
  });

  it('give one answer to a code and to a refresh token that come to both at the same time', async () => {
    const browser = new Balanced();
    await signIn(browser);
    for (let i = 0; i < 5; i++) {
      const code = codeOf(await browser.get(authorizeUrl({ prompt: 'none' })));
      const replies = await Promise.all(both.flatMap((at) => [redeem(code, at), redeem(code, at)]));
      expect(replies.filter(({ status }) => status === 200).length).toBe(1);
    }
    const single = await redeem(codeOf(await browser.get(authorizeUrl({ prompt: 'none' }))));
    const form = { grant_type: 'refresh_token', refresh_token: single.json.refresh_token };
    const replies = await Promise.all(both.flatMap((at) => [token(form, at), token(form, at)]));
    expect(replies.filter(({ status }) => status === 200).length).toBe(1);
    expect(replies.every(({ status }) => status === 200 || status === 400)).toBe(true);
  });
});
