/** What the sign-in pages refuse: forms that are not theirs, forged steps, ways out to strangers; and what never leaks. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { html } from '#src/tenant/web/html.js';
import { isFromHere } from '#src/tenant/web/origin.js';
import { pageHeaders } from '#src/tenant/web/page.js';
import { Seal } from '#src/tenant/web/seal.js';
import type { RuleSite } from '../rules/site.js';
import type { RelyingParty } from './browser.js';
import { FormClient, type FormReply, tokenOf } from './form-client.js';
import { startWebSite, type WebSite } from './web-site.js';

const PASSWORD = 'Old-Passw0rd-aou-1742';
const NEW = 'New-Passw0rd-zzz-8361';

let web: WebSite;
let site: RuleSite;
let party: RelyingParty;

beforeAll(async () => {
  web = await startWebSite({
    domains: [
      { name: 'phs.test' },
      { name: 'fed.test', authenticationType: 'Federated', federationUrl: 'https://sts.fed.test/adfs/ls/?a=b' },
    ],
    signIn: { keepMeSignedIn: false, blockHighRisk: true },
  });
  ({ site, party } = web);
  await site.addUser('anna', { displayName: 'Anna' });
  await site.sync('anna', { password: PASSWORD });
  await site.features(DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
  await site.addUser('temp');
  await site.sync('temp', { password: PASSWORD, forceChange: true });
  await site.addUser('risk');
  await site.sync('risk', { password: PASSWORD });
  const { id } = await site.user('risk');
  await site.tenant.store.database.run((queries) =>
    queries
      .insertInto('risky_users')
      .values({ user_id: id, risk_level: 'high', risk_state: 'atRisk', risk_detail: 'none', updated_at: Date.now() })
      .execute(),
  );
});
afterAll(async () => {
  await web?.close();
});

let client: FormClient;
let base: string;
let token: string;
beforeEach(async () => {
  client = new FormClient(site.tenant);
  ({ base, token } = await client.begin(await party.authorizationUrl()));
});

const giveName = (name: string) => client.post(`${base}/name`, { token, name });
const givePassword = (password: string, more: object = {}) =>
  client.post(`${base}/password`, { token, password, ...more });

const expectForeign = ({ status, text, headers }: FormReply) => {
  expect(status).toBe(403);
  expect(text).toContain('This form was not accepted');
  expect(headers['set-cookie']).toBeUndefined();
};
const expectOver = ({ status, text }: FormReply) => {
  expect(status).toBe(400);
  expect(text).toContain('This sign-in is over');
};

describe('a form', () => {
  it('is taken with its token, from our own page', async () => {
    expect((await giveName('anna@phs.test')).location).toBe(`${base}/password`);
    expect((await givePassword(PASSWORD)).location).toBe(`${base}/done`);
    const done = await client.get(`${base}/done`);
    expect(done.status).toBe(200);
    const [, next] = /http-equiv="refresh" content="0;url=([^"]+)"/.exec(done.text)!;
    const resumed = await client.get(next!);
    expect(resumed.status).toBe(303);
    expect(resumed.location).toMatch(new RegExp(`^${party.origin}/callback\\?code=`));
  });

  it('is refused without its token, with a wrong one, with two, or with that of another sign-in, and nothing is tried', async () => {
    await giveName('anna@phs.test');
    const other = await new FormClient(site.tenant).begin(await party.authorizationUrl());
    const before = site.tenant.verifications();
    for (const path of ['name', 'password', 'change', 'account']) {
      const fields = { name: 'anna@phs.test', password: PASSWORD, choice: 'this' };
      expectForeign(await client.post(`${base}/${path}`, fields));
      expectForeign(await client.post(`${base}/${path}`, { ...fields, token: '' }));
      expectForeign(await client.post(`${base}/${path}`, { ...fields, token: `${token.slice(0, -1)}_` }));
      expectForeign(await client.post(`${base}/${path}`, { ...fields, token: other.token }));
      const twice = `${new URLSearchParams({ ...fields, token })}&token=${token}`;
      expectForeign(await client.post(`${base}/${path}`, twice));
    }
    expect(site.tenant.verifications()).toBe(before);
  });

  it.each([
    ['another origin', { origin: 'https://evil.example' }],
    ['our origin’s neighbour', { origin: 'https://127.0.0.1:1' }],
    ['plain HTTP', { origin: 'http://127.0.0.1' }],
    ['a sandbox', { origin: 'null' }],
    ['a site of our own site', { 'sec-fetch-site': 'same-site' }],
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['nowhere', { 'sec-fetch-site': 'none' }],
    ['another site, without Origin', { origin: undefined, 'sec-fetch-site': 'cross-site' }],
    ['what is no browser', { origin: undefined, 'sec-fetch-site': undefined }],
  ])('from %s is refused, token or not', async (_from, headers) => {
    await giveName('anna@phs.test');
    const before = site.tenant.verifications();
    expectForeign(await client.post(`${base}/password`, { token, password: PASSWORD }, headers));
    expect(site.tenant.verifications()).toBe(before);
  });

  it('is refused without the cookie of its sign-in: nobody is signed in to somebody else’s', async () => {
    const stranger = new FormClient(site.tenant);
    expectOver(await stranger.get(`${base}/password`));
    expectOver(await stranger.post(`${base}/password`, { token, password: PASSWORD }));
    await stranger.begin(await party.authorizationUrl());
    expectOver(await stranger.post(`${base}/password`, { token, password: PASSWORD }));
  });

  it('with a password that came twice, or as something else than a form, is not taken', async () => {
    await giveName('anna@phs.test');
    const before = site.tenant.verifications();
    const twice = await client.post(`${base}/password`, `token=${token}&password=${PASSWORD}&password=x`);
    expect(twice.location).toBe(`${base}/password`);
    const json = await client.post(`${base}/password`, JSON.stringify({ token, password: PASSWORD }), {
      'content-type': 'application/json',
    });
    expect(json.status).toBe(415);
    expect(json.headers['content-type']).toBe('text/html; charset=utf-8');
    const long = await client.post(`${base}/password`, `token=${token}&password=${'x'.repeat(20_000)}`);
    expect(long.status).toBe(413);
    expect(site.tenant.verifications()).toBe(before);
  });

  it('that is sent twice at once changes a password once, and leads on both times', async () => {
    await site.addCloudUser('sven', PASSWORD);
    const { objectId } = await site.user('sven');
    const reset = { objectId, newPassword: PASSWORD, forceChangeNextSignIn: true, actor: 'test' };
    await site.tenant.passwords.reset(reset);
    await giveName('sven@phs.test');
    expect((await givePassword(PASSWORD)).location).toBe(`${base}/change`);
    const fields = { token, old: PASSWORD, new: NEW, confirm: NEW };
    const changes = await Promise.all([client.post(`${base}/change`, fields), client.post(`${base}/change`, fields)]);
    expect(changes.map(({ location }) => location)).toEqual([`${base}/done`, `${base}/done`]);
    // And when it comes again, long after.
    expect((await client.post(`${base}/change`, fields)).location).toBe(`${base}/done`);
    expect(await site.signIn('sven', NEW)).toBe(0);
  });

  it('in the address is no form', async () => {
    await giveName('anna@phs.test');
    const before = site.tenant.verifications();
    await client.get(`${base}/password?token=${token}&password=${PASSWORD}`);
    expect(site.tenant.verifications()).toBe(before);
  });
});

describe('the step cookie', () => {
  const STEP = '__Secure-sign-in';
  const forge = (step: object, seal: Seal) => {
    const uid = base.slice(base.lastIndexOf('/') + 1);
    client.cookies.set(STEP, seal.close(uid, step));
  };

  it('is what opens the page for changing a password: without it the way is closed', async () => {
    const before = site.tenant.verifications();
    expect((await client.get(`${base}/change`)).location).toBe(`${base}/name`);
    const fields = { token, old: PASSWORD, new: NEW, confirm: NEW };
    expect((await client.post(`${base}/change`, fields)).location).toBe(`${base}/name`);
    await giveName('risk@phs.test');
    expect((await client.post(`${base}/change`, fields)).location).toBe(`${base}/name`);
    expect(site.tenant.verifications()).toBe(before);
  });

  it('does not open it for an account at risk, whose password somebody else may have found', async () => {
    await giveName('risk@phs.test');
    expect((await givePassword(PASSWORD)).location).toBe(`${base}/refused`);
    expect((await client.get(`${base}/refused`)).text).toContain('Your account may be at risk');
    const fields = { token, old: PASSWORD, new: NEW, confirm: NEW };
    expect((await client.post(`${base}/change`, fields)).location).toBe(`${base}/name`);
  });

  it('cannot be made with another key, altered, or carried from one sign-in to another', async () => {
    const wanted = { name: 'anna@phs.test', change: 'temporary' };
    forge(wanted, new Seal(new Uint8Array(32)));
    expect((await client.get(`${base}/change`)).location).toBe(`${base}/name`);

    await giveName('anna@phs.test');
    const [, mac] = client.cookies.get(STEP)!.split('.');
    client.cookies.set(STEP, `${Buffer.from(JSON.stringify(wanted)).toString('base64url')}.${mac}`);
    expect((await client.get(`${base}/change`)).location).toBe(`${base}/name`);

    const other = new FormClient(site.tenant);
    const { base: elsewhere, token: theirs } = await other.begin(await party.authorizationUrl());
    await other.post(`${elsewhere}/name`, { token: theirs, name: 'temp@phs.test' });
    const changing = await other.post(`${elsewhere}/password`, { token: theirs, password: PASSWORD });
    expect(changing.location).toBe(`${elsewhere}/change`);
    expect((await other.get(`${elsewhere}/change`)).status).toBe(200);
    client.cookies.set(STEP, other.cookies.get(STEP)!);
    expect((await client.get(`${base}/change`)).location).toBe(`${base}/name`);

    // The same with the tenant's own key is taken: it is the seal that keeps the others out.
    forge(wanted, await Seal.open(site.tenant.store.database));
    expect((await client.get(`${base}/change`)).status).toBe(200);
  });

  it('of any other form is as none', async () => {
    for (const value of ['', '.', 'x', 'x.y', 'x.y.z', '%', '"', `${'a'.repeat(3000)}.b`]) {
      client.cookies.set(STEP, value);
      expect((await client.get(`${base}/password`)).location).toBe(`${base}/name`);
    }
  });

  it('holds no password, and goes when the sign-in is done', async () => {
    await giveName('anna@phs.test');
    await givePassword('Wr0ng-Passw0rd-9999');
    const [text] = client.cookies.get(STEP)!.split('.');
    expect(Buffer.from(text!, 'base64url').toString()).not.toContain('Wr0ng');
    await givePassword(PASSWORD);
    expect(client.cookies.has(STEP)).toBe(false);
  });
});

describe('a way out', () => {
  it('leads to configured addresses only, whatever the request says', async () => {
    for (const hint of [
      'https://evil.example',
      '//evil.example',
      'a@evil.example',
      'javascript:alert(1)@fed.test',
      'https://evil.example/@fed.test',
    ]) {
      const person = new FormClient(site.tenant);
      const { location = '' } = await person.get(await party.authorizationUrl({ login_hint: hint, domain_hint: hint }));
      expect(location).toMatch(/^\/sign-in\/[\w-]+$/);
      const next = await person.get(location);
      expect(next.location).toMatch(/^\/sign-in\/[\w-]+\/(name|password|federated)$/);
      const page = await person.get(next.location!);
      const [, target] = /http-equiv="refresh" content="0;url=([^"]+)"/.exec(page.text) ?? [];
      if (target !== undefined) expect(target).toMatch(/^https:\/\/sts\.fed\.test\/adfs\/ls\/\?a=b&amp;login_hint=/);
    }
  });

  it('is not made of the address of a page', async () => {
    for (const path of ['/sign-in/%2F%2Fevil.example/name', '/sign-in/..%2F..%2Fevil/done', '/sign-in/<b>/name']) {
      const reply = await client.get(path);
      expect(reply.status).toBe(400);
      expect(reply.location).toBeUndefined();
      expect(reply.text).not.toContain('evil');
      expect(reply.text).not.toContain('<b>');
    }
  });

  it('is not open before somebody has signed in', async () => {
    expect((await client.get(`${base}/done`)).location).toBe(base);
    expect((await client.get(`${base}/refused`)).location).toBe(`${base}/name`);
    expect((await client.get(`${base}/account`)).location).toBe(`${base}/name`);
    expect((await client.get(`${base}/federated`)).location).toBe(`${base}/name`);
  });
});

describe('"KMSI behavior can be enabled or disabled by the … administrator": switched off, it', () => {
  it('is not offered, and not taken from who asks for it all the same', async () => {
    await giveName('anna@phs.test');
    expect((await client.get(`${base}/password`)).text).not.toContain('Keep me signed in');
    await givePassword(PASSWORD, { keep: 'yes' });
    const done = await client.get(`${base}/done`);
    const resumed = await client.get(/content="0;url=([^"]+)"/.exec(done.text)![1]!);
    const session = [resumed.headers['set-cookie'] ?? []].flat().find((line) => line.startsWith('__Host-session='));
    expect(session).toBeDefined();
    expect(session).not.toMatch(/expires|max-age/i);
  });
});

describe('every page', () => {
  const pages = async (): Promise<Record<string, FormReply>> => {
    await giveName('temp@phs.test');
    const found: Record<string, FormReply> = {
      name: await client.get(`${base}/name`),
      password: await client.get(`${base}/password`),
    };
    await givePassword('wrong');
    found.wrong = await client.get(`${base}/password`);
    await givePassword(PASSWORD);
    found.change = await client.get(`${base}/change`);
    await giveName('nobody@fed.test');
    found.federated = await client.get(`${base}/federated`);
    await giveName('anna@phs.test');
    await givePassword(PASSWORD);
    found.done = await client.get(`${base}/done`);
    found.over = await new FormClient(site.tenant).get(`${base}/name`);
    const authorize = await party.authorizationUrl();
    found.unknownClient = await client.get(authorize.replace('client_id=app', 'client_id=nobody'));
    found.wrongRedirect = await client.get(authorize.replace('callback', 'elsewhere'));
    found.unknownTenant = await client.get(authorize.replace(site.tenant.tenantId, 'elsewhere.test'));
    found.device = await client.get(`/${site.tenant.tenantId}/oauth2/v2.0/deviceauth`);
    found.deviceWithCode = await client.get(`/${site.tenant.tenantId}/oauth2/v2.0/deviceauth?user_code=ABCD-EFGH`);
    found.signOut = await client.get(`/${site.tenant.tenantId}/oauth2/v2.0/logout`);
    return found;
  };

  it('has the same strict headers, and neither script nor style of its own', async () => {
    const found = Object.entries(await pages());
    expect(found.length).toBe(13);
    for (const [name, { headers, text, status }] of found) {
      expect({ name, type: headers['content-type'] }).toEqual({ name, type: 'text/html; charset=utf-8' });
      expect({ name, policy: headers['content-security-policy'] }).toEqual({
        name,
        policy:
          "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      });
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'referrer-policy': 'same-origin',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'strict-transport-security': 'max-age=31536000',
      });
      expect({ name, found: text.match(/<script|<style|\sstyle=|\son[a-z]+=|javascript:/i)?.[0] }).toEqual({ name });
      expect(text).toMatch(/^<!doctype html>\n<html lang="en">/);
      const title = /<title>(.*) - phsync tenant<\/title>/.exec(text)![1]!;
      expect({ name, says: title.startsWith('Error: ') }).toEqual({ name, says: status >= 400 || name === 'wrong' });
    }
  });

  it('is for people: the token endpoint answers with JSON whoever asks', async () => {
    const form = {
      grant_type: 'authorization_code',
      client_id: 'app',
      code: 'none',
      redirect_uri: 'http://127.0.0.1/',
    };
    const reply = await client.post(`/${site.tenant.tenantId}/oauth2/v2.0/token`, form, { origin: undefined });
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text)).toMatchObject({ error: 'invalid_grant' });
  });

  it('has its style sheet at an address of its content, kept by browsers for ever', async () => {
    const { text } = await client.get(`${base}/name`);
    const [, path] = /<link rel="stylesheet" href="([^"]+)">/.exec(text)!;
    expect(path).toMatch(/^\/assets\/style-[0-9a-f]{16}\.css$/);
    const sheet = await client.get(path!);
    expect(sheet.headers).toMatchObject({
      'content-type': 'text/css; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    expect(sheet.text).not.toMatch(/@import|url\(/);
    expect((await client.get('/assets/style-0000000000000000.css')).status).toBe(404);
  });

  it('marks its cookies HttpOnly, Secure and SameSite', async () => {
    const reply = await giveName('anna@phs.test');
    const cookies = [reply.headers['set-cookie'] ?? []].flat();
    expect(cookies.length).toBe(1);
    expect(cookies[0]).toMatch(new RegExp(`; Path=${base}; HttpOnly; Secure; SameSite=Lax$`));
  });
});

describe('what is typed', () => {
  it('into the field for the name, a password as like as not, does not come to lie on disk or in the log', async () => {
    const typed = 'S3cret-typed-as-name@wrong.field';
    await giveName(typed);
    await client.get(`${base}/password`);
    await givePassword('S3cret-typed-as-password');
    await site.tenant.signInService.log.flush();
    const files = readdirSync(site.tenant.stateDir).map((name) =>
      readFileSync(join(site.tenant.stateDir, name), 'latin1'),
    );
    const onDisk = (text: string) => files.some((bytes) => bytes.toLowerCase().includes(text));
    expect({ known: onDisk('anna@phs.test'), typed: onDisk('s3cret-typed') }).toEqual({ known: true, typed: false });
    expect(site.tenant.logText().toLowerCase()).not.toContain('s3cret-typed');
  });
});

describe('the parts', () => {
  it('html escapes what is put in, and never takes a string for markup', () => {
    const evil = `<script>alert("1")</script>&'`;
    const safe = '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;';
    expect(String(html`<p title="${evil}">${evil}</p>`)).toBe(`<p title="${safe}">${safe}</p>`);
    expect(String(html`${html`<b>${evil}</b>`}${[html`<i>1</i>`, html`<i>2</i>`]}`)).toBe(
      `<b>${safe}</b><i>1</i><i>2</i>`,
    );
    expect(String(html`a${undefined}b${null}c${false}d${0}`)).toBe('abcd0');
    const pretender = { toString: () => '<b>' } as unknown as string;
    expect(String(html`${pretender}`)).toBe('&lt;b&gt;');
    expect(tokenOf({ text: '<input type="hidden" name="token" value="a-b_c">' } as FormReply)).toBe('a-b_c');
  });

  it('form-action takes origins and schemes, and nothing that would end the directive', () => {
    const actions = (...targets: string[]) =>
      /form-action ([^;]*);/.exec(pageHeaders(targets)['content-security-policy']!)![1];
    expect(actions()).toBe("'self'");
    expect(actions('https://app.example/out?a=b', 'https://app.example/', 'http://127.0.0.1:81/x')).toBe(
      "'self' https://app.example http://127.0.0.1:81",
    );
    expect(actions('com.example.app:/out')).toBe("'self' com.example.app:");
    expect(actions('https://a;script-src.example/')).toBe("'self'");
    expect(actions('https://a,b.example/')).toBe("'self'");
  });

  it('isFromHere wants one header at least, and contradicts none', () => {
    const here = 'https://tenant.example:8443';
    const from = (headers: Readonly<Record<string, string>>) => isFromHere({ headers }, here);
    expect(from({ origin: here })).toBe(true);
    expect(from({ 'sec-fetch-site': 'same-origin' })).toBe(true);
    expect(from({ origin: `${here}.evil.example` })).toBe(false);
    expect(from({ origin: 'https://tenant.example' })).toBe(false);
    expect(from({ origin: here, 'sec-fetch-site': 'cross-site' })).toBe(false);
    expect(from({})).toBe(false);
  });
});
