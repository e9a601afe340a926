/** What a batch must not get past: the limits of requests by address, of bodies, and what its parts may cost. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory, testHasher } from '../harness.js';
import { type GraphTenant, startGraphTenant } from './graph-tenant.js';

const LIMIT = 30;
const ME = { method: 'GET', url: '/me?$select=id' };

describe('limits of a batch', () => {
  const hasher = testHasher();
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let tenant: GraphTenant;
  let token: string;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    tenant = await startGraphTenant({
      stateDir: directory.path,
      hasher,
      config: { rateLimit: { graph: LIMIT }, signIn: { trustedProxies: ['127.0.0.1'] } },
    });
    token = await tenant.bearer('user', ['User.ReadWrite.All']);
  });
  afterAll(async () => {
    await tenant?.close();
    await directory.remove();
    await hasher.close();
  });
  const batch = (requests: readonly object[], address: string, headers = {}) =>
    tenant.call('POST', '/$batch', {
      token,
      body: { requests: requests.map((one, i) => ({ id: `${i}`, ...one })) },
      headers: { 'x-forwarded-for': address, ...headers },
    });
  const statusesOf = ({ json }: { json: { responses: { status: number }[] } }) =>
    json.responses.map(({ status }) => status);

  it('are those of its address: each request in it counts, and brings no address of its own', async () => {
    const twenty = Array.from({ length: 20 }, (_, i) => ({
      ...ME,
      headers: { 'X-Forwarded-For': `203.0.113.${i}`, Forwarded: `for=203.0.113.${i}` },
    }));
    const first = await batch(twenty, '198.51.100.1');
    expect(new Set(statusesOf(first))).toEqual(new Set([200]));
    const second = statusesOf(await batch(twenty, '198.51.100.1'));
    // One each for the batches, and 20 of the first. Those at once are counted first, and all of them told the sum.
    expect(second.filter((status) => status === 200).length).toBeLessThanOrEqual(LIMIT - 22);
    expect(new Set(second.filter((status) => status !== 200))).toEqual(new Set([429]));
    expect((await batch([ME], '198.51.100.1')).status).toBe(429);
    // Nobody else's: neither those that were named nor others.
    expect(statusesOf(await batch([ME], '203.0.113.1'))).toEqual([200]);
  });

  it('says when to come again, in each answer', async () => {
    const { json } = await batch(
      Array.from({ length: 20 }, () => ME),
      '198.51.100.2',
    );
    expect(new Set(statusesOf({ json }))).toEqual(new Set([200]));
    const again = await batch(
      Array.from({ length: 20 }, () => ME),
      '198.51.100.2',
    );
    const refused = again.json.responses.find(({ status }: { status: number }) => status === 429);
    expect(Number(refused.headers['Retry-After'])).toBeGreaterThan(0);
    expect(refused.body.error.code).toBe('TooManyRequests');
  });

  it('of a body are each request’s own', async () => {
    const { json } = await batch(
      [
        { method: 'PATCH', url: `/users/${tenant.administratorId}`, body: { givenName: 'x'.repeat(70_000) } },
        { method: 'PATCH', url: `/users/${tenant.administratorId}`, body: { givenName: 'Ada' } },
      ],
      '198.51.100.3',
    );
    expect(statusesOf({ json })).toEqual([413, 204]);
    const whole = await batch([{ ...ME, body: 'x'.repeat(21 * 64 * 1024) }], '198.51.100.3');
    expect(whole.status).toBe(413);
  });

  it('hold for what was made to be taken for something else', async () => {
    const got = await batch(
      [
        { ...ME, headers: { __proto__: 'x', 'Content-Type': 'a\r\nb: c' } },
        { method: 'GET', url: '/me?$select=id\r\nx-forwarded-for: 1' },
        // The URL standard cuts it off.
        { method: 'GET', url: '/me\0' },
        { method: 'GET', url: '/users/%00' },
        { method: 'GET', url: '/%' },
        { method: 'POST', url: '/users', headers: { 'content-type': 'text/plain' }, body: 'a' },
        { id: '__proto__', method: 'GET', url: '/users/constructor' },
      ],
      '198.51.100.4',
    );
    expect(got.status, got.text).toBe(200);
    expect(statusesOf(got)).toEqual([200, 400, 200, 404, 400, 415, 404]);
  });
});
