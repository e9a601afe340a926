/** Faults that leave every digest right, so that no test of the results sees them. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './copy.js';
import { idleLane } from './idle-lane.js';
import { rebuildWithInstruction } from './needless-instruction.js';

export interface Plant {
  readonly what: string;
  /** Plants the fault in a built copy and builds it again. */
  into(copy: string): void;
}

const kernelsIn = (copy: string): string[] =>
  readdirSync(join(copy, 'build', 'Release')).flatMap((name) => /^phsync_(\w+)\.a$/.exec(name)?.[1] ?? []);

export const plants: Readonly<Record<string, Plant>> = {
  instruction: {
    what: 'one needless instruction in the inner loop',
    into: (copy) => {
      for (const kernel of kernelsIn(copy)) rebuildWithInstruction(copy, kernel);
      build(copy);
    },
  },
  lane: {
    what: 'one lane of every call left idle',
    into: (copy) => {
      idleLane(copy);
      build(copy);
    },
  },
};
