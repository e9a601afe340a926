/** `phsync tenant` as a process: ready line, signals, exit codes, start-up errors, a kill, two on one state. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials } from '#src/provisioning/client-credentials.js';
import { AGENT, credentialText, temporaryDirectory, vectors, writeText } from './harness.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const yaml = (more = 'listen: { host: 127.0.0.1, port: 0 }\n') => `stateDir: ./state
domains: [{ name: phs.test, authenticationType: Managed }]
agents: [{ clientId: ${AGENT.clientId}, clientSecret: { env: PHSYNC_AGENT_SECRET } }]
${more}`;

interface Ready {
  readonly url: string;
  readonly ca: string;
  readonly tenantId: string;
  readonly provisioningUrl: string;
  readonly tokenUrl: string;
}

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let children: ChildProcess[];
beforeEach(async () => {
  directory = await temporaryDirectory();
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await directory.remove();
});

function start(...args: string[]) {
  const env = { ...process.env, PHSYNC_AGENT_SECRET: AGENT.secret };
  const child = spawn(process.execPath, [main, 'tenant', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (output.stdout += chunk));
  child.stderr.on('data', (chunk) => (output.stderr += chunk));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...output }));
  return { child, output, ended };
}

async function startReady(file: string) {
  const process = start('--config', file, '--json');
  const failed = process.ended.then(({ code, stderr, stdout }) => {
    throw new Error(`ended with ${code}: ${stdout}${stderr}`);
  });
  while (!process.output.stdout.includes('\n')) await Promise.race([once(process.child.stdout!, 'data'), failed]);
  // From now on its end is expected.
  failed.catch(() => {});
  return { ...process, ready: JSON.parse(process.output.stdout) as Ready };
}

async function clientOf({ provisioningUrl, tokenUrl, ca: caPath }: Ready) {
  const ca = readFileSync(caPath);
  const tokens = createClientCredentials({ tokenUrl, clientId: AGENT.clientId, clientSecret: AGENT.secret, ca });
  const client = createProvisioningClient({ url: provisioningUrl, ca, token: (force) => tokens.token(force) });
  return { client, close: () => Promise.all([client.close(), tokens.close()]) };
}

const users = (batch: number) =>
  Array.from({ length: 100 }, (_, i) => ({
    syncObjectType: 'User',
    syncOperation: 'Set' as const,
    propertyValues: new Map([
      ['SourceAnchor', `${batch}-${i}`],
      ['userPrincipalName', `u${batch}-${i}@phs.test`],
    ]),
  }));
const credentials = (batch: number) =>
  Array.from({ length: 100 }, (_, i) => ({
    changeDate: new Date(0),
    cloudAnchor: undefined,
    credentialData: credentialText(vectors[0]!),
    forcePasswordChangeOnLogon: false,
    sourceAnchor: `${batch}-${i}`,
    windowsLegacyCredentials: undefined,
    windowsSupplementalCredentials: undefined,
  }));

async function signIn({ tokenUrl, ca }: Ready, username: string): Promise<number> {
  const dispatcher = new Agent({ connect: { ca: readFileSync(ca) } });
  const { password } = vectors[0]!;
  const { statusCode, body } = await request(tokenUrl, {
    method: 'POST',
    dispatcher,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'password', client_id: 'app', username, password }).toString(),
  });
  await body.dump();
  await dispatcher.close();
  return statusCode;
}

describe('phsync tenant', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('says when it is ready, and ends with 0 on %s', async (signal) => {
    const file = await writeText(directory.path, 'tenant.yaml', yaml());
    const { child, ended, ready } = await startReady(file);
    expect(ready).toMatchObject({
      url: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+$/),
      ca: join(directory.path, 'state', 'ca.pem'),
      tenantId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    const { client, close } = await clientOf(ready);
    expect((await client.getCompanyConfiguration()).tenantId).toBe(ready.tenantId);
    // The client's connection is kept alive: it must not keep the server.
    child.kill(signal);
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('tenant is closed');
    expect(`${stdout}${stderr}`).not.toContain(AGENT.secret);
    await close();
    for (const [name, mode] of [
      ['', 0o700],
      ['tenant.sqlite', 0o600],
      ['ca-key.pem', 0o600],
      ['key.pem', 0o600],
    ] as const) {
      expect((await stat(join(directory.path, 'state', name))).mode & 0o777, name).toBe(mode);
    }
  });

  it('has every acknowledged batch after SIGKILL', { timeout: 240_000 }, async () => {
    const file = await writeText(directory.path, 'tenant.yaml', yaml());
    const { child, ended, ready } = await startReady(file);
    const { client, close } = await clientOf(ready);
    let acknowledged = 0;
    const load = (async () => {
      for (let batch = 0; ; batch++) {
        await client.provisionAzureADSyncObjects(users(batch));
        await client.provisionCredentials(credentials(batch));
        acknowledged = batch + 1;
        if (acknowledged === 10) setTimeout(() => child.kill('SIGKILL'), 7);
      }
    })();
    await expect(load).rejects.toMatchObject({ code: 'provisioning-unreachable' });
    expect((await ended).signal).toBe('SIGKILL');
    await close();
    const again = await startReady(file);
    expect(again.ready.tenantId).toBe(ready.tenantId);
    expect(acknowledged).toBeGreaterThanOrEqual(10);
    for (const name of ['u0-0', `u${acknowledged - 1}-99`]) {
      expect(await signIn(again.ready, `${name}@phs.test`)).toBe(200);
    }
    again.child.kill('SIGTERM');
    expect((await again.ended).code).toBe(0);
  });

  it('runs twice on one state', async () => {
    const file = await writeText(directory.path, 'tenant.yaml', yaml());
    const [one, two] = [await startReady(file), await startReady(file)];
    expect(two.ready.tenantId).toBe(one.ready.tenantId);
    const { client, close } = await clientOf(one.ready);
    await client.provisionAzureADSyncObjects(users(0));
    await client.provisionCredentials(credentials(0));
    expect(await signIn(two.ready, 'u0-5@phs.test')).toBe(200);
    await close();
  });
});

describe('phsync tenant does not start', () => {
  async function refused(text: string | undefined, exitCode: number, code: string, words: string | RegExp) {
    const file = join(directory.path, 'tenant.yaml');
    if (text !== undefined) await writeText(directory.path, 'tenant.yaml', text);
    const { code: exit, stdout } = await start('--config', file, '--json').ended;
    const { error } = JSON.parse(stdout);
    expect(error).toMatchObject({ code, message: expect.stringMatching(words) });
    expect(exit).toBe(exitCode);
  }

  it('without a file, or with one that is wrong', async () => {
    await refused(undefined, 2, 'config-unreadable', 'no such file');
    await refused('stateDir: [', 2, 'config-syntax', /tenant\.yaml:1:\d+: not valid YAML/);
    await refused(yaml('listen: { port: 0 }\ncolour: red\n'), 2, 'config-invalid', 'colour: unknown key');
    await refused(yaml('listen: { port: 99999 }\n'), 2, 'config-invalid', 'listen.port: expected number');
    await refused(yaml('listen: { port: 0 }\ntls: maybe\n'), 2, 'config-invalid', 'tls: expected auto or');
    for (const [store, words] of [
      ['{ type: oracle }', 'store.type: expected sqlite or postgres'],
      ['{}', 'store.type: expected sqlite or postgres'],
      ['sqlite', 'store: expected { type: sqlite } or { type: postgres, url: SECRET }'],
      ['{ type: postgres }', 'store.url: expected'],
      ['{ type: postgres, url: postgres://u:p@h/d }', 'store.url: expected'],
    ] as const) {
      await refused(yaml(`listen: { port: 0 }\nstore: ${store}\n`), 2, 'config-invalid', words);
    }
    await refused(
      yaml().replace('env: PHSYNC_AGENT_SECRET', 'env: NOT_SET_ANYWHERE'),
      2,
      'config-secret',
      'NOT_SET_ANYWHERE',
    );
    await refused(yaml().replace('name: phs.test', 'name: phs_test'), 2, 'config-invalid', 'domains');
    // The agent would take a domain of one label neither.
    await refused(yaml().replace('name: phs.test', 'name: phs'), 2, 'config-invalid', 'expected a DNS domain name');
    const twice = yaml().replace('[{ name: phs.test', '[{ name: PHS.test }, { name: phs.test');
    await refused(twice, 2, 'config-invalid', /domains\[1\]\.name: .*twice/);
  });

  it('with a certificate that is not there', async () => {
    await refused(
      yaml('listen: { port: 0 }\ntls: { cert: c.pem, key: k.pem }\n'),
      2,
      'config-tls',
      'c.pem: no such file',
    );
  });

  it('on a port that is taken, or without a place for its state', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await refused(
      yaml(`listen: { port: ${port} }\n`),
      3,
      'listen',
      `port ${port}: .* choose another listen.port in tenant.yaml`,
    );
    other.close();
    await writeText(directory.path, 'file', '');
    const text = yaml().replace('./state', './file/state');
    await refused(text, 3, 'state-directory', /cannot use the state directory .*file\/state/);
  });

  it('without its option', async () => {
    const { code, stderr } = await start().ended;
    expect(code).toBe(2);
    expect(stderr).toContain('--config');
  });
});
