/** Guessing passwords past lockout and rate limit: names in other spellings, other doors, other places, other connections. */

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kindOf, sourceOf } from '#src/tenant/rate-limit.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { addPerson, Browser, follow, hiddenFields, PASSWORD } from '../oidc/people.js';
import { describeStores } from '../stores.js';
import { say, statuses } from './wire.js';

const THRESHOLD = 10;
const WRONG = 50126;
const LOCKED = 50053;

const hasher = testHasher();
afterAll(() => hasher.close());
const guess = () => randomBytes(8).toString('hex');

describeStores('guesses', (newSite) => {
  let tenant: TestTenant;
  let name: string;
  let people = 0;
  beforeAll(async () => {
    const site = await newSite();
    tenant = await startTestTenant({
      ...site.tenant,
      hasher,
      config: {
        signIn: { trustedProxies: ['127.0.0.1'] },
        applications: [{ clientId: 'app' }, { clientId: 'spa', redirectUris: ['https://app.example/'] }],
      },
    });
  });
  afterAll(() => tenant.close());
  beforeEach(async () => {
    name = `zoë${people++}`;
    await addPerson(tenant, name);
  });

  const codeOf = async (username: string, password: string, more = {}, headers = {}) => {
    const form = { grant_type: 'password', client_id: 'app', username, password, ...more };
    const { status, json } = await tenant.token(form, { headers: { 'x-forwarded-for': '203.0.113.7', ...headers } });
    return status === 200 ? 0 : json.error_codes[0];
  };
  const count = (codes: readonly number[], code: number) => codes.filter((each) => each === code).length;

  it('at one name in all its spellings are counted together', async () => {
    // Decomposed and composed, in capitals, with the Kelvin sign: to the directory they are one name.
    const upn = `${name}@phs.test`;
    const spellings = [upn, upn.normalize('NFD'), upn.toUpperCase(), upn.normalize('NFD').toUpperCase()];
    for (const spelling of spellings) expect(await codeOf(spelling, PASSWORD)).toBe(0);
    // From now on the place is a familiar one.
    await tenant.signInService.log.flush();
    const codes: number[] = [];
    for (let i = 0; i < 16; i++) codes.push(await codeOf(spellings[i % spellings.length]!, guess()));
    expect([count(codes, WRONG), count(codes, LOCKED)]).toEqual([THRESHOLD, 6]);
    for (const spelling of spellings) expect(await codeOf(spelling, PASSWORD)).toBe(LOCKED);
  });

  it('at what is nearly the name are at nobody: the right password does not open it', async () => {
    const upn = `${name}@phs.test`;
    for (const near of [
      `${upn} `,
      ` ${upn}`,
      `${upn}\0`,
      `${upn}\t`,
      `${upn}.`,
      upn.replace('@', '＠'),
      `${upn}\u200b`,
    ]) {
      expect(await codeOf(near, PASSWORD), JSON.stringify(near)).toBe(WRONG);
    }
    // And they left the person alone.
    expect(await codeOf(upn, PASSWORD)).toBe(0);
  });

  it('by whatever client, scope, tenant name and connection are counted together', async () => {
    const upn = `${name}@phs.test`;
    const names = ['common', 'organizations', tenant.tenantId, 'phs.test', 'PHS.TEST'];
    const codes: number[] = [];
    for (let i = 0; i < 15; i++) {
      const form = new URLSearchParams({
        grant_type: 'password',
        client_id: i % 2 === 0 ? 'app' : 'spa',
        scope: i % 3 === 0 ? 'openid' : 'offline_access',
        username: upn,
        password: guess(),
      }).toString();
      const heard = await say(
        tenant,
        `POST /${names[i % names.length]}/oauth2/v2.0/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
          'X-Forwarded-For: 203.0.113.7\r\nContent-Type: application/x-www-form-urlencoded\r\n' +
          `Content-Length: ${form.length}\r\n\r\n${form}`,
      );
      codes.push(Number(/AADSTS(\d+)/.exec(heard.text)?.[1]));
    }
    expect([count(codes, WRONG), count(codes, LOCKED)]).toEqual([THRESHOLD, 5]);
  });

  it('at the token endpoint, the sign-in page and a device’s sign-in at once are counted together', async () => {
    const upn = `${name}@phs.test`;
    const authorize = `${tenant.url}/common/oauth2/v2.0/authorize?${new URLSearchParams({
      client_id: 'spa',
      redirect_uri: 'https://app.example/',
      response_type: 'code',
      scope: 'openid',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
      login_hint: upn,
    })}`;
    const pageGuess = async () => {
      const browser = new Browser(tenant.dispatcher);
      const page = await follow(browser, tenant, await browser.get(authorize));
      const action = `${tenant.url}${/<form method="post" action="([^"]+)"/.exec(page.text)![1]}`;
      const answer = await browser.post(action, { ...hiddenFields(page.text), password: guess() });
      const { text } = await follow(browser, tenant, answer);
      if (/locked/i.test(text)) return LOCKED;
      return text.includes('AADSTS50126') || /not right|wrong|incorrect/i.test(text) ? WRONG : -1;
    };
    // The page's requests come from the same network as the others.
    const fromHere = { 'x-forwarded-for': '127.0.0.1' };
    const codes = await Promise.all(
      Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? pageGuess() : codeOf(upn, guess(), {}, fromHere))),
    );
    expect([count(codes, WRONG), count(codes, LOCKED)]).toEqual([THRESHOLD, 30]);
    expect(await codeOf(upn, PASSWORD, {}, fromHere)).toBe(LOCKED);
  });

  it('from a strange place are not from a familiar one because they say so', async () => {
    const upn = `${name}@phs.test`;
    expect(await codeOf(upn, PASSWORD, {}, { 'x-forwarded-for': '192.0.2.1' })).toBe(0);
    await tenant.signInService.log.flush();
    // What the client wrote stands left of what the proxy puts behind it.
    const forged = '192.0.2.1, 198.51.100.9';
    const codes: number[] = [];
    for (let i = 0; i < THRESHOLD + 2; i++) codes.push(await codeOf(upn, guess(), {}, { 'x-forwarded-for': forged }));
    expect([count(codes, WRONG), count(codes, LOCKED)]).toEqual([THRESHOLD, 2]);
    expect(await codeOf(upn, PASSWORD, {}, { 'x-forwarded-for': forged })).toBe(LOCKED);
    // Whoever locks an account from afar does not lock its owner out at home.
    expect(await codeOf(upn, PASSWORD, {}, { 'x-forwarded-for': '192.0.2.1' })).toBe(0);
  });

  it('from addresses that are none are from one strange place', async () => {
    const upn = `${name}@phs.test`;
    const codes: number[] = [];
    for (const address of [
      'x',
      '999.1.1.1',
      '::g',
      "'; --",
      '1.2.3',
      '0x7f.1',
      '[::1]',
      'a'.repeat(300),
      '-',
      '١٩٢.0.2.1',
      '8',
      'é',
    ]) {
      codes.push(await codeOf(upn, guess(), {}, { 'x-forwarded-for': encodeURI(address) }));
    }
    expect([count(codes, WRONG), count(codes, LOCKED)]).toEqual([THRESHOLD, 2]);
  });
});

describe('the rate limit', () => {
  it('counts one customer’s IPv6 addresses together, however they are written', () => {
    const one = [
      '2001:db8::1',
      '2001:db8::2',
      '2001:db8:0:0:ffff::',
      '2001:0db8:0000:0000:1:2:3:4',
      '2001:db8::1%eth0',
    ];
    expect(new Set(one.map(sourceOf)).size).toBe(1);
    expect(sourceOf('2001:db8:0:1::1')).not.toBe(sourceOf('2001:db8::1'));
    expect(sourceOf('::ffff:192.0.2.1')).toBe(sourceOf('192.0.2.1'));
    expect(sourceOf('192.0.2.1')).not.toBe(sourceOf('192.0.2.2'));
  });

  it('knows an address in whatever way it is written', async () => {
    const directory = await temporaryDirectory();
    const rateLimit = { token: 3, graph: 3, pages: 3 };
    const tenant = await startTestTenant({ stateDir: directory.path, hasher, config: { rateLimit } });
    const ask = async (path: string, method = 'POST') => {
      const heard = await say(
        tenant,
        `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n`,
      );
      return statuses(heard)[0];
    };
    const spellings = [
      '/common/oauth2/v2.0/token',
      '/common/oauth2/v2.0/%74oken',
      '/common/oauth2/v2%2e0/token',
      '/Common/oauth2/v2.0/token?x',
    ];
    const codes: (number | undefined)[] = [];
    for (const spelling of [...spellings, ...spellings]) codes.push(await ask(spelling));
    expect(codes.slice(0, 3)).toEqual([400, 400, 400]);
    expect(codes.slice(3).every((code) => code === 429)).toBe(true);
    await tenant.close();
    await directory.remove();
  });

  it('has no kind without limit for what only looks like an agent’s address', () => {
    expect(kindOf('/provisioningservice.svc')).toBe('provisioning');
    expect(kindOf('/passwordwriteback/v1/next')).toBe('provisioning');
    for (const route of [undefined, '/sign-in/:uid', '/:tenant/oauth2/v2.0/authorize'])
      expect(kindOf(route)).toBe('pages');
    expect(kindOf('/:tenant/oauth2/v2.0/token')).toBe('token');
    expect(kindOf('/v1.0/users')).toBe('graph');
  });
});
