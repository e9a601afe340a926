/** How a batch is shared out among the widths: a forced kernel's own only, and for `auto` at the least measured cost. */

import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { KernelWidth } from '#src/hasher/backend.js';
import type { KernelChoice } from '#src/hasher/types.js';
import { addon, addonPath, describeKernels, painted } from './addon.js';

const { lanes: bulkLanes, supported } = addon.kernels();
const mostLanes = Math.max(...addon.kernels().widths.map(({ lanes }) => lanes));
/** Jobs in one message each, or one NT hash each, that one compression and one call of rounds serve. */
const operations = {
  'pbkdf2-sha256': (kernel: KernelChoice, jobs: number) =>
    addon.deriveBatch(kernel, painted(16 * jobs), painted(10 * jobs), 2, new Uint8Array(32 * jobs)),
  md5: (kernel: KernelChoice, jobs: number) =>
    addon.md5Batch(kernel, painted(3 * jobs), ends(jobs), new Uint8Array(16 * jobs)),
  md4: (kernel: KernelChoice, jobs: number) =>
    addon.md4Batch(kernel, painted(3 * jobs), ends(jobs), new Uint8Array(16 * jobs)),
} as const;
type Algorithm = keyof typeof operations;
const ends = (jobs: number) => Uint32Array.from({ length: jobs + 1 }, (_, i) => 3 * i);

/** The widths that were called, with the number of calls. */
function calledBy(algorithm: Algorithm, work: () => void): KernelWidth[] {
  const before = addon.kernels().widths;
  work();
  return addon
    .kernels()
    .widths.map((width, i) => ({ ...width, calls: width.calls - before[i]!.calls }))
    .filter((width) => width.algorithm === algorithm && width.calls !== 0);
}

const cost = (widths: readonly KernelWidth[]) => widths.reduce((sum, w) => sum + w.calls * w.nanoseconds, 0);

/** The least that `jobs` jobs can cost: every multiset of calls is looked at, by way of the last call. */
function leastCost(widths: readonly KernelWidth[], jobs: number): number {
  const least = [0];
  for (let n = 1; n <= jobs; n++) {
    least.push(Math.min(...widths.map((w) => w.nanoseconds + least[Math.max(0, n - w.lanes)]!)));
  }
  return least[jobs]!;
}

describeKernels('a forced kernel', (kernel) => {
  it('runs PBKDF2 in its own widths only, at any number of jobs', () => {
    for (let jobs = 1; jobs <= 2 * mostLanes + 1; jobs++) {
      const called = calledBy('pbkdf2-sha256', () => operations['pbkdf2-sha256'](kernel, jobs));
      expect(called.length).toBeGreaterThan(0);
      expect([...new Set(called.map((width) => width.kernel))]).toEqual([kernel]);
      expect(called.reduce((sum, { calls, lanes }) => sum + calls * lanes, 0)).toBeGreaterThanOrEqual(jobs);
    }
  });

  it.each(['sha256', 'md5', 'md4'] as const)('runs %s in its own widths where it has any', (algorithm) => {
    const own = addon.kernels().widths.filter((width) => width.kernel === kernel && width.algorithm === algorithm);
    const work = () => operations[algorithm === 'sha256' ? 'pbkdf2-sha256' : algorithm](kernel, 5);
    const called = calledBy(algorithm as Algorithm, work);
    expect(called.length).toBeGreaterThan(0);
    if (own.length > 0) expect([...new Set(called.map((width) => width.kernel))]).toEqual([kernel]);
  });
});

it('runs PBKDF2 in the one width that was asked for', () => {
  const widths = addon.kernels().widths.filter(({ algorithm }) => algorithm === 'pbkdf2-sha256');
  for (const { kernel, lanes } of widths) {
    const called = calledBy('pbkdf2-sha256', () => operations['pbkdf2-sha256'](`${kernel}:${lanes}`, 2 * lanes + 1));
    expect(called).toMatchObject([{ kernel, lanes, calls: 3 }]);
  }
});

describe.each(Object.keys(operations) as Algorithm[])('auto, %s', (algorithm) => {
  const widths = addon.kernels().widths.filter((width) => width.algorithm === algorithm);

  it('was measured in every width', () => {
    expect(new Set(widths.map(({ kernel, lanes }) => `${kernel} ${lanes}`)).size).toBe(widths.length);
    for (const { nanoseconds } of widths) expect(nanoseconds).toBeGreaterThan(0);
    expect(Math.max(...widths.map(({ nanoseconds }) => nanoseconds))).toBeLessThan(1e9);
  });

  it('covers every number of jobs at the least cost', () => {
    for (let jobs = 1; jobs <= 2 * mostLanes; jobs++) {
      const called = calledBy(algorithm, () => operations[algorithm]('auto', jobs));
      expect(cost(called) / leastCost(widths, jobs)).toBeCloseTo(1, 6);
    }
  });
});

it('puts the kernel first that is cheapest a lane, and names its lanes', () => {
  const pbkdf2 = addon.kernels().widths.filter(({ algorithm }) => algorithm === 'pbkdf2-sha256');
  const perLane = ({ nanoseconds, lanes }: KernelWidth) => nanoseconds / lanes;
  const best = pbkdf2.reduce((a, b) => (perLane(b) < perLane(a) ? b : a));
  expect(supported[0]).toBe(best.kernel);
  expect(bulkLanes.auto).toBe(best.lanes);
  const single = pbkdf2.map(({ kernel, lanes }) => `${kernel}:${lanes}`);
  expect(Object.keys(bulkLanes).sort()).toEqual(['auto', ...supported, ...single].sort());
  for (const kernel of supported) {
    const own = pbkdf2.filter((width) => width.kernel === kernel);
    expect(bulkLanes[kernel]).toBe(own.reduce((a, b) => (perLane(b) < perLane(a) ? b : a)).lanes);
  }
});

it('measures once for all threads of the process', async () => {
  const source = `const { parentPort, workerData } = require('node:worker_threads');
    parentPort.postMessage(require(workerData).kernels().widths.map(({ nanoseconds }) => nanoseconds));`;
  const seen = await new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true, workerData: addonPath });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  expect(seen).toEqual(addon.kernels().widths.map(({ nanoseconds }) => nanoseconds));
});
