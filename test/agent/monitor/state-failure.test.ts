import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#src/agent/clock.js';
import { Monitor, type MonitorOptions } from '#src/agent/monitor/monitor.js';
import type { HasherInfo } from '#src/hasher/types.js';

let monitor: Monitor | undefined;
afterEach(() => monitor?.close());

async function start(changes: Partial<MonitorOptions>): Promise<string> {
  monitor = new Monitor({
    config: { host: '127.0.0.1', port: 0, readyMinutes: 10 },
    hasher: { backend: 'fallback', threads: 1 } as HasherInfo,
    version: '1.2.3',
    staging: false,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    connectors: () => [],
    probeState: () => undefined,
    ...changes,
  });
  await monitor.start();
  return monitor.url!;
}

const stateCheck = async (url: string) => {
  const response = await fetch(`${url}/readyz`);
  const { checks } = (await response.json()) as { checks: { name: string; detail: string }[] };
  return [response.status, checks.find(({ name }) => name === 'state')!.detail];
};

test('a state that cannot be read fails /readyz, and leaves the metrics of the process', async () => {
  const url = await start({
    connectors: () => {
      throw new Error('disk I/O error');
    },
  });
  expect(await stateCheck(url)).toEqual([503, 'disk I/O error']);
  const metrics = await fetch(`${url}/metrics`);
  expect(metrics.status).toBe(200);
  expect(await metrics.text()).toMatch(/^process_resident_memory_bytes \d+$/m);
});

test('a state that cannot be written fails /readyz; it is not written to at each question', async () => {
  let probes = 0;
  const url = await start({
    probeState: () => {
      probes++;
      throw new Error('database or disk is full');
    },
  });
  for (let i = 0; i < 5; i++) expect(await stateCheck(url)).toEqual([503, 'database or disk is full']);
  expect(probes).toBe(1);
});
