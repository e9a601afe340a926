/** The codecs of the provisioning wire: each message of a first synchronization, beside the same values as JSON. */

import { type CaseEntry, measure } from '../cases.js';
import { messageNames } from '../contenders/wire.js';
import type { Case, SuiteOptions } from '../result.js';

/** Users of one message, as the agent sends them to our tenant. */
const JOBS = 1000;

export async function wire(options: SuiteOptions): Promise<Case[]> {
  const entries = messageNames.flatMap((name) =>
    ['write', 'read'].flatMap((what): CaseEntry[] => {
      const common = { jobs: JOBS, threads: 1, clock: 'cpu' } as const;
      const json = `json:${name}-${what}`;
      return [
        { ...common, name: `wire:${name}-${what}`, against: [json] },
        { ...common, name: json, against: [] },
      ];
    }),
  );
  return measure(entries, options);
}
