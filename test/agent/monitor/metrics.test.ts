/** The metrics are what Prometheus reads, as its own client for Python says, and monitoring.md says what they are. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Metrics } from '#src/agent/monitor/metrics.js';
import type { ConnectorGlance } from '#src/agent/monitor/source.js';
import { type CycleCounts, noCounts } from '#src/agent/state/rows.js';
import { root } from '../../package/tools.js';
import { complaints, type Family, lackingParser, parseExposition, samplesOf } from './exposition.js';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const page = readFileSync(join(root, 'src/agent/monitoring.md'), 'utf8');
const lacking = lackingParser();
const skip = lacking !== undefined && process.env.CI !== 'true';

const glance = (name: string, changes: Partial<ConnectorGlance> = {}): ConnectorGlance => ({
  name,
  enabled: true,
  state: 'waiting',
  startedAt: undefined,
  nextCycleAt: NOW,
  directory: 'dc1.phs.test (127.0.0.1)',
  retryQueue: 0,
  oldestFailureAt: undefined,
  completedAt: NOW - 60_000,
  heartbeatAt: NOW - 120_000,
  fullSyncAt: NOW - 180_000,
  lastError: undefined,
  domainServices: 'off',
  certificateValidTo: undefined,
  ...changes,
});

let connectors: ConnectorGlance[] = [];
function create(...now: ConnectorGlance[]): Metrics {
  connectors = now;
  return new Metrics({
    hasher: { backend: 'native', kernel: 'avx512', threads: 2 } as ConstructorParameters<typeof Metrics>[0]['hasher'],
    version: '0.1.0',
    staging: false,
    now: () => NOW,
    connectors: () => connectors,
  });
}

const counts = (changes: Partial<CycleCounts>): CycleCounts => ({ ...noCounts(), ...changes });
const report = (connector: string, changes: Partial<CycleCounts>, seconds: number, error?: string) => ({
  connector,
  directory: undefined,
  retryQueue: 0,
  staging: false,
  firstReason: undefined,
  seconds,
  error: error === undefined ? undefined : { code: error, message: error },
  ...counts(changes),
});

const read = async (metrics: Metrics) => samplesOf(parseExposition(await metrics.text()));

describe.skipIf(skip)(`the exposition${skip ? ` (needs ${lacking})` : ''}`, () => {
  test('counts what cycles do while they do it, once', async () => {
    const metrics = create(glance('a'));
    metrics.cycleStarted('a');
    metrics.progress('a', counts({ seen: 100, credentialsSent: 90, created: 95 }));
    expect((await read(metrics)).get('phsync_credentials_sent_total{connector="a"}')).toBe(90);
    metrics.progress('a', counts({ seen: 200, credentialsSent: 180, created: 190, failed: 1 }));
    metrics.cycleEnded(report('a', { seen: 200, credentialsSent: 181, created: 190, failed: 1 }, 2), false);
    metrics.cycleStarted('a');
    metrics.cycleEnded(report('a', { seen: 3, filtered: 1, filteredByRule: 1, noPassword: 1 }, 0.2, 'dc-gone'), false);
    metrics.cycleStarted('a');
    metrics.cycleEnded(report('a', { updated: 2, deleted: 4 }, -5), true);
    const found = await read(metrics);
    const of = (name: string) => found.get(`${name}{connector="a"}`);
    expect([of('phsync_objects_seen_total'), of('phsync_credentials_sent_total')]).toEqual([203, 181]);
    expect([
      of('phsync_users_created_total'),
      of('phsync_users_updated_total'),
      of('phsync_users_deleted_total'),
      of('phsync_objects_failed_total'),
    ]).toEqual([190, 2, 4, 1]);
    expect([
      of('phsync_passwords_held_back_total'),
      of('phsync_passwords_filtered_total'),
      of('phsync_passwords_missing_total'),
    ]).toEqual([1, 1, 1]);
    for (const outcome of ['done', 'failed', 'stopped']) {
      expect(found.get(`phsync_cycles_total{connector="a",outcome="${outcome}"}`)).toBe(1);
    }
    expect(of('phsync_cycle_duration_seconds_count')).toBe(3);
    expect(of('phsync_cycle_duration_seconds_sum')).toBeCloseTo(2.2);
  });

  test('shows each connector as it is at the moment', async () => {
    const metrics = create(
      glance('a', { retryQueue: 3, oldestFailureAt: NOW - 90_000, state: 'running' }),
      glance('b', { enabled: false, completedAt: undefined, heartbeatAt: undefined, directory: undefined }),
    );
    const found = await read(metrics);
    expect(found.get('phsync_retry_queue_objects{connector="a"}')).toBe(3);
    expect(found.get('phsync_retry_queue_oldest_age_seconds{connector="a"}')).toBe(90);
    expect(found.get('phsync_retry_queue_oldest_age_seconds{connector="b"}')).toBe(0);
    expect(found.get('phsync_last_success_timestamp_seconds{connector="a"}')).toBe(NOW / 1000 - 60);
    expect(found.has('phsync_last_success_timestamp_seconds{connector="b"}')).toBe(false);
    expect(found.get('phsync_heartbeat_timestamp_seconds{connector="a"}')).toBe(NOW / 1000 - 120);
    expect(found.get('phsync_full_sync_timestamp_seconds{connector="a"}')).toBe(NOW / 1000 - 180);
    expect(found.get('phsync_connector_enabled{connector="b"}')).toBe(0);
    expect(found.get('phsync_cycle_running{connector="a"}')).toBe(1);
    expect(found.get('phsync_directory_info{connector="a",directory="dc1.phs.test (127.0.0.1)"}')).toBe(1);
    expect(found.get('phsync_hasher_info{backend="native",kernel="avx512",threads="2"}')).toBe(1);
    expect(found.get('phsync_build_info{version="0.1.0"}')).toBe(1);
    connectors = [glance('a', { directory: 'dc2.phs.test' })];
    const later = await read(metrics);
    expect([...later.keys()].filter((key) => key.startsWith('phsync_directory_info'))).toEqual([
      'phsync_directory_info{connector="a",directory="dc2.phs.test"}',
    ]);
    expect([...later.keys()].filter((key) => key.includes('connector="b"'))).toEqual([]);
  });

  test('counts calls to the tenant', async () => {
    const metrics = create();
    metrics.tenantCall('ProvisionCredentials', 0.3, 'success');
    metrics.tenantCall('ProvisionCredentials', 0.1, 'provisioning-busy');
    metrics.tenantRetry();
    const found = await read(metrics);
    expect(
      found.get('phsync_tenant_requests_total{operation="ProvisionCredentials",outcome="provisioning-busy"}'),
    ).toBe(1);
    expect(found.get('phsync_tenant_request_duration_seconds_count{operation="ProvisionCredentials"}')).toBe(2);
    expect([found.get('phsync_tenant_throttled_total'), found.get('phsync_tenant_retries_total')]).toEqual([1, 1]);
  });

  test('keeps a name that is hard to write', async () => {
    const name = 'wald "nord"\\\n{x="y"} ü';
    expect((await read(create(glance(name)))).has(`phsync_connector_enabled{connector="${name}"}`)).toBe(true);
  });

  test('keeps to the conventions of names', async () => {
    const families = parseExposition(await filled().text());
    expect(families.filter(({ name }) => name.startsWith('phsync_')).length).toBeGreaterThan(20);
    expect(complaints(families, 'phsync_')).toEqual([]);
    const usual = families.map(({ name }) => name);
    expect(usual).toEqual(expect.arrayContaining(['process_resident_memory_bytes', 'process_cpu_seconds']));
  });

  test('which the check would miss nothing of', () => {
    const family = (name: string, type: string, samples: Family['samples'], help = 'h'): Family => ({
      name,
      type,
      help,
      samples,
    });
    const sample = (name: string, labels: Record<string, string>, value: number) => ({ name, labels, value });
    expect(
      complaints(
        [
          family('x_a', 'counter', [sample('x_a', {}, 1)]),
          family('x_b_ms', 'gauge', [], ''),
          family('x_info', 'gauge', [sample('x_info', {}, 2)]),
          family('x_c_seconds', 'histogram', [
            sample('x_c_seconds_bucket', { le: '1' }, 5),
            sample('x_c_seconds_bucket', { le: '2' }, 4),
          ]),
        ],
        'x_',
      ),
    ).toEqual([
      'x_a: without _total',
      'x_b_ms: no help',
      'x_b_ms: not in base units',
      'x_b_ms: without a unit',
      'x_info: an info that is not 1',
      'x_c_seconds: {}: no bucket without bound',
      'x_c_seconds: {}: buckets do not add up',
    ]);
  });

  test('is what monitoring.md says', async () => {
    const families = parseExposition(await filled().text()).filter(({ name }) => name.startsWith('phsync_'));
    const found = families.map(({ name, type, help, samples }) => [
      type === 'counter' ? `${name}_total` : name,
      type,
      [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))].filter((label) => label !== 'le').join(', '),
      help,
    ]);
    const lines = page.slice(page.indexOf('| metric | type |')).split('\n').slice(2);
    const rows = lines.slice(
      0,
      lines.findIndex((line) => !line.startsWith('|')),
    );
    const told = rows.map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
    expect(told.sort()).toEqual(found.sort());
  });

  test('has each metric and label that the alerts of monitoring.md ask for', async () => {
    const known = samplesOf(parseExposition(await filled().text()));
    const { groups } = parse(page.match(/^```yaml\n(groups:[\s\S]*?)^```$/m)![1]!) as {
      groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(5);
    for (const { expr, annotations } of rules) {
      const names = expr.match(/phsync_\w+/g) ?? [];
      expect(names.length > 0 || expr.startsWith('up{')).toBe(true);
      for (const name of names) {
        const series = [...known.keys()].filter((key) => key.startsWith(`${name}{`) || key === name);
        expect(series, name).not.toEqual([]);
        if (annotations.summary.includes('$labels.connector')) expect(series[0]).toContain('connector=');
      }
    }
  });
});

/** With a sample of everything. */
function filled(): Metrics {
  const metrics = create(glance('a', { certificateValidTo: NOW }));
  metrics.cycleEnded(report('a', {}, 1), false);
  metrics.tenantCall('GetCompanyConfiguration', 1, 'success');
  return metrics;
}
