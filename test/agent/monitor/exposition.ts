/** Prometheus' text format as an independent parser reads it: the official client for Python (Debian: python3-prometheus-client). */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('./exposition.py', import.meta.url));

export interface Family {
  /** Without `_total`. */
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

/** What is missing for it, or undefined. */
export function lackingParser(): string | undefined {
  try {
    execFileSync(PYTHON, ['-c', 'import prometheus_client.parser'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'python3-prometheus-client';
  }
}

export function parseExposition(text: string): Family[] {
  const families = JSON.parse(execFileSync(PYTHON, [SCRIPT], { input: text, encoding: 'utf8' })) as Family[];
  return families.map((family) => ({
    ...family,
    samples: family.samples.map((sample) => ({ ...sample, value: numberOf(String(sample.value)) })),
  }));
}

const numberOf = (text: string) => (text === 'inf' ? Number.POSITIVE_INFINITY : Number(text));

/** `name{a="b"}` → value, for lookups. */
export function samplesOf(families: readonly Family[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { samples } of families) {
    for (const { name, labels, value } of samples) {
      const inside = Object.entries(labels)
        .map(([label, text]) => `${label}="${text}"`)
        .join(',');
      const key = inside === '' ? name : `${name}{${inside}}`;
      if (found.has(key)) throw new Error(`${key} is there twice`);
      found.set(key, value);
    }
  }
  return found;
}

const UNITS = /_(seconds|bytes|info|objects|enabled|running|stopped|total|ratio)$/;
const WRONG_UNITS = /_(milliseconds|ms|minutes|hours|days|kilobytes|kib|megabytes|percent)(_|$)/;
const RESERVED = /_(sum|count|bucket)$/;

/** What goes against https://prometheus.io/docs/practices/naming, in the families whose names begin with `prefix`. */
export function complaints(families: readonly Family[], prefix: string): string[] {
  const found: string[] = [];
  for (const { name, type, help, samples } of families.filter((family) => family.name.startsWith(prefix))) {
    const complain = (what: string) => found.push(`${name}: ${what}`);
    if (help === '') complain('no help');
    if (type === 'unknown') complain('no type');
    if (!/^[a-z][a-z0-9_]*$/.test(name)) complain('not in small letters');
    if (RESERVED.test(name)) complain('ends like a part of a histogram');
    if (WRONG_UNITS.test(name)) complain('not in base units');
    if (type === 'counter' && samples.some((sample) => !sample.name.endsWith('_total'))) complain('without _total');
    if (type !== 'counter' && name.endsWith('_total')) complain('_total, and no counter');
    if (type !== 'counter' && !UNITS.test(name)) complain('without a unit');
    if (name.endsWith('_info') && samples.some(({ value }) => value !== 1)) complain('an info that is not 1');
    if (type === 'histogram') {
      for (const [series, bounds] of bucketsOf(samples)) {
        const values = [...bounds].sort(([a], [b]) => a - b).map(([, value]) => value);
        if (!bounds.has(Number.POSITIVE_INFINITY)) complain(`${series}: no bucket without bound`);
        if (values.some((value, i) => value < (values[i - 1] ?? 0))) complain(`${series}: buckets do not add up`);
      }
    }
  }
  return found;
}

function bucketsOf(samples: Family['samples']): Map<string, Map<number, number>> {
  const series = new Map<string, Map<number, number>>();
  for (const { name, labels, value } of samples) {
    if (!name.endsWith('_bucket')) continue;
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    if (!series.has(key)) series.set(key, new Map());
    series.get(key)!.set(le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), value);
  }
  return series;
}
