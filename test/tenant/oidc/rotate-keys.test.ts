/** `phsync tenant rotate-keys` beside a running tenant: what is published, what signs, and which tokens are still taken. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { AGENT, type TestTenant, temporaryDirectory, testHasher, writeText } from '../harness.js';
import { SECRETS, startOidcTenant } from './site.js';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startOidcTenant({ stateDir: directory.path, hasher });
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});

async function rotate(...more: string[]): Promise<{ keys: { kid: string; alg: string; activeFrom: string }[] }> {
  const config = { stateDir: '.', listen: { port: 0 }, domains: [{ name: 'phs.test' }] };
  const file = await writeText(directory.path, 'tenant.yaml', JSON.stringify(config));
  const { stdout } = await run(process.execPath, [cli, 'tenant', 'rotate-keys', '--config', file, '--json', ...more]);
  return JSON.parse(stdout);
}

/** As a minute would do. */
async function restart(): Promise<void> {
  const { port } = tenant;
  await tenant.close();
  tenant = await startOidcTenant({
    stateDir: directory.path,
    hasher,
    config: { listen: { host: '127.0.0.1', port } },
  });
}

const published = async (): Promise<string[]> =>
  (await tenant.get('/common/discovery/v2.0/keys')).json.keys.map(({ kid }: { kid: string }) => kid);

const applicationToken = async (): Promise<string> =>
  (
    await tenant.token({
      grant_type: 'client_credentials',
      client_id: 'web',
      client_secret: SECRETS.WEB_SECRET,
      scope: 'https://graph.microsoft.com/.default',
    })
  ).json.access_token;

const status = async (token: string) =>
  (await tenant.get('/v1.0/users', { headers: { authorization: `Bearer ${token}` } })).status;

it('publishes the next keys, which do not sign yet', async () => {
  const before = await published();
  const token = await applicationToken();
  const { keys } = await rotate();
  expect(keys.map(({ alg }) => alg).sort()).toEqual(['ES256', 'RS256']);
  for (const { activeFrom } of keys) expect(Date.parse(activeFrom)).toBeGreaterThan(Date.now() + 23 * 3_600_000);
  await restart();
  expect((await published()).sort()).toEqual([...before, ...keys.map(({ kid }) => kid)].sort());
  expect(await status(token)).toBe(200);
  expect(decodeProtectedHeader(await applicationToken()).kid).toBe(decodeProtectedHeader(token).kid);
});

it('replaces a key that others know at once: its tokens are refused', async () => {
  const token = await applicationToken();
  const { keys } = await rotate('--at-once');
  await restart();
  expect((await published()).sort()).toEqual(keys.map(({ kid }) => kid).sort());
  expect(await status(token)).toBe(401);
  expect(await status(await applicationToken())).toBe(200);
});

it('is written into the audit log, without a key', async () => {
  const rows = await tenant.store.database.run((queries) =>
    queries.selectFrom('audit_events').selectAll().where('actor_id', '=', 'phsync tenant rotate-keys').execute(),
  );
  expect(rows.map(({ activity }) => activity)).toEqual(['Rotate signing keys', 'Replace signing keys']);
  expect(JSON.stringify(rows)).not.toMatch(/"(d|p|q|dp|dq|qi)\\?":/);
});

it('shows no private part of a key to anyone', async () => {
  const { json } = await tenant.get('/common/discovery/v2.0/keys');
  for (const key of json.keys) {
    for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi']) expect(key).not.toHaveProperty(member);
  }
  expect(tenant.logText()).not.toContain(AGENT.secret);
});

it('--at-once at a machine whose clock is ahead: the tenant signs with the new keys, and says what is wrong', async () => {
  const elsewhere = await temporaryDirectory();
  const now = () => new Date(Date.now() - 1_800_000);
  const start = () => startOidcTenant({ stateDir: elsewhere.path, hasher, now });
  let late = await start();
  try {
    const config = { stateDir: '.', listen: { port: 0 }, domains: [{ name: 'phs.test' }] };
    const file = await writeText(elsewhere.path, 'tenant.yaml', JSON.stringify(config));
    const command = ['tenant', 'rotate-keys', '--config', file, '--json', '--at-once'];
    const { stdout } = await run(process.execPath, [cli, ...command]);
    const made = JSON.parse(stdout).keys.map(({ kid }: { kid: string }) => kid);
    await late.close();
    late = await start();
    const form = { grant_type: 'client_credentials', client_id: 'web', client_secret: SECRETS.WEB_SECRET };
    const { json } = await late.token({ ...form, scope: 'https://graph.microsoft.com/.default' });
    expect(made).toContain(decodeProtectedHeader(json.access_token).kid);
    const authorization = `Bearer ${json.access_token}`;
    expect((await late.get('/v1.0/users', { headers: { authorization } })).status).toBe(200);
    expect(late.logText()).toContain('a signing key signs before its time');
  } finally {
    await late.close();
    await elsewhere.remove();
  }
});
