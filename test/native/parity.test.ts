/** The parity grid on every kernel of this build, and on the plan that is made of them. */

import { describe, expect, it } from 'vitest';
import type { KernelChoice } from '#src/hasher/types.js';
import { addon, describeKernels, hex } from './addon.js';
import { parityCases } from './parity/grid.js';

function suite(kernel: KernelChoice): void {
  it.each(parityCases.map((one) => [one.name, one] as const))('%s', (_, { run }) => {
    run(addon, kernel, (what, got, wanted) => {
      if (got.length === wanted.length && Buffer.compare(got, wanted) === 0) return;
      expect(`${what}: ${hex(got)}`).toBe(`${what}: ${hex(wanted)}`);
    });
  });
}

describeKernels('parity', suite);
describe('parity on auto', () => suite('auto'));
