/** The shape of a suite's outcome, as printed by `phsync bench … --json` and kept in bench/results. */

import type { Machine } from './machine.js';

export interface Case {
  readonly name: string;
  readonly kernel: string | undefined;
  readonly threads: number;
  /** Median over the rounds. */
  readonly perSecond: number;
  /** Median of the paired ratios (this case / contender, same round) by contender. */
  readonly ratios: Readonly<Record<string, number>>;
  /** One figure a round, in the order measured. */
  readonly samples: readonly number[];
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
  /** Directory of a running Samba DC with its facts.json and users.jsonl, for the drsr suite. */
  readonly dc: string | undefined;
  /** A line of progress for people. */
  readonly say: (line: string) => void;
}

/** Middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
