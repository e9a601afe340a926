/** The kernels run no more instructions than bench/instructions/baseline.json says, and one more would be seen. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  type Baseline,
  type Compared,
  type Counted,
  compare,
  type NotCounted,
  readBaseline,
} from '#bench/instructions/counts.js';
import { loopsOf } from '#bench/instructions/loops.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const has = (tool: string) => spawnSync(tool, ['--version']).error === undefined;
const missing = ['valgrind', 'objdump', process.env.CXX ?? 'c++'].filter((tool) => !has(tool));
const built = existsSync(join(root, 'build/Release/obj.target/phsync/native/hash_batch.o'));
const baseline = readBaseline();
const countable = process.platform === 'linux' && process.arch === baseline.toolchain.arch && built;

describe('instructions of the kernels', () => {
  it.skipIf(!countable || (missing.length > 0 && process.env.CI !== 'true'))(
    `are no more than in the baseline (needs an addon built here${missing.length > 0 ? ` and ${missing.join(', ')}` : ''})`,
    { timeout: 300_000 },
    () => {
      expect(missing, 'what the count needs').toEqual([]);
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(root, 'dist/bench/instructions/main.js'), '--json'],
        { encoding: 'utf8' },
      );
      expect(status, stderr).toBeLessThan(2);
      const { counts, notCounted } = JSON.parse(stdout) as { counts: Compared[]; notCounted: NotCounted[] };
      const refresh = 'if that is meant: `npm run bench:instructions -- --update`';
      expect(
        counts.filter(({ verdict }) => verdict === 'more' || verdict === 'gone'),
        refresh,
      ).toEqual([]);
      expect(counts.filter(({ verdict }) => verdict === 'same').length).toBeGreaterThan(0);
      // Every kernel was counted in some way that runs it, or its CPU is not this one.
      for (const { kernel, why } of notCounted.filter(({ method }) => method === 'stepped')) {
        console.log(`not run: ${kernel} (${why})`);
      }
    },
  );
});

describe('the comparison', () => {
  const toolchain = { compiler: 'gcc 12.2.0', libc: '2.36', valgrind: 'valgrind-3.19.0', arch: 'x64' };
  const before: Baseline = {
    toolchain,
    counts: [
      { kernel: 'avx512', what: 'loop', method: 'static', value: 3844 },
      { kernel: 'avx2', what: 'derive', method: 'callgrind', value: 925_873 },
      { kernel: 'avx2', what: 'batch', method: 'plan', value: 1 },
    ],
  };
  const verdicts = (values: readonly (number | undefined)[], change: Partial<Counted> = {}) => {
    const counts = before.counts.flatMap((count, i) =>
      values[i] === undefined ? [] : [{ ...count, value: values[i] }],
    );
    return compare(before, { toolchain, notCounted: [], counts, ...change }).map(({ verdict }) => verdict);
  };

  it('sees one instruction more in a loop, and one a compression in a credential', () => {
    expect(verdicts([3845, 925_873 + 1998 / 8, 1])).toEqual(['more', 'more', 'same']);
  });
  it('sees an idle lane: 32 lanes for 31 jobs', () => {
    expect(verdicts([3844, 925_873, 32 / 31])).toEqual(['same', 'same', 'more']);
  });
  it('takes less for no regression', () => {
    expect(verdicts([3840, 925_000, 1])).toEqual(['less', 'less', 'same']);
  });
  it('allows another compiler two per cent, but no lane', () => {
    const other = { toolchain: { ...toolchain, compiler: 'gcc 13.1.0' } };
    expect(verdicts([3900, 940_000, 1], other)).toEqual(['same', 'same', 'same']);
    expect(verdicts([3930, 950_000, 1.01], other)).toEqual(['more', 'more', 'more']);
  });
  it('takes a loop of another name for a replaced one', () => {
    const counts = [...before.counts.slice(1), { ...before.counts[0]!, what: 'loop of another shape' }];
    const all = compare(before, { toolchain, notCounted: [], counts }).map(({ verdict }) => verdict);
    expect(all).toEqual(['replaced', 'same', 'same', 'new']);
  });
  it('misses a count that was there, unless a reason was given', () => {
    expect(verdicts([undefined, 925_873, 1])).toEqual(['gone', 'same', 'same']);
    const notCounted: NotCounted[] = [{ kernel: 'avx512', method: 'static', why: 'no objdump' }];
    expect(verdicts([undefined, 925_873, 1], { notCounted })).toEqual(['not counted', 'same', 'same']);
  });
});

describe('loops in a disassembly', () => {
  it('are counted from their head to the jump back, without padding', () => {
    const body = Array.from({ length: 120 }, (_, i) => `  ${(0x20 + i).toString(16)}:\tvpaddd %zmm1,%zmm2,%zmm3`);
    const text = [
      '0000000000000010 <void phsync::(anonymous namespace)::rounds<phsync::(anonymous namespace)::Vec>(unsigned int*, unsigned char const* const*)>:',
      '  10:\tpush   %rbp',
      '  18:\tnopw   0x0(%rax,%rax,1)',
      ...body,
      '  99:\tdata16 cs nopw 0x0(%rax,%rax,1)',
      '  9a:\tjne    20 <x+0x10>',
      '  9c:\tjmp    b0 <x+0xa0>',
      '  b0:\tret',
      '',
      '00000000000000c0 <short>:',
      '  c0:\tdec    %eax',
      '  c2:\tjne    c0 <short>',
      '',
    ].join('\n');
    expect(loopsOf(text)).toEqual([{ function: 'rounds<Vec>', instructions: 121 }]);
  });
});
