/**
 * The parity grid as a program, for machines and emulators without the test framework:
 *   npx tsc -b test/native/parity && node build/parity/native/parity/run.js ADDON.node [KERNEL…]
 * Without a kernel's name all that run here, each width of them alone, and `auto`. The exit code is 1 where something differs, 2 where a kernel
 * that was named cannot run.
 */

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import type { NativeAddon } from '#src/hasher/backend.js';
import type { KernelChoice } from '#src/hasher/types.js';
import { parityCases } from './grid.js';

const [path, ...names] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: run.js ADDON.node [KERNEL…]');
const addon: NativeAddon = createRequire(import.meta.url)(resolve(path));
const choices = Object.keys(addon.kernels().lanes) as KernelChoice[];

let failures = 0;
for (const name of names.length > 0 ? names : choices) {
  const kernel = choices.find((choice) => choice === name);
  if (kernel === undefined) {
    process.stderr.write(`cannot run: ${name}; here: ${choices.join(', ')}\n`);
    process.exit(2);
  }
  let checks = 0;
  for (const { name: what, run } of parityCases) {
    run(addon, kernel, (detail, got, wanted) => {
      checks++;
      if (got.length === wanted.length && Buffer.compare(got, wanted) === 0) return;
      failures++;
      process.stderr.write(`FAIL ${kernel}: ${what}: ${detail}\n`);
    });
  }
  process.stdout.write(`ran: ${kernel}, ${checks} checks\n`);
}
process.stdout.write(failures === 0 ? 'no failure\n' : `${failures} failures\n`);
process.exitCode = failures === 0 ? 0 : 1;
