/** The kernels and the addon for arm64, cross-compiled and run: under QEMU, where this machine is no ARM itself. */

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { root } from './addon.js';
import { ARM64_TOOLS, arm64Node, qemu, runOrThrow } from './arm64/qemu.js';
import { expectOwnSymbolsOnly, tool } from './symbols.js';
import { describeWithTools } from './tools.js';

const directory = join(root, 'build', 'cmake', 'arm64');
const build = join(directory, 'build');
const addon = join(build, 'Release', 'phsync.node');
const withoutSha2 = { LD_PRELOAD: join(build, 'native', 'test', 'libno_sha2.so') };

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
        arm64Node().then(
          (program) => {
            node = program;
          },
          (error: Error) => {
            // No network is a reason to skip, other bytes than those of the lock file are not.
            if (process.env.CI === 'true' || error.message.includes('EINTEGRITY')) throw error;
            whyNoNode = error.message;
          },
        ),
        runOrThrow(cmakeJs, ['build', '--arch', 'arm64', '--out', build, `--CDCMAKE_TOOLCHAIN_FILE=${toolchain}`]),
        runOrThrow(join(root, 'node_modules', '.bin', 'tsc'), [
          ...['-p', join('test', 'native', 'parity'), '--outDir', join(directory, 'parity'), '--incremental', 'false'],
        ]),
      ]);
    }, 300_000);

    describe('kernels_test', () => {
      const program = join(build, 'native', 'test', 'kernels_test');
      const log = join(directory, 'instructions.log');
      const traced = async (environment: Record<string, string>) => {
        rmSync(log, { force: true });
        const outcome = await qemu([program], { environment, options: ['-d', 'in_asm', '-D', log] });
        return { ...outcome, sha2: /^0x.*\bsha256h2?\b/m.test(readFileSync(log, 'utf8')) };
      };

      it('runs armsha2, neon and portable', async () => {
        expect(await traced({})).toEqual({
          code: 0,
          stdout: 'ran: armsha2\nran: neon\nran: portable\n',
          stderr: '',
          sha2: true,
        });
      }, 60_000);

      it('runs neon and portable where the CPU has no SHA-2 instructions, and executes none', async () => {
        expect(await traced(withoutSha2)).toEqual({
          code: 0,
          stdout: 'skipped: armsha2, this CPU or its OS cannot run it\nran: neon\nran: portable\n',
          stderr: '',
          sha2: false,
        });
      }, 60_000);
    });

    describe('addon in Node.js', () => {
      beforeEach(({ skip }) => {
        if (whyNoNode !== undefined) skip(`no Node.js for arm64 from the registry: ${whyNoNode}`);
      });

      const grid = (kernels: readonly string[], environment = {}) =>
        qemu([node, join(directory, 'parity', 'native', 'parity', 'run.js'), addon, ...kernels], { environment });

      it('passes the parity grid on armsha2, neon, portable and auto', async () => {
        const { code, stdout, stderr } = await grid(['armsha2', 'neon', 'portable', 'auto']);
        expect(stderr).toBe('');
        expect(stdout.replace(/, \d{2,} checks/g, ', checks')).toBe(
          'ran: armsha2, checks\nran: neon, checks\nran: portable, checks\nran: auto, checks\nno failure\n',
        );
        expect(code).toBe(0);
      }, 180_000);

      it('passes it without the SHA-2 instructions, and refuses the kernel that needs them', async () => {
        const { code, stdout, stderr } = await grid(['auto', 'armsha2'], withoutSha2);
        expect(stdout).toMatch(/^ran: auto, \d{2,} checks\n$/);
        expect(stderr).toBe('cannot run: armsha2; here: neon, portable, auto\n');
        expect(code).toBe(2);
      }, 120_000);

      /** createHasher in worker threads, on DSInternals' OrgId hash of "Pa$$w0rd" and its salt. */
      const program = `
        import { createHasher, formatCredential } from ${JSON.stringify(join(root, 'dist', 'index.js'))};
        const hasher = createHasher({ threads: 2 });
        const { backend, kernel, kernels, whyNotNative } = hasher.info;
        const [ntHash, salt] = process.argv.slice(1).map((text) => new Uint8Array(Buffer.from(text, 'hex')));
        const text = formatCredential(await hasher.derive(ntHash, { salt }));
        await hasher.close();
        console.log(JSON.stringify({ backend, kernel, kernels, whyNotNative, text }));
      `;
      const vector = ['92937945b518814341de3f726500d4ff', '181a3024085fcee2f70e'];
      const text =
        'v1;PPH1_MD4,181a3024085fcee2f70e,1000,b39525c3bc72a1136fcf7c8a338e0c14313d0450d1a4c98ef0a6ddada3bc5b0a;';
      it.each([
        ['takes armsha2 by itself', {}, 'armsha2', ['armsha2', 'neon', 'portable']],
        ['takes neon where asked to', { PHSYNC_KERNEL: 'neon' }, 'neon', ['armsha2', 'neon', 'portable']],
        ['takes neon by itself without the SHA-2 instructions', withoutSha2, 'neon', ['neon', 'portable']],
      ])(
        'is what createHasher uses, which %s',
        async (_, environment, kernel, kernels) => {
          const { stdout, stderr } = await qemu([node, '--input-type=module', '-e', program, ...vector], {
            environment: { PHSYNC_PREBUILD: directory, ...environment },
          });
          expect(stderr).toBe('');
          expect(JSON.parse(stdout)).toEqual({ backend: 'native', kernel, kernels, text });
        },
        60_000,
      );
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
