/** The tenant behind nginx, as the guide configures both: pages, tokens, and whose address is believed. */

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculatePKCECodeChallenge, randomPKCECodeVerifier } from 'openid-client';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '#bench/free-port.js';
import { blocksOf } from '../docs/pages.js';
import { describeWithTools } from '../native/tools.js';
import { startTestTenant, type TestTenant, testHasher } from './harness.js';
import { addPerson, Browser, PASSWORD, signInAt } from './oidc/people.js';

const guide = readFileSync(new URL('../../src/tenant/README.md', import.meta.url), 'utf8');
/** A client's, which is none of the proxy's own. */
const CLIENT = '127.0.0.5';

describeWithTools('behind a proxy', { nginx: 'nginx-light', openssl: 'openssl' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'phsync-proxy-'));
  const hasher = testHasher();
  let tenant: TestTenant;
  let nginx: ReturnType<typeof spawn>;
  let proxy: Agent;
  /** Another client, through the same nginx. */
  let other: Agent;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `https://localhost:${port}`;
    tenant = await startTestTenant({
      stateDir: join(folder, 'state'),
      hasher,
      config: {
        publicUrl: url,
        signIn: { trustedProxies: ['127.0.0.1'] },
        applications: [{ clientId: 'app', redirectUris: ['http://127.0.0.1/callback'] }],
        rateLimit: { token: 5, pages: 1000 },
      },
    });
    await addPerson(tenant, 'alice');
    const [key, cert] = [join(folder, 'login.key'), join(folder, 'login.pem')];
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
      ],
      { stdio: 'ignore' },
    );
    const block = blocksOf(guide).find(({ language }) => language === 'nginx')!.text;
    const changed = block
      .replace('server 10.0.0.11:8443', `server 127.0.0.1:${tenant.port}`)
      .replace(/^ *server 10\.0\.0\.12:8443;\n/m, '')
      .replace('listen 443', `listen 127.0.0.1:${port}`)
      .replace('login.contoso.com', 'localhost')
      .replace('/etc/nginx/phsync-ca.pem', tenant.caPath!)
      .replaceAll('/etc/nginx/', `${folder}/`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    writeFileSync(
      join(folder, 'nginx.conf'),
      `daemon off;\npid ${folder}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${temporary.join('\n')}\n${changed}\n}\n`,
    );
    // One process: a worker would be nobody's, and may not read the folder.
    nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', 'master_process off;'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    nginx.stderr!.on('data', (data: Buffer) => (said += data.toString()));
    const from = (localAddress: string) => new Agent({ localAddress, connect: { ca: readFileSync(cert, 'utf8') } });
    proxy = from(CLIENT);
    other = from('127.0.0.6');
    for (let left = 100; ; left--) {
      const ready = await request(`${url}/health`, { dispatcher: proxy }).then(
        ({ statusCode, body }) => body.dump().then(() => statusCode === 200),
        () => false,
      );
      if (ready) break;
      if (left === 0 || nginx.exitCode !== null) throw new Error(`nginx does not answer: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
  afterAll(async () => {
    nginx?.kill('SIGTERM');
    await proxy?.close();
    await other?.close();
    await tenant?.close();
    await hasher.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const token = async (form: Record<string, string>, { headers = {}, dispatcher = proxy } = {}) => {
    const { statusCode, body } = await request(`${url}/organizations/oauth2/v2.0/token`, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString(),
    });
    return { status: statusCode, json: (await body.json()) as Record<string, string> };
  };

  it('people sign in on the pages, and the code is redeemed', async () => {
    // What a browser sends with a form.
    const dispatcher = proxy.compose(
      (dispatch) => (options, handler) =>
        dispatch(
          {
            ...options,
            headers: { ...(options.headers as object), ...(options.method === 'POST' ? { origin: url } : {}) },
          },
          handler,
        ),
    );
    const verifier = randomPKCECodeVerifier();
    const query = new URLSearchParams({
      client_id: 'app',
      response_type: 'code',
      redirect_uri: 'http://127.0.0.1/callback',
      scope: 'openid profile',
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const browser = new Browser(dispatcher);
    const first = await browser.get(`${url}/organizations/oauth2/v2.0/authorize?${query}`);
    expect(first.location).toMatch(`${url}/sign-in/`);
    const { location = '' } = await signInAt(browser, tenant, first.location!, 'alice');
    expect(location).toMatch(/^http:\/\/127\.0\.0\.1\/callback\?/);
    const { status, json } = await token({
      grant_type: 'authorization_code',
      client_id: 'app',
      code: new URL(location).searchParams.get('code')!,
      redirect_uri: 'http://127.0.0.1/callback',
      code_verifier: verifier,
    });
    expect(status).toBe(200);
    const claims = JSON.parse(Buffer.from(json.id_token!.split('.')[1]!, 'base64url').toString());
    expect(claims.iss).toBe(`${url}/${tenant.tenantId}/v2.0`);
  });

  it('a form that another site sent is refused there, too', async () => {
    const { statusCode, body } = await request(`${url}/sign-in/x/name`, {
      method: 'POST',
      dispatcher: proxy,
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://evil.example' },
      body: 'name=alice@phs.test',
    });
    await body.dump();
    expect(statusCode).toBe(403);
  });

  it("the client's address is in the sign-in log, whatever it says of itself", async () => {
    const form = { grant_type: 'password', client_id: 'app', username: 'alice@phs.test', password: PASSWORD };
    expect((await token(form, { headers: { 'x-forwarded-for': '192.0.2.99' } })).status).toBe(200);
    await tenant.signInService.log.flush();
    const rows = await tenant.store.database.run((queries) =>
      queries.selectFrom('sign_ins').select('address').where('flow', '=', 'password').execute(),
    );
    expect(rows).toEqual([{ address: CLIENT }]);
  });

  it('limits are the address’s, not the proxy’s', async () => {
    const form = { grant_type: 'none', client_id: 'app' };
    let refused = 0;
    for (let i = 0; i < 6; i++) if ((await token(form)).status === 429) refused++;
    expect(refused).toBeGreaterThan(0);
    expect((await token(form, { dispatcher: other })).status).toBe(400);
  });
});
