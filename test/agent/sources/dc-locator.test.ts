/** Which domain controllers are asked, in which order. That real DNS is asked right: test/samba/failover.test.ts. */

import type { SrvRecord } from 'node:dns';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DnsResolver, locateControllers, orderSrv } from '#src/agent/sources/dc-locator.js';

const srv = (name: string, priority: number, weight: number): SrvRecord => ({ name, port: 389, priority, weight });
const names = (records: readonly SrvRecord[]) => records.map(({ name }) => name);

/** Name servers that know these records, and no others. */
function zone(
  records: Readonly<Record<string, readonly SrvRecord[]>>,
  addresses: Readonly<Record<string, string>> = {},
) {
  const asked: string[] = [];
  const none = (name: string) =>
    Promise.reject(Object.assign(new Error(`queryA ENOTFOUND ${name}`), { code: 'ENOTFOUND' }));
  const resolver = {
    resolveSrv(name: string) {
      asked.push(name);
      const found = records[name];
      return found === undefined ? none(name) : Promise.resolve([...found]);
    },
    resolve4: (name: string) => (addresses[name] === undefined ? none(name) : Promise.resolve([addresses[name]])),
    resolve6: none,
  } as unknown as DnsResolver;
  return { asked, resolver };
}

const DOMAIN_NAME = '_ldap._tcp.dc._msdcs.contoso.com';
const SITE_NAME = '_ldap._tcp.Berlin._sites.dc._msdcs.contoso.com';
const random = () => 0;

describe('SRV records (RFC 2782)', () => {
  test('are tried by priority, and all of them come', () => {
    const record = fc.record({ name: fc.string(), port: fc.nat(9), priority: fc.nat(4), weight: fc.nat(100) });
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 8 }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (records, stream) => {
          const ordered = orderSrv(records, () => stream.next().value as number);
          expect(ordered).toHaveLength(records.length);
          expect(new Set(ordered)).toEqual(new Set(records));
          const priorities = ordered.map(({ priority }) => priority);
          expect(priorities).toEqual([...priorities].sort((a, b) => a - b));
        },
      ),
    );
  });

  // The first whose running sum is at least a whole number from 0 to the sum of the weights, both included.
  test.each([
    [0, ['none', 'one', 'three']],
    [0.99 / 5, ['none', 'one', 'three']],
    [1.01 / 5, ['one', 'none', 'three']],
    [2.01 / 5, ['three', 'none', 'one']],
    [0.999, ['three', 'one', 'none']],
  ])('at %d of the weights', (first, expected) => {
    const records = [srv('three', 0, 3), srv('none', 0, 0), srv('one', 0, 1)];
    const later = first > 0.9 ? 0.999 : 0;
    let calls = 0;
    expect(names(orderSrv(records, () => (calls++ === 0 ? first : later)))).toEqual(expected);
  });

  test('share the first place as their weights say', () => {
    const records = [srv('small', 0, 1), srv('large', 0, 8)];
    const firsts = Array.from({ length: 1000 }, (_, i) => orderSrv(records, () => i / 1000)[0]!.name);
    // 0 and 1 of the ten numbers from 0 to 9.
    expect(firsts.filter((name) => name === 'small')).toHaveLength(200);
  });
});

describe('the domain controllers of a connector', () => {
  test('are the listed ones and no others, for which DNS is not asked', async () => {
    const { asked, resolver } = zone({});
    const servers = [
      { server: 'dc2.contoso.com', address: undefined },
      { server: 'dc1.contoso.com', address: '10.0.0.1' },
    ];
    expect(await locateControllers({ domain: 'contoso.com', servers }, { random, resolver })).toEqual({
      how: 'configured',
      controllers: [
        { server: 'dc2.contoso.com', address: undefined, listed: true, rank: 0 },
        { server: 'dc1.contoso.com', address: '10.0.0.1', listed: true, rank: 1 },
      ],
    });
    expect(asked).toEqual([]);
  });

  test('are the preferred ones, then those of the site, then those of the domain, each once', async () => {
    const { asked, resolver } = zone({
      [SITE_NAME]: [srv('dc3.contoso.com', 10, 100), srv('DC1.contoso.com', 0, 100)],
      [DOMAIN_NAME]: [srv('dc4.contoso.com', 0, 100), srv('dc3.contoso.com', 0, 100)],
    });
    const preferredServers = [{ server: 'dc1.contoso.com', address: undefined }];
    const where = { domain: 'contoso.com', site: 'Berlin', preferredServers };
    const { controllers } = await locateControllers(where, { random, resolver });
    expect(asked).toEqual([SITE_NAME, DOMAIN_NAME]);
    expect(controllers.map(({ server }) => server)).toEqual(['dc1.contoso.com', 'dc3.contoso.com', 'dc4.contoso.com']);
    expect(controllers.map(({ listed }) => listed)).toEqual([true, false, false]);
    const ranks = controllers.map(({ rank }) => rank);
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    expect(new Set(ranks).size).toBe(3);
  });

  test('are those of the domain where the site has none', async () => {
    const { resolver } = zone({ [DOMAIN_NAME]: [srv('dc4.contoso.com', 0, 100)] });
    const { controllers } = await locateControllers({ domain: 'contoso.com', site: 'Berlin' }, { random, resolver });
    expect(controllers.map(({ server }) => server)).toEqual(['dc4.contoso.com']);
  });

  test('are where the configured name servers say', async () => {
    const { resolver } = zone({ [DOMAIN_NAME]: [srv('dc4.contoso.com', 0, 100)] }, { 'dc4.contoso.com': '10.0.0.4' });
    const where = { domain: 'contoso.com', dnsServers: ['10.0.0.53'] };
    const { controllers } = await locateControllers(where, { random, resolver });
    expect(controllers).toMatchObject([{ server: 'dc4.contoso.com', address: '10.0.0.4' }]);
  });

  test.each([
    ['nobody knows the domain', {}],
    // RFC 2782: the service is decidedly not available at this domain.
    ['there is decidedly none', { [DOMAIN_NAME]: [srv('', 0, 0)] }],
  ])('are a clear error where %s', async (_, records) => {
    const { resolver } = zone(records);
    await expect(
      locateControllers({ domain: 'contoso.com', dnsServers: ['10.0.0.53'] }, { random, resolver }),
    ).rejects.toMatchObject({
      code: 'dc-not-found',
      message: expect.stringMatching(/contoso\.com.*10\.0\.0\.53.*directory\.servers/),
    });
  });
});
