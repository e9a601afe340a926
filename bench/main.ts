/** Runs a suite by name; `phsync bench` is its command line. */

import { machine } from './machine.js';
import type { Case, SuiteOptions, SuiteResult } from './result.js';

const suites: Readonly<Record<string, () => Promise<(options: SuiteOptions) => Promise<Case[]>>>> = {
  kernel: async () => (await import('./suites/kernel.js')).kernel,
  envelope: async () => (await import('./suites/envelope.js')).envelope,
  pool: async () => (await import('./suites/pool.js')).pool,
  pipeline: async () => (await import('./suites/pipeline.js')).pipeline,
  drsr: async () => (await import('./suites/drsr.js')).drsr,
};

export const suiteNames = Object.keys(suites);

/** @throws RangeError for a name that is not in `suiteNames`. */
export async function runSuite(name: string, options: SuiteOptions): Promise<SuiteResult> {
  const suite = suites[name];
  if (suite === undefined) {
    throw new RangeError(`no suite is called ${JSON.stringify(name)}; there are ${suiteNames.join(', ')}`);
  }
  return { suite: name, machine: machine(), cases: await (await suite())(options) };
}
