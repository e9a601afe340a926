/** The tenant's limits and its monitor, on the running server. */

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { connect } from 'node:tls';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DATABASE_FILE } from '#src/tenant/state-dir.js';
import type { SqliteDatabase } from '#src/tenant/store/sqlite-database.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher } from './harness.js';

const hasher = testHasher();
afterAll(() => hasher.close());

describe('the tenant', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let tenant: TestTenant | undefined;
  beforeEach(async () => {
    directory = await temporaryDirectory();
  });
  afterEach(async () => {
    await tenant?.close();
    tenant = undefined;
    await directory.remove();
  });
  const start = async (config: object = {}) => {
    tenant = await startTestTenant({ stateDir: directory.path, hasher, config: { ...config } });
    return tenant;
  };

  const SAFE = {
    'strict-transport-security': 'max-age=31536000',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  };

  it('says on every answer that it is reached over TLS alone (RFC 6797), also where nothing is', async () => {
    const { get } = await start();
    const paths = {
      '/health': 200,
      '/nowhere': 404,
      // Not to be decoded, and longer than any tenant's name: Fastify answers before its hooks.
      '/%zz': 400,
      [`/${'a'.repeat(300)}/v2.0/.well-known/openid-configuration`]: 404,
      '/organizations/v2.0/.well-known/openid-configuration': 200,
      '/organizations/oauth2/v2.0/authorize': 400,
    };
    for (const [path, status] of Object.entries(paths)) {
      expect(await get(path), path).toMatchObject({ status, headers: SAFE });
    }
  });

  it('says so, and to try again, where the store fails behind an answer of oidc-provider', async () => {
    const { get, store, logText } = await start();
    // In place of five seconds.
    (store.database as SqliteDatabase).connection.pragma('busy_timeout = 50');
    const other = new Database(join(directory.path, DATABASE_FILE));
    other.exec('BEGIN IMMEDIATE');
    // Its page is made by then; what fails is the session's way to the store.
    const id = randomUUID();
    const answer = await get('/organizations/oauth2/v2.0/logout', { headers: { 'client-request-id': id } });
    other.close();
    expect(answer).toMatchObject({
      status: 503,
      headers: { ...SAFE, 'retry-after': '1', 'client-request-id': id },
      json: { error: 'temporarily_unavailable' },
    });
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(logText()).toContain('store-busy');
    expect(await get('/organizations/oauth2/v2.0/logout')).toMatchObject({ status: 200, headers: SAFE });
  });

  it('tells a browser at its root what it is for, and a program that nothing is there', async () => {
    const { get } = await start({ displayName: 'Contoso <&> Sons' });
    const page = await get('/', { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.text).toMatch(/<h1>Sign-in service<\/h1>[\s\S]*Open the application/);
    expect(page.text).toContain('Contoso &lt;&amp;&gt; Sons');
    expect(await get('/')).toMatchObject({ status: 404, json: { error: 'invalid_request' } });
  });

  it.each(['TLSv1', 'TLSv1.1'] as const)('speaks no %s', async (version) => {
    const { port } = await start();
    const error = await new Promise<NodeJS.ErrnoException>((resolve, reject) => {
      const socket = connect({
        host: '127.0.0.1',
        port,
        minVersion: version,
        maxVersion: version,
        rejectUnauthorized: false,
        // OpenSSL 3 has no TLS 1.1 at its default security level; the refusal is to be the server's.
        ciphers: 'DEFAULT@SECLEVEL=0',
      });
      socket.once('error', resolve).once('secureConnect', () => reject(new Error('connected')));
    });
    expect(error.code).toMatch(/ALERT_PROTOCOL_VERSION/);
  });

  it('answers 429 with Retry-After to an address that asks too often, by kind, and agents never', async () => {
    const { get, signIn, agentToken } = await start({ rateLimit: { token: 3, graph: 1000, pages: 2 } });
    for (let i = 0; i < 3; i++) expect((await signIn('nobody@phs.test', 'x')).status).toBe(400);
    const refused = await signIn('nobody@phs.test', 'x');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.json).toMatchObject({ error: 'temporarily_unavailable' });
    expect(await agentToken()).toBeUndefined();
    expect((await get('/health')).status).toBe(200);
    expect((await get('/health')).status).toBe(200);
    expect((await get('/health')).status).toBe(429);
  });

  it('counts a person behind a trusted proxy by the address that it names, and nobody else by a claim', async () => {
    const rateLimit = { token: 1000, graph: 1000, pages: 1 };
    const ask = ({ dispatcher: _, ...one }: TestTenant, address: string) =>
      one.token({ grant_type: 'none', client_id: 'app' }, { headers: { 'x-forwarded-for': address } });
    const limits = { ...rateLimit, token: 1 };
    const trusting = await start({ rateLimit: limits, signIn: { trustedProxies: ['127.0.0.0/8'] } });
    expect((await ask(trusting, '192.0.2.1')).status).toBe(400);
    expect((await ask(trusting, '192.0.2.2')).status).toBe(400);
    expect((await ask(trusting, '192.0.2.1')).status).toBe(429);
    await trusting.close();
    const wary = await start({ rateLimit: limits });
    expect((await ask(wary, '192.0.2.1')).status).toBe(400);
    expect((await ask(wary, '192.0.2.2')).status).toBe(429);
  });

  it('tells supervisors and Prometheus how it is, without a name in it', async () => {
    const { monitorUrl, signIn, get, agentToken } = await start({ monitor: { port: 0 } });
    await signIn('somebody@phs.test', 'secret-of-theirs');
    await agentToken();
    await get('/nowhere/secret-path');
    const ask = async (path: string) => {
      const response = await fetch(`${monitorUrl}${path}`);
      return { status: response.status, text: await response.text() };
    };
    expect(await ask('/healthz')).toMatchObject({ status: 200 });
    expect(await ask('/readyz')).toEqual({ status: 200, text: '{"status":"ready","store":"sqlite"}\n' });
    const { text } = await ask('/metrics');
    expect(text).toMatch(/phsync_tenant_requests_total\{method="POST",route="[^"]*token",status="400"\} 1/);
    expect(text).toMatch(/phsync_tenant_requests_total\{method="GET",route="none",status="404"\} 1/);
    expect(text).toContain('phsync_tenant_info{');
    expect(text).not.toMatch(/somebody|secret/);
  });

  it('is not ready when its store is gone, and alive all the same', async () => {
    const { monitorUrl, store } = await start({ monitor: { port: 0 } });
    await store.close();
    expect((await fetch(`${monitorUrl}/readyz`)).status).toBe(503);
    expect((await fetch(`${monitorUrl}/healthz`)).status).toBe(200);
  });
});
