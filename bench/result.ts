/** The shape of a suite's outcome, as printed by `phsync bench … --json` and kept in bench/results. */

import type { Machine } from './machine.js';

/** `cpu`: by the process's own CPU time, for what runs in one thread; `wall`: by the clock, for what waits or shares. */
export type Clock = 'cpu' | 'wall';

export interface Case {
  /** Unique in the suite. */
  readonly name: string;
  readonly kernel: string | undefined;
  readonly threads: number;
  /** Median over the rounds. */
  readonly perSecond: number;
  /** Median of the paired ratios (this case / contender, same round, by `clock`) by contender. */
  readonly ratios: Readonly<Record<string, number>>;
  /** One figure a round, in the order measured, by the clock. */
  readonly samples: readonly number[];
  /** The same a second of CPU time. */
  readonly cpuSamples?: readonly number[];
  /** What the ratios are taken from; `wall` where left out. */
  readonly clock?: Clock;
  /** The case of the suite whose samples of the same rounds bench:compare divides these by; none for a contender. */
  readonly reference?: string;
  /** Whatever else the case measures, with the unit in the name: `peakRssMiB`, `cpuMicrosecondsPerUser`. */
  readonly more?: Readonly<Record<string, number>>;
}

export interface SuiteResult {
  readonly suite: string;
  readonly machine: Machine;
  readonly cases: readonly Case[];
}

export interface SuiteOptions {
  readonly kernel: string | undefined;
  readonly threads: number | undefined;
  /** Measuring time of each sample, seconds. */
  readonly seconds: number;
  readonly rounds: number;
  /** Users of the pipeline suite. */
  readonly users: number;
  /** Directory of a running Samba DC with its facts.json and users.jsonl, for the suites drsr and managed-domain. */
  readonly dc: string | undefined;
  /** Directory of a running Samba DC without users, for the suite managed-domain, which fills it. */
  readonly managedDc: string | undefined;
  /** A line of progress for people. */
  readonly say: (line: string) => void;
}

/** The value below which `share` (0 to 1) of the values lie, interpolated between its neighbours. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  return below + (sorted[Math.ceil(place)]! - below) * (place - Math.floor(place));
}

/** Middle value, or the mean of the two middle ones. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);
