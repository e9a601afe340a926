/** The parity grid on every kernel of this build, on each of its widths alone, and on the plan that is made of all. */

import { describe, expect, it } from 'vitest';
import type { KernelChoice } from '#src/hasher/types.js';
import { addon, describeKernels, hex } from './addon.js';
import { parityCases } from './parity/grid.js';

function suite(kernel: KernelChoice): void {
  it.each(parityCases.map((one) => [one.name, one] as const))('%s', (_, { run }) => {
    run(addon, kernel, (what, got, wanted) => {
      if (got.length === wanted.length && Buffer.compare(got, wanted) === 0) return;
      const at = got.findIndex((byte, i) => byte !== wanted[i]);
      const shown = (bytes: Uint8Array) =>
        `${what}, ${bytes.length} bytes, from ${at}: ${hex(bytes.slice(at, at + 32))}`;
      expect(shown(got)).toBe(shown(wanted));
    });
  });
}

describeKernels('parity', suite);
const more = Object.keys(addon.kernels().lanes).filter((name) => name === 'auto' || name.includes(':'));
describe.each(more as KernelChoice[])('parity on %s', suite);
