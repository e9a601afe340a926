/** The feed's client against a real tenant, and against a simulated one that answers as a tenant in trouble does. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FeedClient, openFeedClient } from '#src/domain-services/feed/feed-client.js';
import type { Hasher } from '#src/hasher/types.js';
import { type Answer, createAuthority, startServer, type TestServer } from '../provisioning/https-server.js';
import { ADMIN } from '../tenant/domain-services/site.js';
import { AGENT, testHasher } from '../tenant/harness.js';
import { DOMAIN, Site } from './site.js';

describe('with a real tenant', () => {
  let hasher: Hasher;
  let site: Site;
  let client: FeedClient;
  beforeAll(async () => {
    hasher = testHasher();
    site = await Site.start(hasher);
    client = await openFeedClient(site.config().tenant);
  });
  afterAll(async () => {
    await client?.close();
    await site?.close();
    await hasher.close();
  });

  it('reads pages, and waits for what is to come', async () => {
    await site.provision(['a', 'b', 'c']);
    const first = await client.page({ cookie: undefined, limit: 2 });
    expect(first).toMatchObject({ more: true, domain: { name: DOMAIN } });
    const second = await client.page({ cookie: first.cookie, limit: 2 });
    expect(second).toMatchObject({ more: false, value: [{ mailNickname: 'c' }] });
    const waiting = client.page({ cookie: second.cookie, waitSeconds: 30 });
    await site.provision(['d']);
    expect(await waiting).toMatchObject({ value: [{ mailNickname: 'd' }] });
  });

  it('lets a question go when it is told to stop', async () => {
    const { cookie } = await client.page({ cookie: undefined });
    const stop = new AbortController();
    const asked = client.page({ cookie, waitSeconds: 30, signal: stop.signal });
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'feed-aborted' });
  });

  it('tells a cookie that is worth nothing, a wrong secret and a wrong authority apart', async () => {
    await expect(client.page({ cookie: 'none-of-this-tenant' })).rejects.toMatchObject({
      code: 'feed-restart',
      facts: { reason: 'cookie_unknown' },
    });
    const { tenant } = site.config();
    writeFileSync(join(site.directory, 'wrong'), 'another secret');
    const stranger = await openFeedClient({
      ...tenant,
      auth: { ...tenant.auth, clientSecret: { file: join(site.directory, 'wrong') } },
    });
    await expect(stranger.page({ cookie: undefined })).rejects.toMatchObject({ code: 'token-refused' });
    await stranger.close();
    writeFileSync(join(site.directory, 'agent'), AGENT.secret);
    const agent = await openFeedClient({
      ...tenant,
      auth: { clientId: AGENT.clientId, clientSecret: { file: join(site.directory, 'agent') } },
    });
    await expect(agent.page({ cookie: undefined })).rejects.toMatchObject({
      code: 'token-refused',
      message: expect.stringContaining(`${AGENT.clientId} is not one of domainServices.clients of tenant.yaml`),
    });
    await agent.close();
    const { ca: _, ...without } = tenant;
    const trusting = await openFeedClient(without);
    await expect(trusting.page({ cookie: undefined })).rejects.toMatchObject({ code: 'token-tls' });
    await trusting.close();
    await site.service.disable(ADMIN);
    await expect(client.page({ cookie: undefined })).rejects.toMatchObject({ code: 'feed-disabled' });
  });
});

describe('with a simulated tenant in trouble', () => {
  const directory = mkdtempSync(join(tmpdir(), 'phsync-feed.'));
  let server: TestServer;
  let client: FeedClient;
  let answer: Answer;
  let tokens = 0;
  beforeAll(async () => {
    const authority = await createAuthority('of the tests');
    server = await startServer(await authority.issue(['127.0.0.1']), (request) => {
      if (!request.url!.startsWith('/organizations/')) return answer;
      tokens += 1;
      return { headers: { 'content-type': 'application/json' }, body: '{"access_token":"x","token_type":"Bearer"}' };
    });
    writeFileSync(join(directory, 'ca.pem'), authority.pem);
    writeFileSync(join(directory, 'secret'), 'secret');
    client = await openFeedClient({
      url: server.url,
      ca: join(directory, 'ca.pem'),
      auth: { clientId: 'x', clientSecret: { file: join(directory, 'secret') } },
    });
  });
  afterAll(async () => {
    await client?.close();
    await server?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const page = { value: [], cookie: 'c', more: false, domain: { name: DOMAIN, securitySettings: {} } };
  const cases: [string, Answer, object][] = [
    ['busy', { status: 429, headers: { 'retry-after': '7' } }, { code: 'feed-busy', facts: { retryAfterMs: 7000 } }],
    ['away', { status: 503 }, { code: 'feed-busy' }],
    ['broken', { status: 500, body: 'oops' }, { code: 'feed-unavailable' }],
    ['something else', { status: 200, body: '<html>' }, { code: 'feed-bad-reply' }],
    ['no page', { body: JSON.stringify(page) }, { code: 'feed-bad-reply' }],
    ['none', { status: 404, body: '' }, { code: 'feed-bad-reply' }],
    ['gone', { status: 410, body: '{}' }, { code: 'feed-restart', facts: { reason: 'gone' } }],
    ['refusing', { status: 400, body: '{"error":"invalid_request"}' }, { code: 'feed-refused' }],
  ];
  it.each(cases)('that is %s', async (_, given, expected) => {
    answer = given;
    const error: Error = await client.page({ cookie: 'k' }).then(
      () => new Error('it was taken'),
      (refused: Error) => refused,
    );
    expect(error).toMatchObject({ ...expected });
    expect(error.message).not.toContain('oops');
  });

  it('asks for another token, once, where one is refused', async () => {
    answer = { status: 401, body: '{"error":"invalid_token"}' };
    const before = tokens;
    await expect(client.page({ cookie: 'k' })).rejects.toMatchObject({ code: 'feed-refused' });
    expect(tokens).toBe(before + 1);
  });
});
