/** Runs a suite by name and keeps what came out; `phsync bench` is its command line. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { machine } from './machine.js';
import type { Case, SuiteOptions, SuiteResult } from './result.js';

const suites: Readonly<Record<string, () => Promise<(options: SuiteOptions) => Promise<Case[]>>>> = {
  kernel: async () => (await import('./suites/kernel.js')).kernel,
  envelope: async () => (await import('./suites/envelope.js')).envelope,
  latency: async () => (await import('./suites/latency.js')).latency,
  pool: async () => (await import('./suites/pool.js')).pool,
  fallback: async () => (await import('./suites/fallback.js')).fallback,
  leaks: async () => (await import('./suites/leaks.js')).leaks,
  legacy: async () => (await import('./suites/legacy.js')).legacy,
  wire: async () => (await import('./suites/wire.js')).wire,
  pipeline: async () => (await import('./suites/pipeline.js')).pipeline,
  'sign-in': async () => (await import('./suites/sign-in.js')).signIn,
  'tenant-store': async () => (await import('./suites/tenant-store.js')).tenantStore,
  drsr: async () => (await import('./suites/drsr.js')).drsr,
  'managed-domain': async () => (await import('./suites/managed-domain.js')).managedDomain,
};

export const suiteNames = Object.keys(suites);

/** Of the others `drsr` wants a domain controller and `managed-domain` two. */
export const defaultSuites = suiteNames.filter((name) => name !== 'drsr' && name !== 'managed-domain');

/** @throws RangeError for a name that is not in `suiteNames`. */
export async function runSuite(name: string, options: SuiteOptions): Promise<SuiteResult> {
  const suite = suites[name];
  if (suite === undefined) {
    throw new RangeError(`no suite is called ${JSON.stringify(name)}; there are ${suiteNames.join(', ')}`);
  }
  // Before the suite: what it adds to the load is its own.
  const measuredOn = machine();
  return { suite: name, machine: measuredOn, cases: await (await suite())(options) };
}

const results = fileURLToPath(new URL('../../bench/results', import.meta.url));

/** Writes `<suite>.json` into the directory (bench/results/<date>-<cpu> where left out) and returns its path. */
export function keep(result: SuiteResult, directory: string | undefined): string {
  const { date, cpu } = result.machine;
  const slug = cpu
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  const into = directory ?? join(results, `${date.slice(0, 10)}-${slug}`);
  mkdirSync(into, { recursive: true });
  const file = join(into, `${result.suite}.json`);
  // A figure a line would be most of the file.
  const text = JSON.stringify(result, undefined, 1).replaceAll(
    /\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]/g,
    (_, list: string) => `[${list.replaceAll(/\s+/g, ' ')}]`,
  );
  writeFileSync(file, `${text}\n`);
  return file;
}
