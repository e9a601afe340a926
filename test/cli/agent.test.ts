import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { Dam } from '../dam.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** What a page of 1,000 users and their passwords takes on the wire, about. */
const PAGE_BYTES = 1_500_000;
const SECRET = 'the-agent-secret-of-the-tests';

const directory = mkdtempSync(join(tmpdir(), 'phsync-cli-test.'));
let tenant: ChildProcess;
let url: string;

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, SECRET, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function run(args: readonly string[], env?: NodeJS.ProcessEnv) {
  const child = start(args, env);
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk) => (stdout += chunk));
  child.stderr!.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

function config(name: string, changes: Record<string, unknown> = {}): string {
  const file = join(directory, `${name}.yaml`);
  writeFileSync(
    file,
    stringify({
      stateDir: `./${name}-state`,
      tenant: {
        url: `${url}/provisioningservice.svc`,
        ca: './tenant-state/ca.pem',
        auth: { clientId: 'agent-1', clientSecret: { env: 'SECRET' } },
      },
      connectors: [{ name: 'lab', directory: { type: 'lab', users: 500 } }],
      ...changes,
    }),
  );
  return file;
}

function drsConnector(password: Record<string, string>) {
  const auth = { user: 'phs.sync', password };
  return { name: 'phs.test', directory: { type: 'drs', server: 'dc1.phs.test', domain: 'phs.test', auth } };
}

beforeAll(async () => {
  writeFileSync(
    join(directory, 'broken.pem'),
    '-----BEGIN CERTIFICATE-----\nMIIBIjANBgkq\n-----END CERTIFICATE-----\n',
  );
  const file = join(directory, 'tenant.yaml');
  writeFileSync(
    file,
    stringify({
      stateDir: './tenant-state',
      listen: { port: 0 },
      domains: [{ name: 'lab.test' }],
      agents: [{ clientId: 'agent-1', clientSecret: { env: 'SECRET' } }],
      logLevel: 'silent',
    }),
  );
  tenant = start(['tenant', '--config', file, '--json']);
  const [line] = await once(createInterface({ input: tenant.stdout! }), 'line');
  url = JSON.parse(line).url;
});

afterAll(async () => {
  const ended = once(tenant, 'exit');
  tenant.kill('SIGTERM');
  await ended;
  rmSync(directory, { recursive: true, force: true });
});

describe('phsync agent', () => {
  test('--once --json prints one document; the log is JSON on stderr, without the secret', async () => {
    const file = config('once');
    const first = await run(['agent', '--config', file, '--once', '--json']);
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({
      done: true,
      connectors: [{ connector: 'lab', created: 500, credentialsSent: 500, failed: 0, retryQueue: 0 }],
    });
    const log = first.stderr.trim().split('\n');
    const lines = log.map((line) => JSON.parse(line));
    expect(lines.filter(({ event }) => event === undefined).map(({ msg }) => msg)).toEqual([
      'agent starts',
      'cycle done',
    ]);
    expect(lines.flatMap(({ event }) => event ?? [])).toEqual([617, 618, 650, 651, 622, 623]);
    expect(first.stderr + first.stdout).not.toContain(SECRET);
    const second = await run(['agent', '--config', file, '--once', '--json']);
    expect(JSON.parse(second.stdout)).toMatchObject({ done: true, connectors: [{ seen: 0, credentialsSent: 0 }] });
    const full = await run(['agent', '--config', file, '--once', '--json', '--full']);
    expect(JSON.parse(full.stdout)).toMatchObject({ done: true, connectors: [{ created: 0, credentialsSent: 500 }] });
  });

  test('--once without --json prints a line for each connector', async () => {
    const connectors = [
      { name: 'lab', directory: { type: 'lab', users: 3100 } },
      { name: 'one', directory: { type: 'lab', users: 1 } },
    ];
    const file = config('words', { logLevel: 'silent', connectors });
    const { code, stdout, stderr } = await run(['agent', '--config', file, '--once']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(
        /^lab: 3,103 users in scope looked at, 3,101 passwords sent, 1 must change theirs first, 1 without password, 0 failed, \d+\.\d s$/,
      ),
      expect.stringMatching(/^one: 1 user in scope looked at, 1 password sent, 0 must .*, 0 failed, \d+\.\d s$/),
      '',
    ]);
  });

  test('--once fails where the tenant refuses users, and says so in one line', async () => {
    const connectors = [{ name: 'lab', directory: { type: 'lab', users: 30, domain: 'other.test' } }];
    const text = await run(['agent', '--config', config('refused', { connectors }), '--once']);
    expect(text.code).toBe(3);
    expect(text.stdout).toMatch(/^lab: 30 users in scope looked at, 0 passwords sent, .*, 30 failed, /);
    const lines = text.stderr.trim().split('\n');
    expect(lines.at(-1)).toMatch(
      /^phsync: connector lab: 30 users were not taken, they stand in the retry queue; first reason: the tenant did not /,
    );
    const log = lines.slice(0, -1).map((line) => JSON.parse(line));
    expect(log.filter(({ msg }) => msg === 'in the retry queue')).toHaveLength(10);
    expect(log.find(({ guid }) => guid !== undefined).guid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(log.map(({ msg }) => msg)).toContain('and 20 more in the retry queue');
    const json = await run(['agent', '--config', config('refused', { connectors }), '--once', '--json']);
    expect(json.code).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({
      done: false,
      connectors: [{ failed: 30, retryQueue: 30, firstReason: expect.stringContaining('tenant') }],
    });
  });

  test("--once says a connector's failure once", async () => {
    const directory = { ...drsConnector({ env: 'SECRET' }).directory, address: '127.255.1.1' };
    const text = await run([
      'agent',
      '--config',
      config('alone', { connectors: [{ name: 'phs', directory }] }),
      '--once',
    ]);
    expect([text.code, text.stdout]).toEqual([3, '']);
    const lines = text.stderr.trim().split('\n');
    expect(lines.filter((line) => line.startsWith('phsync:'))).toHaveLength(1);
    const events = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).event);
    expect(events.filter((event) => event === 611)).toHaveLength(1);
    expect(text.stderr).toMatch(/^phsync: connector phs: .*127\.255\.1\.1/m);
  });

  test('says that no connector is enabled', async () => {
    const connectors = [{ name: 'lab', enabled: false, directory: { type: 'lab', users: 1 } }];
    const { code, stdout, stderr } = await run(['agent', '--config', config('off', { connectors }), '--once']);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toContain('no connector is enabled');
  });

  test('stays up until SIGTERM, then ends with 0; a second agent on its state is kept out meanwhile', async () => {
    const file = config('up');
    const child = start(['agent', '--config', file]);
    const log: string[] = [];
    const events: number[] = [];
    const lines = createInterface({ input: child.stderr! });
    const done = new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        const { event, msg } = JSON.parse(line);
        if (event === undefined) log.push(msg);
        else if (event > 600 && event < 620) events.push(event);
        if (log.at(-1) === 'cycle done') resolve();
      });
    });
    const ended = once(child, 'close');
    await done;
    const second = await run(['agent', '--config', file, '--once', '--json']);
    expect(second.code).toBe(3);
    expect(JSON.parse(second.stdout)).toMatchObject({ error: { code: 'state-in-use' } });
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(log).toEqual(['agent starts', 'cycle done', 'agent ends']);
    expect(events).toEqual([601, 617, 618, 602, 609]);
  });

  test('a stop in the middle of a first synchronization ends cleanly, and the next run goes on', async () => {
    const dam = await Dam.before(url);
    // The first users are those of the other tests, made in the tenant already.
    const connectors = [{ name: 'lab', directory: { type: 'lab', users: 20_000 } }];
    const tenant = {
      url: `${dam.url}/provisioningservice.svc`,
      ca: './tenant-state/ca.pem',
      auth: { clientId: 'agent-1', clientSecret: { env: 'SECRET' } },
    };
    const file = config('stopped', { connectors, tenant });
    const child = start(['agent', '--config', file, '--once', '--json']);
    let stdout = '';
    child.stdout!.on('data', (chunk) => (stdout += chunk));
    child.stderr!.resume();
    // Some of its twenty pages, and then those that are in hand.
    dam.allow(2 * PAGE_BYTES);
    await dam.dry();
    child.kill('SIGINT');
    dam.allow(6 * PAGE_BYTES);
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    const stopped = JSON.parse(stdout);
    expect(stopped.done).toBe(false);
    const [{ seen }] = stopped.connectors;
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThan(20_080);
    await dam.close();
    const next = await run(['agent', '--config', config('stopped', { connectors }), '--once', '--json']);
    expect(JSON.parse(next.stdout)).toMatchObject({ done: true, connectors: [{ seen: 20_080 - seen, failed: 0 }] });
  });

  test.each([
    ['a missing file', ['agent', '--config', '/nonexistent/agent.yaml'], 2, 'config-unreadable'],
    ['no --config', ['agent'], 2, 'usage-missing-mandatory-option-value'],
    ['a mistyped --config', ['agent', '--conf', 'agent.yaml'], 2, 'usage-unknown-option'],
  ])('%s', async (_, args, code, error) => {
    const result = await run([...args, '--once', '--json']);
    expect(result.code).toBe(code);
    expect(JSON.parse(result.stdout).error.code).toBe(error);
  });

  test.each([
    ['an interval', { interval: 60 }, {}, 2, 'config-invalid', /every two minutes/],
    ['a missing secret', {}, { SECRET: '' }, 2, 'config-secret', /tenant\.auth\.clientSecret.*SECRET is empty/],
    [
      'a missing password of the directory account',
      { connectors: [drsConnector({ env: 'AD_PASSWORD' })] },
      {},
      2,
      'config-secret',
      /^connectors\[0\]\.directory\.auth\.password: the environment variable AD_PASSWORD is not set$/,
    ],
    [
      'a password file that is not there',
      { connectors: [drsConnector({ file: './none.txt' })] },
      {},
      2,
      'config-secret',
      /^connectors\[0\]\.directory\.auth\.password: cannot read the secret's file .*none\.txt: no such file$/,
    ],
    ['a wrong secret', {}, { SECRET: 'wrong-secret' }, 3, 'token-refused', /AADSTS7000215/],
    [
      'a CA that is not there',
      {
        tenant: {
          url: 'https://127.0.0.1:1/x',
          ca: './none.pem',
          auth: { clientId: 'a', clientSecret: { env: 'SECRET' } },
        },
      },
      {},
      2,
      'config-ca',
      /none\.pem: no such file/,
    ],
    [
      'a CA file without a certificate',
      {
        tenant: {
          url: 'https://127.0.0.1:1/x',
          ca: './tenant.yaml',
          auth: { clientId: 'a', clientSecret: { env: 'SECRET' } },
        },
      },
      {},
      2,
      'config-ca',
      /^tenant\.ca: .*tenant\.yaml has no PEM certificate in it$/,
    ],
    [
      'a CA file whose certificate is broken',
      {
        tenant: {
          url: 'https://127.0.0.1:1/x',
          ca: './broken.pem',
          auth: { clientId: 'a', clientSecret: { env: 'SECRET' } },
        },
      },
      {},
      2,
      'config-ca',
      /^tenant\.ca: certificate 1 in .*broken\.pem cannot be read$/,
    ],
  ])('%s is a clear error', async (name, changes, env, code, error, message) => {
    const file = config(name.replaceAll(' ', '-'), changes);
    const result = await run(['agent', '--config', file, '--once', '--json'], env);
    expect(result.code).toBe(code);
    const document = JSON.parse(result.stdout);
    expect(document.error.code).toBe(error);
    expect(document.error.message).toMatch(message);
    const text = await run(['agent', '--config', file, '--once'], env);
    expect(text.code).toBe(code);
    expect(text.stderr.trim().split('\n').at(-1)).toMatch(/^phsync: /);
  });

  test('deletes no more users than the tenant takes for an accident, unless --allow-deletions', async () => {
    const directory = { type: 'lab', users: 600 };
    expect(
      (await run(['agent', '--config', config('mass', { connectors: [{ name: 'lab', directory }] }), '--once'])).code,
    ).toBe(0);
    const scope = { include: ['OU=Lap,DC=lab,DC=test'] };
    const args = [
      'agent',
      '--config',
      config('mass', { connectors: [{ name: 'lab', directory, scope }] }),
      '--once',
      '--json',
    ];
    const stopped = await run(args);
    expect(stopped.code).toBe(3);
    expect(JSON.parse(stopped.stdout)).toMatchObject({
      done: false,
      connectors: [{ deleted: 0, error: { code: 'too-many-deletions' } }],
    });
    const allowed = await run([...args, '--allow-deletions']);
    expect(allowed.code).toBe(0);
    expect(JSON.parse(allowed.stdout)).toMatchObject({ done: true, connectors: [{ deleted: 600 }] });
  }, 240_000);

  test('a tenant that is not there fails a cycle, not the loop', async () => {
    const child = start([
      'agent',
      '--config',
      config('nobody', {
        tenant: { url: 'https://127.0.0.1:9/x', auth: { clientId: 'a', clientSecret: { env: 'SECRET' } } },
      }),
    ]);
    const ended = once(child, 'close');
    for await (const line of createInterface({ input: child.stderr! })) {
      if (JSON.parse(line).level !== 'error') continue;
      expect(JSON.parse(line)).toMatchObject({ code: 'token-unreachable' });
      break;
    }
    expect(child.exitCode).toBeNull();
    child.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
  });
});
