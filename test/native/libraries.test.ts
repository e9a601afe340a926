/** The build keeps each ISA's code to itself: no weak symbol to merge, no wide register outside its library. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addon, root } from './addon.js';
import { expectOwnSymbolsOnly, tool } from './symbols.js';

const release = join(root, 'build', 'Release');
const has = (name: string) => {
  try {
    tool(name, '--version');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
};
const kernelNames = addon.kernels().compiled;
const library = (kernel: string) =>
  [join(release, `phsync_${kernel}.a`), join(release, 'obj.target', `phsync_${kernel}.a`)].find((path) =>
    existsSync(path),
  );
const readable = process.platform === 'linux' && has('nm') && has('objdump');

describe.skipIf(!readable)('kernel libraries (Linux with binutils)', () => {
  it.each(kernelNames)('%s defines no weak symbol and exports its table only', (kernel) => {
    const path = library(kernel);
    expect(path, `no library of ${kernel} below build/Release`).toBeDefined();
    expectOwnSymbolsOnly('nm', path!);
  });

  const registers = (kernel: string) => {
    const code = tool('objdump', '-d', '--no-show-raw-insn', library(kernel)!);
    return { zmm: /%zmm/.test(code), ymm: /%ymm/.test(code) };
  };

  it.skipIf(process.arch !== 'x64')('portable keeps to the baseline of x86-64', () => {
    expect(registers('portable')).toEqual({ zmm: false, ymm: false });
  });
  it.skipIf(!kernelNames.includes('sse41'))('sse41 keeps to 128 bits and to the instructions from before AVX', () => {
    expect(registers('sse41')).toEqual({ zmm: false, ymm: false });
    expect(tool('objdump', '-d', '--no-show-raw-insn', library('sse41')!)).not.toMatch(/\tvp?[a-z]+ .*%xmm/);
  });
  it.skipIf(!kernelNames.includes('avx2'))('avx2 uses ymm and no zmm', () => {
    expect(registers('avx2')).toEqual({ zmm: false, ymm: true });
  });
  it.skipIf(!kernelNames.includes('avx512'))('avx512 uses zmm', () => {
    expect(registers('avx512').zmm).toBe(true);
  });
});
