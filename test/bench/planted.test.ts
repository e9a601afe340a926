/** Faults that leave every digest right are seen by the instruction counts: tried on copies of the checkout. */

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Compared } from '#bench/instructions/counts.js';
import { isRegression, readBaseline } from '#bench/instructions/counts.js';
import { root } from '#bench/instructions/programs.js';
import { build, copyCheckout } from '#bench/planted/copy.js';
import { idleLane } from '#bench/planted/idle-lane.js';
import { plantInstruction, rebuildWithInstruction } from '#bench/planted/needless-instruction.js';
import { addon } from '../native/addon.js';

const tools = ['valgrind', 'objdump', 'make', 'c++'].filter(
  (tool) => spawnSync(tool, ['--version']).error !== undefined,
);
const built = existsSync(join(root, 'build/Release/obj.target/phsync/native/hash_batch.o'));
// Another compiler's counts are let off two per cent.
const { compiler } = readBaseline().toolchain;
const here = process.platform === 'linux' && process.arch === 'x64' && built && addon.kernels().compiler === compiler;

describe.skipIf(!here || (tools.length > 0 && process.env.CI !== 'true'))(
  `planted faults (needs an addon built here by ${compiler}, valgrind, objdump and make${tools.length > 0 ? `: no ${tools.join(', ')}` : ''})`,
  () => {
    let copy: string;
    beforeAll(() => {
      copy = copyCheckout();
    });
    afterAll(() => rmSync(copy, { recursive: true, force: true }));

    const grown = (kernel: string) => {
      const main = join(copy, 'dist/bench/instructions/main.js');
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, '--kernel', kernel, '--json'], {
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(1);
      return (JSON.parse(stdout) as { counts: Compared[] }).counts.filter(isRegression);
    };

    it('sees one needless instruction in the inner loop', { timeout: 300_000 }, () => {
      rebuildWithInstruction(copy, 'portable');
      const counts = grown('portable');
      const loop = counts.find(({ what }) => /^loop of pbkdf2_rounds/.test(what));
      expect(loop?.now).toBe(loop!.before! + 1);
    });

    it('sees a lane that is left idle', { timeout: 300_000 }, () => {
      idleLane(copy);
      // Its objects are the addon's.
      build(copy);
      // Cheapest first; a single lane is never idle.
      const { supported, lanes } = addon.kernels();
      const wide = supported.filter((kernel) => lanes[kernel]! > 1).at(-1)!;
      const plans = grown(wide).filter(({ method }) => method === 'plan');
      expect(plans.map(({ what }) => what)).toContain('batch of 1024: lanes a job');
    });
  },
);

describe('the planted instruction', () => {
  it('stands at the head of the longest loop, in functions of the rounds alone', () => {
    const assembly = [
      '_ZN6phsync13pbkdf2_roundsE:',
      '.L1:',
      '\tnop',
      '.L2:',
      '\tnop',
      '\tjne\t.L2',
      '\tjne\t.L1',
      '\tjmp\t.L9',
      '.L9:',
      '\t.size\t_ZN6phsync13pbkdf2_roundsE, .-x',
      '_ZN6phsync3md4E:',
      '.L3:',
      '\tjne\t.L3',
      '\t.size\t_ZN6phsync3md4E, .-x',
    ];
    const { assembly: planted, planted: count } = plantInstruction(assembly.join('\n'));
    expect(count).toBe(1);
    expect(planted.split('\n')).toEqual([...assembly.slice(0, 2), '\tmovq\t%rax, %rax', ...assembly.slice(2)]);
  });
});
