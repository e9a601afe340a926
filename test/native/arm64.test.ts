/** The kernels and the addon for arm64, cross-compiled and run: under QEMU, where this machine is no ARM itself. */

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NODE_ARM64, runtime } from '../runtimes.js';
import { root } from './addon.js';
import { ARM64_TOOLS, qemu } from './arm64/qemu.js';
import { withHeaders } from './cmake.js';
import { output } from './run.js';
import { expectOwnSymbolsOnly, tool } from './symbols.js';
import { describeWithTools } from './tools.js';

const directory = join(root, 'build', 'cmake', 'arm64');
const build = join(directory, 'build');
const addon = join(build, 'Release', 'phsync.node');
// Each kernel as the measurement plans it, and each of its widths alone.
const armsha2 = ['armsha2', 'armsha2:1', 'armsha2:2', 'armsha2:3'];
const neon = ['neon', 'neon:4'];
const portable = ['portable', 'portable:1'];
const ran = (choices: readonly string[]) => choices.map((choice) => `ran: ${choice}`);
const withoutSha2 = { LD_PRELOAD: join(build, 'test', 'libno_sha2.so') };

if (process.arch === 'arm64') {
  it.skip('arm64 under QEMU: this machine is arm64, and every other suite runs on it');
} else {
  describeWithTools('arm64 under QEMU', { ...ARM64_TOOLS, cmake: 'cmake' }, () => {
    let node: string;
    let whyNoNode: string | undefined;
    beforeAll(async () => {
      const cmakeJs = join(root, 'node_modules', '.bin', 'cmake-js');
      const toolchain = join(root, 'native', 'test', 'aarch64-linux-gnu.cmake');
      await Promise.all([
        runtime(NODE_ARM64).then(
          (program) => {
            node = program;
          },
          (error: Error) => {
            // No network is a reason to skip, other bytes than those of the lock file are not.
            if (process.env.CI === 'true' || error.message.includes('EINTEGRITY')) throw error;
            whyNoNode = error.message;
          },
        ),
        output(
          cmakeJs,
          [
            'build',
            '--directory',
            join(root, 'native'),
            '--arch',
            'arm64',
            '--out',
            build,
            `--CDCMAKE_TOOLCHAIN_FILE=${toolchain}`,
          ],
          { env: withHeaders() },
        ),
        output(join(root, 'node_modules', '.bin', 'tsc'), [
          ...['-p', join('test', 'native', 'parity'), '--outDir', join(directory, 'parity'), '--incremental', 'false'],
        ]),
      ]);
    }, 600_000);

    describe('kernels_test', () => {
      const program = join(build, 'test', 'kernels_test');
      const log = join(directory, 'instructions.log');
      const traced = async (environment: Record<string, string>) => {
        rmSync(log, { force: true });
        const outcome = await qemu([program], { environment, options: ['-d', 'in_asm', '-D', log] });
        // The order is that of what the kernels cost in the emulator.
        const lines = outcome.stdout.trim().split('\n').sort();
        return { ...outcome, stdout: lines, sha2: /^0x.*\bsha256h2?\b/m.test(readFileSync(log, 'utf8')) };
      };

      it('runs armsha2, neon and portable, in every width', async () => {
        expect(await traced({})).toEqual({
          code: 0,
          stdout: [...ran(armsha2), 'ran: auto', ...ran(neon), ...ran(portable)],
          stderr: '',
          sha2: true,
        });
      }, 120_000);

      it('runs neon and portable where the CPU has no SHA-2 instructions, and executes none', async () => {
        expect(await traced(withoutSha2)).toEqual({
          code: 0,
          stdout: ['ran: auto', ...ran(neon), ...ran(portable), 'skipped: armsha2, this CPU or its OS cannot run it'],
          stderr: '',
          sha2: false,
        });
      }, 120_000);
    });

    describe('addon in Node.js', () => {
      beforeEach(({ skip }) => {
        if (whyNoNode !== undefined) skip(`no Node.js for arm64 from the registry: ${whyNoNode}`);
      });

      const grid = (kernels: readonly string[], environment = {}) =>
        qemu([node, join(directory, 'parity', 'native', 'parity', 'run.js'), addon, ...kernels], { environment });

      it('passes the parity grid on every kernel, in every width, and on auto', async () => {
        const { code, stdout, stderr } = await grid([]);
        expect(stderr).toBe('');
        expect(
          stdout
            .replace(/, \d{2,} checks$/gm, '')
            .trim()
            .split('\n')
            .sort(),
        ).toEqual(['no failure', ...ran(armsha2), 'ran: auto', ...ran(neon), ...ran(portable)]);
        expect(code).toBe(0);
      }, 300_000);

      it('passes it on auto without the SHA-2 instructions, and refuses the kernel that needs them', async () => {
        const { code, stdout, stderr } = await grid(['auto', 'armsha2'], withoutSha2);
        expect(stdout).toMatch(/^ran: auto, \d{2,} checks\n$/);
        expect(stderr).toMatch(/^cannot run: armsha2; here: /);
        expect(stderr.trim().slice('cannot run: armsha2; here: '.length).split(', ').sort()).toEqual([
          'auto',
          ...neon,
          ...portable,
        ]);
        expect(code).toBe(2);
      }, 300_000);

      /** createHasher in worker threads, on DSInternals' OrgId hash of "Pa$$w0rd" and its salt. */
      const program = `
        import { createHasher, formatCredential } from ${JSON.stringify(join(root, 'dist', 'index.js'))};
        const hasher = createHasher({ threads: 2 });
        const { backend, kernel, kernels } = hasher.info;
        const [ntHash, salt] = process.argv.slice(1).map((text) => new Uint8Array(Buffer.from(text, 'hex')));
        const text = formatCredential(await hasher.derive(ntHash, { salt }));
        await hasher.close();
        console.log(JSON.stringify({ backend, kernel, kernels: kernels.toSorted(), text }));
      `;
      const createHasher = (environment: Record<string, string>) =>
        qemu(
          [
            ...[node, '--input-type=module', '-e', program],
            ...['92937945b518814341de3f726500d4ff', '181a3024085fcee2f70e'],
          ],
          { environment: { PHSYNC_PREBUILD: directory, ...environment } },
        );
      const text =
        'v1;PPH1_MD4,181a3024085fcee2f70e,1000,b39525c3bc72a1136fcf7c8a338e0c14313d0450d1a4c98ef0a6ddada3bc5b0a;';

      it.each([
        ['armsha2', 'a CPU with the SHA-2 instructions', {}, ['armsha2', 'neon', 'portable']],
        ['neon', 'such a CPU', {}, ['armsha2', 'neon', 'portable']],
        ['neon', 'one without them', withoutSha2, ['neon', 'portable']],
      ])(
        'runs %s under createHasher on %s',
        async (kernel, _, environment, kernels) => {
          const { stdout, stderr } = await createHasher({ PHSYNC_KERNEL: kernel, ...environment });
          expect(stderr).toBe('');
          expect(JSON.parse(stdout)).toEqual({ backend: 'native', kernel, kernels, text });
        },
        120_000,
      );

      it('refuses to create a hasher of a kernel that the CPU cannot run', async () => {
        const { code, stderr } = await createHasher({ PHSYNC_KERNEL: 'armsha2', ...withoutSha2 });
        expect(stderr).toContain('needs what this CPU or OS lacks');
        expect(code).toBe(1);
      }, 120_000);
    });

    describe('kernel libraries', () => {
      const library = (kernel: string) => join(build, `libphsync_${kernel}.a`);

      it.each(['armsha2', 'neon', 'portable'])('%s defines no weak symbol and exports its table only', (kernel) => {
        expectOwnSymbolsOnly('aarch64-linux-gnu-nm', library(kernel));
      });

      it.each([
        ['armsha2', true],
        ['neon', false],
        ['portable', false],
      ])('%s has SHA-2 instructions: %s', (kernel, has) => {
        expect(/\bsha256h\b/.test(tool('aarch64-linux-gnu-objdump', '-d', library(kernel)))).toBe(has);
      });
    });
  });
}
