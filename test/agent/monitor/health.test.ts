import { describe, expect, test } from 'vitest';
import { health, type ReadyInput, readiness, STUCK_MS } from '#src/agent/monitor/health.js';
import type { ConnectorGlance } from '#src/agent/monitor/source.js';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const MINUTE = 60_000;

const connector = (changes: Partial<ConnectorGlance> = {}): ConnectorGlance => ({
  name: 'phs.test',
  enabled: true,
  state: 'waiting',
  startedAt: undefined,
  nextCycleAt: NOW + MINUTE,
  directory: 'dc1',
  retryQueue: 0,
  oldestFailureAt: undefined,
  completedAt: NOW - MINUTE,
  heartbeatAt: NOW,
  fullSyncAt: NOW,
  lastError: undefined,
  domainServices: 'off',
  certificateValidTo: undefined,
  ...changes,
});

const input = (changes: Partial<ReadyInput> = {}): ReadyInput => ({
  now: NOW,
  connectors: [connector()],
  lastSign: () => undefined,
  limitMs: 10 * MINUTE,
  tenant: { at: NOW - MINUTE, outcome: 'success' },
  stateFailure: undefined,
  ...changes,
});

/** The names of the checks that fail. */
const failing = (changes: Partial<ReadyInput> = {}) =>
  readiness(input(changes))
    .checks.filter(({ ok }) => !ok)
    .map(({ name, detail }) => `${name}: ${detail}`);

describe('readiness', () => {
  test('all is well', () => {
    expect(readiness(input())).toEqual({
      ok: true,
      checks: [
        { name: 'tenant', ok: true, detail: 'answers' },
        { name: 'state', ok: true, detail: 'can be written' },
        { name: 'connector phs.test', ok: true, detail: 'complete cycle 1 min ago' },
      ],
    });
  });

  test.each<[string, Partial<ReadyInput>, string]>([
    ['the tenant was not asked yet', { tenant: undefined }, 'tenant: was not asked yet'],
    [
      'the tenant is away',
      { tenant: { at: NOW, outcome: 'provisioning-unreachable' } },
      'tenant: cannot be reached (provisioning-unreachable)',
    ],
    [
      'the tenant says what has no words here',
      { tenant: { at: NOW, outcome: 'provisioning-fault' } },
      'tenant: did not take the last call (provisioning-fault)',
    ],
    [
      'the tenant was not asked for long',
      { tenant: { at: NOW - 11 * MINUTE, outcome: 'success' } },
      'tenant: answered 11 min ago, and was not asked since',
    ],
    ['the disk is full', { stateFailure: 'database or disk is full' }, 'state: database or disk is full'],
    ['nothing is enabled', { connectors: [connector({ enabled: false })] }, 'connectors: no connector is enabled'],
    [
      'a connector has not worked for long',
      { connectors: [connector({ completedAt: NOW - 11 * MINUTE, lastError: 'no route to dc1' })] },
      'connector phs.test: no complete cycle for 11 min; the last one failed: no route to dc1',
    ],
    [
      'there was no cycle yet',
      { connectors: [connector({ completedAt: undefined })] },
      'connector phs.test: no complete cycle: there was none yet',
    ],
    [
      'the first synchronization runs',
      { connectors: [connector({ completedAt: undefined, state: 'running' })], lastSign: () => NOW },
      'connector phs.test: no complete cycle: the first one runs',
    ],
    [
      'a long cycle stands still',
      {
        connectors: [connector({ completedAt: NOW - 60 * MINUTE, state: 'running' })],
        lastSign: () => NOW - 11 * MINUTE,
      },
      'connector phs.test: no complete cycle for 60 min',
    ],
  ])('%s', (_, changes, expected) => {
    expect(failing(changes)).toEqual([expected]);
  });

  test('a full synchronization may take its time while it goes on', () => {
    const connectors = [connector({ completedAt: NOW - 60 * MINUTE, state: 'running' })];
    expect(failing({ connectors, lastSign: () => NOW - 9 * MINUTE })).toEqual([]);
  });

  test('a connector that is switched off is not waited for', () => {
    const off = connector({ name: 'off', enabled: false, completedAt: undefined, state: 'off' });
    expect(failing({ connectors: [connector(), off] })).toEqual([]);
  });

  test('one of two is named', () => {
    const b = connector({ name: 'b', completedAt: NOW - 20 * MINUTE });
    expect(failing({ connectors: [connector(), b] })).toEqual(['connector b: no complete cycle for 20 min']);
  });
});

describe('health', () => {
  const alive = (changes: Partial<ConnectorGlance>, sign?: number) =>
    health({ now: NOW, connectors: [connector(changes)], lastSign: () => sign }).ok;

  test('a loop that turns', () => {
    expect(alive({})).toBe(true);
    expect(alive({ nextCycleAt: NOW - STUCK_MS })).toBe(true);
    expect(alive({ state: 'running', startedAt: NOW - STUCK_MS })).toBe(true);
    expect(alive({ state: 'running', startedAt: NOW - 600 * MINUTE }, NOW - MINUTE)).toBe(true);
    expect(alive({ state: 'off', enabled: false, nextCycleAt: undefined })).toBe(true);
  });

  test('one that does not', () => {
    expect(alive({ nextCycleAt: NOW - STUCK_MS - 1 })).toBe(false);
    expect(alive({ state: 'running', startedAt: NOW - STUCK_MS - 1 })).toBe(false);
    expect(alive({ state: 'running', startedAt: NOW - 600 * MINUTE }, NOW - STUCK_MS - 1)).toBe(false);
    expect(alive({ state: 'stopped' })).toBe(false);
  });

  test('a directory or tenant that is away is no reason to restart', () => {
    expect(alive({ completedAt: NOW - 600 * MINUTE, lastError: 'gone' })).toBe(true);
  });
});
