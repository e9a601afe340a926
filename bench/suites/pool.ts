/** The pool at one thread and at more. */

import { availableParallelism } from 'node:os';
import { interleave, pairedRatio } from '../interleave.js';
import { type Case, median, type SuiteOptions } from '../result.js';

export async function pool({
  kernel,
  threads = availableParallelism(),
  rounds,
  seconds,
  say,
}: SuiteOptions): Promise<Case[]> {
  const counts = [...new Set([1, 2, threads])].filter((count) => count <= threads);
  const env = kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
  const entries = counts.map((count) => ({ name: `pool:${count}`, jobs: 16_384, env }));
  const figures = await interleave(entries, rounds, seconds, say);
  return counts.map((count) => ({
    name: `deriveBatch 16384 pool:${count}`,
    kernel,
    threads: count,
    perSecond: median(figures.get(`pool:${count}`)!),
    ratios: count === 1 ? {} : { 'pool:1': pairedRatio(figures.get(`pool:${count}`)!, figures.get('pool:1')!) },
    samples: figures.get(`pool:${count}`)!,
  }));
}
