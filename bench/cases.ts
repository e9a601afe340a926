/** Entries to cases: measures them interleaved and takes every ratio within its round. */

import { type Entry, interleave } from './interleave.js';
import { type Case, type Clock, median, quantile, type SuiteOptions } from './result.js';

export interface CaseEntry extends Entry {
  readonly kernel?: string | undefined;
  readonly threads: number;
  readonly clock: Clock;
  /** Names of entries, the one that bench:compare judges by first; empty for a contender that is not ours. */
  readonly against: readonly string[];
}

/** The median over the rounds of `a`'s figure divided by `b`'s of the same round. */
export function pairedRatio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((figure, round) => figure / b[round]!));
}

export async function measure(
  entries: readonly CaseEntry[],
  { rounds, seconds, say }: Pick<SuiteOptions, 'rounds' | 'seconds' | 'say'>,
): Promise<Case[]> {
  const all = await interleave(entries, rounds, seconds, say);
  const figures = (name: string, clock: Clock): number[] =>
    all.get(name)!.map((sample) => (clock === 'cpu' ? sample.perCpuSecond : sample.perSecond));
  return entries.map(({ name, kernel, threads, clock, against }): Case => {
    const samples = figures(name, 'wall');
    const latencies = all.get(name)!.flatMap(({ latencyMicroseconds = [] }) => latencyMicroseconds);
    const reference = against[0];
    return {
      name,
      kernel,
      threads,
      perSecond: median(samples),
      ratios: Object.fromEntries(
        against.map((other) => [other, pairedRatio(figures(name, clock), figures(other, clock))]),
      ),
      samples,
      cpuSamples: figures(name, 'cpu'),
      clock,
      ...(reference === undefined ? {} : { reference }),
      ...(latencies.length === 0
        ? {}
        : {
            more: { medianMicroseconds: quantile(latencies, 0.5), p99Microseconds: quantile(latencies, 0.99) },
          }),
    };
  });
}
