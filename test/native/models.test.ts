/**
 * The kernels that few x86 machines can run, built on models of their instructions (native/test/model): run on every
 * x64, whatever its CPU. The instructions themselves run in the other suites, where the CPU has them.
 */

import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { addon, root } from './addon.js';
import { output } from './run.js';
import { tool } from './symbols.js';
import { describeWithTools } from './tools.js';

const build = join(root, 'build', 'cmake', 'models');
const program = (name: string) => join(build, 'test', name);

if (process.arch !== 'x64' || process.platform !== 'linux') {
  it.skip('kernels on models of their instructions: x64 Linux only');
} else {
  describeWithTools('kernels', { cmake: 'cmake', 'c++': 'g++', objdump: 'binutils' }, () => {
    beforeAll(async () => {
      await output('cmake', ['-S', join(root, 'native'), '-B', build]);
      const targets = ['--target', 'kernels_model_test', 'sha_ni_model_test'];
      await output('cmake', ['--build', build, '--parallel', '2', ...targets]);
    }, 600_000);

    describe('on a model of the three SHA instructions (shani) and of AVX-512 (avx512)', () => {
      it('have none of these instructions left', () => {
        const code = tool('objdump', '-d', '--no-show-raw-insn', program('kernels_model_test'));
        expect(code).toMatch(/pshufb/);
        expect(code.match(/\bsha256(rnds2|msg1|msg2)\b|%zmm\d+/g)).toBeNull();
      }, 60_000);

      it('pass the kernel tests', async () => {
        const ran = (await output(program('kernels_model_test'), [])).trim().split('\n');
        expect(ran).toEqual(expect.arrayContaining(['ran: shani', 'ran: avx512', 'ran: portable', 'ran: auto']));
        expect(ran.filter((line) => /^ran: shani:\d+$/.test(line))).not.toHaveLength(0);
        expect(ran.filter((line) => /^ran: avx512:\d+$/.test(line))).not.toHaveLength(0);
      }, 300_000);
    });

    it.skipIf(!addon.kernels().cpuFeatures.sha_ni)(
      'the model of the SHA instructions does what this CPU does',
      async () => {
        expect(await output(program('sha_ni_model_test'), [])).toBe(
          'ran: the model beside the instructions, 100000 registers each\n',
        );
      },
      60_000,
    );
  });
}
