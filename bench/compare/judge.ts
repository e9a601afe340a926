/** Which cases of two results differ beyond noise: by ratios to the contender of the same round, never by raw rates. */

import { type Case, median, type SuiteResult } from '../result.js';
import { holm, shiftOf, smallestP } from './statistics.js';

/** Of being wrong about any case at all, over the whole comparison. */
export const SIGNIFICANCE = 0.05;
/** A change of less is none: another layout of the same code in memory makes as much. */
export const LEAST_CHANGE = 0.03;

export type Verdict = 'slower' | 'faster' | 'same' | 'too few rounds';

export interface Judged {
  readonly suite: string;
  readonly name: string;
  readonly reference: string;
  /** Median ratio to the reference. */
  readonly before: number;
  readonly now: number;
  /** Hodges–Lehmann estimate of now / before − 1, with its 95 % interval. */
  readonly change: number;
  readonly low: number;
  readonly high: number;
  /** Adjusted for the number of cases (Holm). */
  readonly p: number;
  /** Of the raw rate, by the clock: for information, and only from the same CPU model. */
  readonly rateChange: number | undefined;
  readonly verdict: Verdict;
}

export interface Comparison {
  readonly sameMachine: boolean;
  readonly cases: readonly Judged[];
  /** Cases with a reference that one side alone has, as `suite: case`. */
  readonly onlyBefore: readonly string[];
  readonly onlyNow: readonly string[];
  /** What differs between the machines and makes the comparison weaker. */
  readonly notes: readonly string[];
}

/** By suite, then by name. */
type Cases = Map<string, Map<string, Case>>;

function casesOf(results: readonly SuiteResult[]): Cases {
  return new Map(results.map(({ suite, cases }) => [suite, new Map(cases.map((one) => [one.name, one]))]));
}

/** ln(case / reference) of every round; undefined where the case is none that is judged. */
function logRatios(cases: Map<string, Case>, { clock, reference, ...own }: Case): number[] | undefined {
  const other = reference === undefined ? undefined : cases.get(reference);
  if (other === undefined) return undefined;
  const figures = ({ samples, cpuSamples }: Pick<Case, 'samples' | 'cpuSamples'>) =>
    clock === 'cpu' ? (cpuSamples ?? []) : samples;
  const [a, b] = [figures(own), figures(other)];
  const rounds = Math.min(a.length, b.length);
  return rounds === 0 ? undefined : Array.from({ length: rounds }, (_, i) => Math.log(a[i]! / b[i]!));
}

function notesOf(before: readonly SuiteResult[], now: readonly SuiteResult[]): string[] {
  const [a, b] = [before[0]!.machine, now[0]!.machine];
  const notes: string[] = [];
  const differs = (what: string, one: string, other: string) => {
    if (one !== other) notes.push(`${what}: ${one || 'unknown'} → ${other || 'unknown'}`);
  };
  differs('CPU', `${a.cpu}, ${a.cores} cores`, `${b.cpu}, ${b.cores} cores`);
  differs('CPU flags', a.flags.join(' '), b.flags.join(' '));
  differs('Node.js', a.node, b.node);
  differs('OpenSSL', a.openssl, b.openssl);
  differs('compiler', a.compiler ?? '', b.compiler ?? '');
  for (const name of ['@noble/hashes', 'hash-wasm', 'benchmark']) {
    differs(name, a.packages?.[name] ?? '', b.packages?.[name] ?? '');
  }
  if (notes.some((note) => /^(CPU|Node|OpenSSL)/.test(note))) {
    notes.push('the contender may have changed with these: a ratio can move although phsync has not');
  }
  return notes;
}

/** @throws RangeError where the two have no judged case in common. */
export function judge(before: readonly SuiteResult[], now: readonly SuiteResult[]): Comparison {
  const [older, newer] = [casesOf(before), casesOf(now)];
  const [a, b] = [before[0]?.machine, now[0]?.machine];
  const sameMachine = a?.cpu === b?.cpu && a?.flags.join() === b?.flags.join();
  const found: { judged: Omit<Judged, 'p' | 'verdict'>; p: number; least: number }[] = [];
  const onlyBefore: string[] = [];
  const onlyNow: string[] = [];
  for (const [suite, cases] of newer) {
    for (const [name, one] of cases) {
      if (one.reference !== undefined && !older.get(suite)?.has(name)) onlyNow.push(`${suite}: ${name}`);
    }
  }
  for (const [suite, cases] of older) {
    const others = newer.get(suite) ?? new Map<string, Case>();
    for (const [name, one] of cases) {
      if (one.reference === undefined) continue;
      const other = others.get(name);
      const x = logRatios(cases, one);
      const y = other === undefined ? undefined : logRatios(others, { ...other, reference: one.reference });
      if (x === undefined || y === undefined) {
        onlyBefore.push(`${suite}: ${name}`);
        continue;
      }
      const { shift, low, high, p } = shiftOf(x, y);
      found.push({
        judged: {
          suite,
          name,
          reference: one.reference,
          before: Math.exp(median(x)),
          now: Math.exp(median(y)),
          change: Math.expm1(shift),
          low: Math.expm1(low),
          high: Math.expm1(high),
          rateChange: sameMachine ? other!.perSecond / one.perSecond - 1 : undefined,
        },
        p,
        least: smallestP(x.length, y.length),
      });
    }
  }
  if (found.length === 0) throw new RangeError('the two have no case in common that has a contender beside it');
  const adjusted = holm(found.map(({ p }) => p));
  const verdict = (i: number): Verdict => {
    const { judged, least } = found[i]!;
    if (least * found.length > SIGNIFICANCE) return 'too few rounds';
    if (adjusted[i]! > SIGNIFICANCE || Math.abs(judged.change) < LEAST_CHANGE) return 'same';
    return judged.change < 0 ? 'slower' : 'faster';
  };
  return {
    sameMachine,
    cases: found.map(({ judged }, i) => ({ ...judged, p: adjusted[i]!, verdict: verdict(i) })),
    onlyBefore,
    onlyNow,
    notes: notesOf(before, now),
  };
}
