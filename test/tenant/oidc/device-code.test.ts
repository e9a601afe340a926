/** Device authorization (RFC 8628) through openid-client and the pages: waiting, signed in, declined, expired, wrong codes. */

import * as client from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { addPerson, Browser, hiddenFields, signInAt } from './people.js';
import { relyingParty, startOidcTenant } from './site.js';

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;
let config: client.Configuration;
let anna: string;
let browser: Browser;
let device: client.DeviceAuthorizationResponse;

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startOidcTenant({ stateDir: directory.path, hasher });
  anna = await addPerson(tenant, 'anna');
  config = await relyingParty(tenant, 'spa');
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});
beforeEach(async () => {
  browser = new Browser(tenant.dispatcher);
  device = await client.initiateDeviceAuthorization(config, { scope: 'openid offline_access User.Read' });
});

const poll = (code = device.device_code, clientId = 'spa') =>
  tenant.token({ grant_type: GRANT, client_id: clientId, device_code: code });

/** Types the code and answers the question after it. */
async function enter(userCode: string, answer: 'confirm' | 'abort') {
  const asked = await browser.get(device.verification_uri);
  const shown = await browser.post(device.verification_uri, { ...hiddenFields(asked.text), user_code: userCode });
  return browser.post(device.verification_uri, { ...hiddenFields(shown.text), [answer]: 'yes' });
}

describe('a device code', () => {
  it('has a code that people can type, an address, and how long it is good', () => {
    expect(device).toMatchObject({
      user_code: expect.stringMatching(/^[A-Z]{4}-[A-Z]{4}$/),
      verification_uri: `${tenant.url}/${tenant.tenantId}/oauth2/v2.0/deviceauth`,
      expires_in: 900,
      interval: 5,
    });
  });

  it('waits for its person, and is good once', { timeout: 240_000 }, async () => {
    expect(await poll()).toMatchObject({ status: 400, json: { error: 'authorization_pending', error_codes: [70016] } });
    const waiting = client.pollDeviceAuthorizationGrant(config, device);
    const next = await enter(device.user_code.toLowerCase().replace('-', ' '), 'confirm');
    expect(await poll()).toMatchObject({ json: { error: 'authorization_pending' } });
    await signInAt(browser, tenant, next.location!, 'anna');
    const tokens = await waiting;
    expect(tokens.claims()).toMatchObject({ oid: anna });
    expect(tokens.scope?.split(' ').sort()).toEqual(['User.Read', 'offline_access', 'openid']);
    expect((await client.refreshTokenGrant(config, tokens.refresh_token!)).access_token).toBeDefined();
    expect(await poll()).toMatchObject({ status: 400, json: { error: 'invalid_grant', error_codes: [54005] } });
  });

  it('is over when its person declines', async () => {
    await enter(device.user_code, 'abort');
    expect(await poll()).toMatchObject({
      status: 400,
      json: { error: 'authorization_declined', error_codes: [70017] },
    });
  });

  it('is for its own client, and one of many', async () => {
    expect((await poll(device.device_code, 'desktop')).json.error_codes).toEqual([70000]);
    for (const code of ['x'.repeat(43), device.user_code, `${device.device_code}x`]) {
      expect((await poll(code)).json.error_codes).toEqual([70000]);
    }
  });

  it('is not approved by a form from elsewhere, nor without the question', async () => {
    // Another browser's token in the form.
    const stranger = new Browser(tenant.dispatcher);
    const { text } = await stranger.get(device.verification_uri);
    const fields = { ...hiddenFields(text), user_code: device.user_code, confirm: 'yes' };
    const forged = await browser.post(device.verification_uri, fields);
    // To the question at best, without the code.
    expect([undefined, device.verification_uri]).toContain(forged.location);
    const session = await browser.get(device.verification_uri);
    const other = await browser.post(device.verification_uri, {
      ...fields,
      xsrf: `${hiddenFields(session.text).xsrf}x`,
    });
    expect(other.location ?? '').not.toContain('/sign-in/');
    expect(await poll()).toMatchObject({ json: { error: 'authorization_pending' } });
  });

  it('is not found by a wrong code, which says nothing more', async () => {
    const asked = await browser.get(device.verification_uri);
    const wrong = await browser.post(device.verification_uri, { ...hiddenFields(asked.text), user_code: 'BBBB-BBBB' });
    expect(wrong.location).toBeUndefined();
    expect(wrong.text).not.toContain('Single page');
    const used = new Browser(tenant.dispatcher);
    await enter(device.user_code, 'abort');
    const again = await used.get(device.verification_uri);
    const second = await used.post(device.verification_uri, {
      ...hiddenFields(again.text),
      user_code: device.user_code,
    });
    expect(second.text).not.toContain('name="confirm"');
  });
});
