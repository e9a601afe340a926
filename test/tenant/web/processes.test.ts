/** One sign-in over several tenant processes on one PostgreSQL: whichever answers knows how far it has come. */

import { calculatePKCECodeChallenge, randomPKCECodeVerifier } from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { describePostgres } from '../../postgres.js';
import { temporaryDirectory, testHasher } from '../harness.js';
import { Clock, RuleSite } from '../rules/site.js';
import { applications } from './browser.js';
import { FormClient } from './form-client.js';

const PASSWORD = 'Old-Passw0rd-aou-1742';
const NEW = 'New-Passw0rd-zzz-8361';

describePostgres('a sign-in over two tenant processes', (postgres) => {
  let hasher: Hasher;
  let first: RuleSite;
  let second: RuleSite;
  const directories: Awaited<ReturnType<typeof temporaryDirectory>>[] = [];

  beforeAll(async () => {
    hasher = testHasher();
    const databaseUrl = await postgres().createDatabase();
    const start = async () => {
      const directory = await temporaryDirectory();
      directories.push(directory);
      return RuleSite.start({ tenant: { stateDir: directory.path, databaseUrl } }, hasher, {
        clock: new Clock(Date.now()),
        config: { applications, publicUrl: 'https://tenant.example' },
      });
    };
    first = await start();
    second = await start();
    await first.addCloudUser('anna', PASSWORD);
    const { objectId } = await first.user('anna');
    await first.tenant.passwords.reset({
      objectId,
      newPassword: PASSWORD,
      forceChangeNextSignIn: true,
      actor: 'test',
    });
  });
  afterAll(async () => {
    await first?.close();
    await second?.close();
    await hasher?.close();
    for (const directory of directories) await directory.remove();
  });

  it('goes on at another one after each page, and the code of one is redeemed by the other', async () => {
    const client = new FormClient(first.tenant);
    const verifier = randomPKCECodeVerifier();
    const query = new URLSearchParams({
      client_id: 'app',
      response_type: 'code',
      redirect_uri: 'http://127.0.0.1/callback',
      scope: 'openid profile',
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const { base, token } = await client.begin(`/${first.tenant.tenantId}/oauth2/v2.0/authorize?${query}`);
    const post = async (site: RuleSite, path: string, fields: Readonly<Record<string, string>>) => {
      client.moveTo(site.tenant);
      return (await client.post(`${base}/${path}`, { token, ...fields })).location;
    };
    expect(await post(second, 'name', { name: 'anna@phs.test' })).toBe(`${base}/password`);
    expect(await post(first, 'password', { password: PASSWORD })).toBe(`${base}/change`);
    expect(await post(second, 'change', { old: PASSWORD, new: NEW, confirm: NEW })).toBe(`${base}/done`);
    client.moveTo(first.tenant);
    const [, next] = /content="0;url=([^"]+)"/.exec((await client.get(`${base}/done`)).text)!;
    const { location = '' } = await client.get(next!);
    const code = new URL(location).searchParams.get('code')!;
    const form = {
      grant_type: 'authorization_code',
      client_id: 'app',
      code,
      redirect_uri: 'http://127.0.0.1/callback',
      code_verifier: verifier,
    };
    const redeem = async (site: RuleSite) => {
      client.moveTo(site.tenant);
      const { text } = await client.post(`/${site.tenant.tenantId}/oauth2/v2.0/token`, form, {
        accept: 'application/json',
        origin: undefined,
      });
      return JSON.parse(text);
    };
    const { id_token: idToken } = await redeem(second);
    expect(JSON.parse(Buffer.from(idToken.split('.')[1], 'base64url').toString())).toMatchObject({
      iss: `https://tenant.example/${first.tenant.tenantId}/v2.0`,
      preferred_username: 'anna@phs.test',
    });
    expect((await redeem(first)).error).toBe('invalid_grant');
  });

  it.each(['\0', 'a\0b@phs.test', '\u001b[31m@phs.test', '\ud800@phs.test', "'; DROP TABLE users; --@phs.test", '%'])(
    'takes hints and names like %j for text',
    async (hostile) => {
      const client = new FormClient(second.tenant);
      const query = new URLSearchParams({
        client_id: 'app',
        response_type: 'code',
        redirect_uri: 'http://127.0.0.1/callback',
        scope: 'openid',
        code_challenge: 'x'.repeat(43),
        code_challenge_method: 'S256',
        login_hint: hostile,
        domain_hint: hostile,
      });
      const { base, token } = await client.begin(`/${second.tenant.tenantId}/oauth2/v2.0/authorize?${query}`);
      const begun = await client.get(base);
      expect(begun.location).toMatch(/\/(name|password)$/);
      const named = await client.post(`${base}/name`, { token, name: hostile });
      expect(named.location).toMatch(/\/(name|password)$/);
      const tried = await client.post(`${base}/password`, { token, password: hostile });
      expect(tried.location).toMatch(/\/(name|password)$/);
      expect((await client.get(tried.location!)).status).toBe(200);
    },
  );
});
