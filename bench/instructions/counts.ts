/** What is counted, how one count compares with the one kept in baseline.json, and that file. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './programs.js';

/**
 * `callgrind` and `stepped` count what runs, `static` what stands in the disassembly; `plan` counts lanes, not
 * instructions.
 */
export type Method = 'callgrind' | 'stepped' | 'static' | 'plan';

export interface Count {
  readonly kernel: string;
  /** Stable: together with kernel and method it names the count. */
  readonly what: string;
  readonly method: Method;
  /** Less is better. */
  readonly value: number;
}

/** What the counts depend on besides the sources. */
export interface Toolchain {
  /** What built the addon, as it says itself. */
  readonly compiler: string;
  /** Its memcpy is in the counts of whole batches. */
  readonly libc: string;
  readonly valgrind: string;
  readonly arch: string;
}

export interface Baseline {
  readonly toolchain: Toolchain;
  readonly counts: readonly Count[];
}

export interface NotCounted {
  readonly kernel: string;
  readonly method: Method;
  readonly why: string;
}

export interface Counted {
  readonly toolchain: Toolchain;
  readonly counts: readonly Count[];
  readonly notCounted: readonly NotCounted[];
}

/**
 * `gone`: nothing is left of the kernel that is counted in this way. `replaced`: something is, under another name, as
 * when a loop gets other template parameters or a kernel other widths; the counts of whole batches speak for it.
 */
export type Verdict = 'same' | 'less' | 'more' | 'new' | 'gone' | 'replaced' | 'not counted';

export interface Compared extends Omit<Count, 'value'> {
  readonly before: number | undefined;
  readonly now: number | undefined;
  readonly verdict: Verdict;
}

/** Floating point alone. */
const EXACT = 1e-6;
/** One instruction in a compression of 4000 still shows. */
const SAME_TOOLS = 1e-4;
const OTHER_LIBC = 1e-3;
const OTHER_COMPILER = 0.02;

export const baselineFile = join(root, 'bench', 'instructions', 'baseline.json');

export function readBaseline(): Baseline {
  return JSON.parse(readFileSync(baselineFile, 'utf8')) as Baseline;
}

const idOf = ({ kernel, what, method }: Omit<Count, 'value'>): string => `${kernel}\n${what}\n${method}`;

/** Whether the count is missing for a reason that was given. */
const excused = (count: Count, notCounted: readonly NotCounted[]): boolean =>
  notCounted.some(({ kernel, method }) => kernel === count.kernel && method === count.method);

/** How much more, as a share, is no regression. */
export function toleranceOf(method: Method, before: Toolchain, now: Toolchain): number {
  if (method === 'plan') return EXACT;
  if (before.compiler !== now.compiler) return OTHER_COMPILER;
  if (method !== 'callgrind') return EXACT;
  return before.libc === now.libc && before.valgrind === now.valgrind ? SAME_TOOLS : OTHER_LIBC;
}

/** Every count of either side, the baseline's order first. `more` and `gone` are regressions. */
export function compare(baseline: Baseline, now: Counted): Compared[] {
  const current = new Map(now.counts.map((count) => [idOf(count), count]));
  const known = new Set(baseline.counts.map(idOf));
  const compared = baseline.counts.map(({ kernel, what, method, value: before }): Compared => {
    const count = current.get(idOf({ kernel, what, method }));
    const named = { kernel, what, method, before };
    if (count === undefined) {
      const other = now.counts.some((one) => one.kernel === kernel && one.method === method);
      const verdict = other
        ? 'replaced'
        : excused({ ...named, value: before }, now.notCounted)
          ? 'not counted'
          : 'gone';
      return { ...named, now: undefined, verdict };
    }
    const change = count.value / before - 1;
    const tolerance = toleranceOf(method, baseline.toolchain, now.toolchain);
    const verdict = change > tolerance ? 'more' : change < -tolerance ? 'less' : 'same';
    return { ...named, now: count.value, verdict };
  });
  const fresh = now.counts
    .filter((count) => !known.has(idOf(count)))
    .map(({ value, ...named }): Compared => ({ ...named, before: undefined, now: value, verdict: 'new' }));
  return [...compared, ...fresh];
}

export const isRegression = ({ verdict }: Compared): boolean => verdict === 'more' || verdict === 'gone';

/** The new baseline: what was counted, and from the old one what cannot be counted here. */
export function writeBaseline(now: Counted, old: Baseline | undefined): void {
  const kept = old?.counts.filter((count) => excused(count, now.notCounted)) ?? [];
  const lines = [...now.counts, ...kept].map(
    ({ kernel, what, method, value }) =>
      `    { "kernel": "${kernel}", "what": "${what}", "method": "${method}", "value": ${value} }`,
  );
  const toolchain = Object.entries(now.toolchain).map(([key, value]) => `    "${key}": "${value}"`);
  writeFileSync(
    baselineFile,
    `{\n  "toolchain": {\n${toolchain.join(',\n')}\n  },\n  "counts": [\n${lines.join(',\n')}\n  ]\n}\n`,
  );
}
