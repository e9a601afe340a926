/** What an operator most likely did not mean, and what the log tells of refusals that callers learn little of. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher } from './harness.js';

const hasher = testHasher();
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let tenant: TestTenant;
beforeAll(async () => {
  directory = await temporaryDirectory();
  tenant = await startTestTenant({
    stateDir: directory.path,
    hasher,
    env: { APP_SECRET: 'a secret of an application' },
    config: {
      administrators: ['root@phs.test', 'root@elsewhere.test'],
      applications: [
        {
          clientId: 'reports',
          clientSecret: { env: 'APP_SECRET' },
          permissions: ['AuditLog.Read.All', 'User.ReadWriteAll'],
          delegated: ['Mail.Send'],
        },
        { clientId: 'app' },
      ],
    },
  });
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});

const lines = (message: string) =>
  tenant
    .logText()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => msg === message);

describe('the log', () => {
  it('tells that other machines cannot reach the issuer, where every address is listened on without publicUrl', async () => {
    const message = /listens on every address and has no publicUrl/;
    const log = async (config: Readonly<Record<string, unknown>>) => {
      const { path, remove } = await temporaryDirectory();
      const other = await startTestTenant({ stateDir: path, hasher, config });
      await other.close();
      await remove();
      return other.logText();
    };
    const said = await log({ listen: { host: '0.0.0.0', port: 0 } });
    expect(said).toMatch(message);
    expect(said).toMatch(/"key":"publicUrl","issuer":"https:\/\/localhost:\d+"/);
    expect(await log({ listen: { host: '0.0.0.0', port: 0 }, publicUrl: 'https://login.phs.test' })).not.toMatch(
      message,
    );
    expect(tenant.logText()).not.toMatch(message);
  });

  it('tells of permissions that no call asks for, with the nearest one', () => {
    const found = lines('tenant.yaml gives a permission that no call here asks for');
    expect(found.map(({ permission, didYouMean }) => [permission, didYouMean])).toEqual([
      ['Mail.Send', undefined],
      ['User.ReadWriteAll', 'User.ReadWrite.All'],
    ]);
  });

  it('tells of administrators who are of no domain', () => {
    const found = lines('tenant.yaml names an administrator who is of no domain of this tenant');
    expect(found.map(({ administrator }) => administrator)).toEqual(['root@elsewhere.test']);
  });

  it('tells of a refusal of Graph what was wanted and what the token has, by the answer’s request-id', async () => {
    const { json } = await tenant.token({
      grant_type: 'client_credentials',
      client_id: 'reports',
      client_secret: 'a secret of an application',
      scope: 'https://graph.microsoft.com/.default',
    });
    const reply = await tenant.get('/v1.0/users', { headers: { authorization: `Bearer ${json.access_token}` } });
    expect(reply.status).toBe(403);
    const [line] = lines('graph refused');
    expect(line).toMatchObject({
      requestId: reply.headers['request-id'],
      status: 403,
      clientId: 'reports',
      wanted: expect.arrayContaining(['User.Read.All']),
      has: expect.arrayContaining(['AuditLog.Read.All']),
    });
    expect(tenant.logText()).not.toContain(json.access_token);
  });

  it('has a line for each try of a password, without what was typed', async () => {
    await tenant.signIn('typed-by-mistake', 'and-this-too');
    expect(lines('sign-in')).toMatchObject([{ status: 'refused', code: 50034, flow: 'password', clientId: 'app' }]);
    expect(tenant.logText()).not.toMatch(/typed-by-mistake|and-this-too/);
  });
});
