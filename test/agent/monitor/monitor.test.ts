/** The monitor of a running agent, with a real tenant over TLS; and that nothing of what is told has a secret in it. */

import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AgentConfig, agentConfigSchema } from '#src/agent/config.js';
import { type CreatedAgent, createAgent } from '#src/agent/create-agent.js';
import { type LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { openStateReader } from '#src/agent/state/reader.js';
import { parseConfig } from '#src/config/load-config.js';
import { ntHash } from '#src/hasher/nt-hash.js';
import { createLog } from '#src/log/log.js';
import { SecretScanner } from '../../secrets/secret-scan.js';
import { DOMAIN, SECRET, TestSite } from '../site.js';
import { complaints, lackingParser, parseExposition, samplesOf } from './exposition.js';

const lacking = lackingParser();
const skip = lacking !== undefined && process.env.CI !== 'true';

let site: TestSite;
let lines: string[];
let created: CreatedAgent | undefined;
const stop = { current: new AbortController() };
let running: Promise<void> | undefined;

beforeEach(async () => {
  site = await TestSite.start();
  lines = [];
  stop.current = new AbortController();
});
afterEach(async () => {
  stop.current.abort();
  await running;
  await created?.close();
  created = running = undefined;
  await site.stop();
});

function config(port = 0): AgentConfig {
  const { provisioningUrl, caPath } = site.tenant;
  const text = JSON.stringify({
    stateDir: './agent',
    logLevel: 'trace',
    monitor: { port },
    tenant: { url: provisioningUrl, ca: caPath, auth: { clientId: 'agent-1', clientSecret: { env: 'SECRET' } } },
    connectors: [
      { name: 'forest-a', directory: { type: 'lab', users: 1, domain: DOMAIN } },
      { name: 'off', enabled: false, directory: { type: 'lab', users: 1, domain: 'other.test' } },
    ],
  });
  return parseConfig(text, join(site.directory, 'agent.yaml'), agentConfigSchema);
}

async function start(lab: LabDirectory, port = 0): Promise<CreatedAgent> {
  const log = createLog('trace', { write: (line: string) => void lines.push(line) });
  const openSource = async () => new LabSource(lab);
  return createAgent(config(port), { log, env: { SECRET }, monitored: true, openSource });
}

async function run(lab: LabDirectory): Promise<CreatedAgent> {
  created = await start(lab);
  running = created.agent.run({ signal: stop.current.signal });
  return created;
}

const get = async (path: string) => {
  const response = await fetch(created!.monitorUrl! + path);
  const text = await response.text();
  return { status: response.status, text, type: response.headers.get('content-type') };
};

/** Asks until the answer has the status, and gives the answer's checks. */
async function until(path: string, status: number) {
  for (;;) {
    const answer = await get(path);
    if (answer.status === status) {
      return JSON.parse(answer.text) as { status: string; checks: { name: string; ok: boolean; detail: string }[] };
    }
    await delay(20);
  }
}

describe.skipIf(skip)(`the monitor${skip ? ` (needs ${lacking})` : ''}`, () => {
  test('says when passwords get through, and when they do not any more', async () => {
    const lab = site.lab({ users: 300 });
    const { agent } = await run(lab);
    const ready = await until('/readyz', 200);
    expect(ready.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['tenant', true],
      ['state', true],
      ['connector forest-a', true],
    ]);
    expect(JSON.parse((await get('/healthz')).text)).toMatchObject({
      status: 'ok',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      checks: [{ name: 'forest-a', ok: true }],
    });
    await site.tenant.close();
    agent.demandFull({ connector: undefined });
    const failing = await until('/readyz', 503);
    expect(failing.status).toBe('failing');
    expect(failing.checks.find(({ name }) => name === 'tenant')).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/^cannot be reached \((token|provisioning)-unreachable\)$/),
    });
    expect((await get('/healthz')).status).toBe(200);
  });

  test('counts what the cycles do', async () => {
    const lab = site.lab({ users: 300 });
    await run(lab);
    await until('/readyz', 200);
    const { text, type } = await get('/metrics');
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = parseExposition(text);
    expect(complaints(families, 'phsync_')).toEqual([]);
    const found = samplesOf(families);
    const of = (name: string, more = '') => found.get(`${name}{connector="forest-a"${more}}`);
    const { credentials, users } = await site.tenant.store.counts();
    expect([of('phsync_credentials_sent_total'), of('phsync_users_created_total')]).toEqual([credentials, users]);
    expect(of('phsync_cycles_total', ',outcome="done"')).toBe(1);
    expect(of('phsync_cycle_duration_seconds_count')).toBe(1);
    expect(of('phsync_retry_queue_objects')).toBe(0);
    const now = Date.now() / 1000;
    for (const name of ['last_success', 'heartbeat', 'full_sync']) {
      expect(Math.abs(of(`phsync_${name}_timestamp_seconds`)! - now), name).toBeLessThan(120);
    }
    expect(of('phsync_directory_info', ',directory="simulated lab directory, 300 users"')).toBe(1);
    expect([of('phsync_connector_enabled'), found.get('phsync_connector_enabled{connector="off"}')]).toEqual([1, 0]);
    const calls = 'phsync_tenant_requests_total{operation="ProvisionCredentials",outcome="success"}';
    expect(found.get(calls)).toBeGreaterThan(0);
  });

  test('log, events and metrics of a whole synchronization have no secret in them, nor has the state', async () => {
    const lab = site.lab({ users: 300 });
    const { events, agent } = await run(lab);
    await until('/readyz', 200);
    const changed = lab.userIndex(7);
    const before = lab.passwordOf(changed);
    lab.changePassword(changed);
    agent.demandFull({ connector: undefined });
    while ((await site.password(lab, changed)) !== 'right') await delay(20);
    await until('/readyz', 200);
    const metrics = (await get('/metrics')).text;
    created!.flush();
    const reader = openStateReader(site.stateDir)!;
    const stored = reader.events(100_000);
    reader.close();
    expect(stored.map(({ number }) => number)).toEqual(expect.arrayContaining([617, 650, 651, 622, 623]));
    expect(lines.some((line) => JSON.parse(line).event === 657)).toBe(true);

    const indexes = Array.from({ length: lab.users }, (_, n) => lab.userIndex(n));
    const passwords = [before, ...indexes.map((index) => lab.passwordOf(index))];
    const hash = (password: string) => Buffer.from(ntHash(password)).toString('hex');
    const scanner = new SecretScanner(passwords.map((password, i) => ({ name: `${i}`, ntHash: hash(password) })));
    const told = [lines.join(''), JSON.stringify(stored), metrics].join('\n');
    const leaks = (text: string) => [
      ...scanner.scan(Buffer.from(text), 'told').map(({ form }) => form),
      ...passwords.filter((password) => text.includes(password)).map(() => 'password'),
      ...(text.includes(SECRET) ? ['client secret'] : []),
      ...(text.match(/PPH1_MD4|eyJ[\w-]{10}/g) ?? []),
    ];
    expect(leaks(told)).toEqual([]);
    expect(scanner.scanFiles(site.stateDir).findings).toEqual([]);
    // What it would find.
    expect(leaks(`${told} ${hash(before)} ${before}`)).toEqual(['hex', 'password']);
    // And the second belt.
    lines.length = 0;
    events.emit(603, { message: `unexpected ${hash(before)}` });
    expect(leaks(lines.join(''))).toEqual([]);
  });
});

test('a port that is taken ends the start with what to do, and leaves nothing behind', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  try {
    const lab = site.lab({ users: 5 });
    await expect(start(lab, port)).rejects.toMatchObject({
      code: 'monitor-listen',
      message: expect.stringContaining(`port ${port}: another program listens there: choose another monitor.port`),
    });
    created = await start(lab);
    expect(created.monitorUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  } finally {
    other.close();
  }
});

test('its port is closed with the agent', async () => {
  created = await start(site.lab({ users: 5 }));
  const url = created.monitorUrl!;
  await created.close();
  created = undefined;
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});
