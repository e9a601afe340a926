/** The monitor's pages, as a supervisor and Prometheus see them. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { MissingKey } from '#src/domain-services/keys/missing-keys.js';
import { Monitor } from '#src/domain-services/monitor/monitor.js';
import { noCounts } from '#src/domain-services/observer.js';
import { openStateStore, type StateStore } from '#src/domain-services/state/store.js';
import type { Synchronizer } from '#src/domain-services/synchronizer.js';

const ID = '0f2a3b4c-5d6e-4f70-8192-a3b4c5d6e7f8';
const directory = mkdtempSync(join(tmpdir(), 'phsync-monitor.'));
let now = Date.parse('2026-06-01T00:00:00Z');
const ends = new Date(now);
let store: StateStore;
let monitor: Monitor;
/** What the monitor asks of the synchronizer. */
const synchronizer: {
  domain?: object;
  tenantDomain?: object;
  heldDeletions?: { gone: number; all: number };
  missingKeys: readonly MissingKey[];
} = { missingKeys: [] };

beforeAll(async () => {
  store = openStateStore(join(directory, 'state'));
  monitor = new Monitor({
    config: { host: '127.0.0.1', port: 0, readyMinutes: 5 },
    version: '1.2.3',
    log: pino({ level: 'silent' }),
    store,
    keys: () => [{ thumbprint: 'ab', subject: 'CN=x', notAfter: ends, place: '/key' }],
    now: () => now,
  });
  await monitor.start(synchronizer as Synchronizer);
});
afterAll(async () => {
  await monitor?.close();
  store?.close();
  rmSync(directory, { recursive: true, force: true });
});

async function page(path: string) {
  const reply = await fetch(`${monitor.url}${path}`);
  const text = await reply.text();
  return { status: reply.status, text, json: path === '/metrics' ? undefined : JSON.parse(text) };
}
const failing = async () => {
  const { status, json } = await page('/readyz');
  const bad = json.checks.filter(({ ok }: { ok: boolean }) => !ok);
  expect(status).toBe(bad.length === 0 ? 200 : 503);
  return bad.map(({ name, detail }: { name: string; detail: string }) => `${name}: ${detail}`);
};

it('is ready once tenant and domain have answered, and not while one of them fails', async () => {
  expect(await failing()).toEqual(['tenant: was not asked yet', 'domain: was not asked yet']);
  monitor.worked('tenant');
  monitor.worked('domain');
  expect(await failing()).toEqual([]);
  monitor.failed('domain', 'managed-domain-ldb', 'the domain controller cannot be written to: disk full');
  expect(await failing()).toEqual([
    'domain: the domain controller cannot be written to: disk full (managed-domain-ldb)',
  ]);
  monitor.worked('domain');
  monitor.failed('keys', 'domain-services-key-unavailable', 'the token is gone');
  expect(await failing()).toEqual(['keys: the token is gone (domain-services-key-unavailable)']);
  monitor.worked('keys');
  // The domain is asked when there is something for it; the tenant all the time.
  now += 6 * 60_000;
  expect(await failing()).toEqual(['tenant: answered 6 min ago, and not since']);
  monitor.worked('tenant');
  synchronizer.heldDeletions = { gone: 7, all: 9 };
  expect(await failing()).toEqual(['deletions: 7 of 9 users are held back from deletion']);
  delete synchronizer.heldDeletions;
  expect((await page('/healthz')).json).toMatchObject({ status: 'ok', version: '1.2.3', uptimeSeconds: 360 });
});

it('says what was found to work, and what is not asked', async () => {
  const { json } = await page('/readyz');
  const [domain] = json.checks.filter(({ name }: { name: string }) => name === 'domain');
  expect(domain).toEqual({
    name: 'domain',
    ok: true,
    detail: expect.stringMatching(/database answers .+KDC .+ not asked/),
  });
});

it('tells who waits, and counts', async () => {
  const failure = { objectId: ID, code: 'ad-auth-info-wrong-key', reason: 'cannot be opened', retryAfterMs: undefined };
  store.settle({ cookie: 'c', seen: [ID], gone: [], done: [], failed: [failure], now });
  now += 90_000;
  monitor.counted({ ...noCounts(), created: 3, passwordsWritten: 2, failed: 1 });
  expect((await page('/status')).json).toMatchObject({
    users: 1,
    waiting: 1,
    queue: [{ objectId: ID, code: 'ad-auth-info-wrong-key', attempts: 1, nextTry: null }],
    keys: [{ thumbprint: 'ab', place: '/key' }],
  });
  const { text } = await page('/metrics');
  for (const line of [
    'users_total{outcome="created"} 3',
    'passwords_total{outcome="written"} 2',
    'failed_total 1',
    'retry_queue_users 1',
    'retry_queue_oldest_age_seconds 90',
    'calls_total{side="domain",outcome="managed-domain-ldb"} 1',
    `certificate_expiry_timestamp_seconds{thumbprint="ab"} ${Date.parse('2026-06-01T00:00:00Z') / 1000}`,
  ]) {
    expect(text).toContain(`\nphsync_domain_services_${line}\n`);
  }
  expect(text).not.toContain('phsync_domain_services_last_success_timestamp_seconds 0');
  store.completed(now);
  expect((await page('/metrics')).text).toContain(
    `\nphsync_domain_services_last_success_timestamp_seconds ${now / 1000}\n`,
  );
});

it('says which keys are missing, until when their certificates go, and is not ready without the newest', async () => {
  const newest = { thumbprint: 'cd', notAfter: new Date(now + 3 * 86_400_000), daysLeft: 3, isNewest: true };
  const old = { thumbprint: 'ef', notAfter: undefined, daysLeft: undefined, isNewest: false };
  monitor.worked('tenant');
  synchronizer.missingKeys = [old];
  expect(await failing()).toEqual([]);
  synchronizer.missingKeys = [newest, old];
  expect(await failing()).toEqual(['keys: no key for the certificate cd that agents seal passwords to']);
  expect((await page('/status')).json).toMatchObject({
    keys: [{ thumbprint: 'ab', daysLeft: -1 }],
    missingKeys: [
      { thumbprint: 'cd', notAfter: newest.notAfter.toISOString(), daysLeft: 3, isNewest: true },
      { thumbprint: 'ef', notAfter: null, daysLeft: null, isNewest: false },
    ],
  });
  const { text } = await page('/metrics');
  expect(text).toContain('\nphsync_domain_services_key_missing{thumbprint="cd",newest="true"} 1\n');
  expect(text).toContain('\nphsync_domain_services_key_missing{thumbprint="ef",newest="false"} 1\n');
  const end = newest.notAfter.getTime() / 1000;
  expect(text).toContain(`\nphsync_domain_services_certificate_expiry_timestamp_seconds{thumbprint="cd"} ${end}\n`);
});

it('has the metrics that its guide lists, with these types and labels', async () => {
  const { text } = await page('/metrics');
  const guide = readFileSync(new URL('../../src/domain-services/README.md', import.meta.url), 'utf8');
  const listed = [...guide.matchAll(/^\| (phsync_\w+) \| (\w+) \| ([\w, ]*?) ?\| /gm)].map(([, name, type, labels]) => [
    name,
    type,
    labels!.split(', ').filter(Boolean).sort().join(),
  ]);
  const labelsOf = (name: string) =>
    new RegExp(`^${name}\\{(.*?)\\} `, 'm')
      .exec(text)?.[1]
      ?.replaceAll(/="[^"]*"/g, '')
      .split(',')
      .sort()
      .join() ?? '';
  const told = [...text.matchAll(/^# TYPE (phsync_\w+) (\w+)$/gm)].map(([, name, type]) => [
    name,
    type,
    labelsOf(name!),
  ]);
  expect(listed.sort()).toEqual(told.sort());
});
