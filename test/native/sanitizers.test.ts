/**
 * AddressSanitizer and UndefinedBehaviorSanitizer over everything native: the kernels' own tests, the fuzz targets, and
 * the suites of addon and hasher in this Node.js with the sanitizers' runtime preloaded.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { addon, root } from './addon.js';
import { build, lacking, sanitizerRuntime } from './cmake.js';
import { output, run } from './run.js';

const MINUTES = 60_000;
// What Node.js itself leaves behind at its end is not ours. With the default quarantine of 256 MB it takes minutes to
// search the memory of processes for secrets, and with whole stacks at each of Node's allocations twice as long again.
const ASAN_OPTIONS = 'detect_leaks=0:detect_stack_use_after_return=1:quarantine_size_mb=16:malloc_context_size=8';
const { compiled, supported } = addon.kernels();

// They run programs of their own, or look at other builds, and no addon in this Node.js; and freed memory, which the
// leak tests weigh, stays in quarantine.
const ELSEWHERE = [
  'native/arm64',
  'native/cmake',
  'native/libraries',
  'native/models',
  'native/sanitizers',
  'hasher/leaks',
].map((name) => join('test', `${name}.test.ts`));
const suites = ['native', 'hasher']
  .map((room) => join('test', room))
  .flatMap((room) =>
    readdirSync(join(root, room), { encoding: 'utf8', recursive: true }).map((file) => join(room, file)),
  )
  .filter((file) => file.endsWith('.test.ts') && !ELSEWHERE.includes(file));

const inside = process.env.PHSYNC_PREBUILD !== undefined;
const why = inside ? ', not within itself' : lacking === undefined ? '' : `, which need ${lacking}`;

describe.skipIf(inside || lacking !== undefined)(`the sanitizers${why}`, () => {
  let folder: string;
  let runtime: string;
  const program = (name: string) => join(folder, 'build', 'test', name);

  beforeAll(async () => {
    folder = await build('sanitize', { SANITIZE: 'ON' });
    runtime = await sanitizerRuntime();
  }, 8 * MINUTES);

  const faults = ['message', 'tail', 'misaligned'].flatMap((fault) => compiled.map((kernel) => ({ fault, kernel })));
  for (const { fault, kernel } of faults) {
    it.skipIf(!supported.includes(kernel))(`see the planted fault "${fault}" on ${kernel}`, async () => {
      const { code, stderr } = await run(program('faults'), [fault, kernel]);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(fault === 'misaligned' ? /misaligned address/ : /heap-buffer-overflow/);
    });
  }

  it('have nothing to say about the kernels, leaks included', { timeout: 2 * MINUTES }, async () => {
    const { code, stdout, stderr } = await run(program('kernels_test'), []);
    expect([code, stderr]).toEqual([0, '']);
    for (const kernel of supported) expect(stdout).toContain(`ran: ${kernel}`);
  });

  it.each(['envelopes', 'openings', 'batches'])(
    'have nothing to say about 20,000 inputs of %s',
    {
      timeout: 5 * MINUTES,
    },
    async (target) => {
      const fuzz = ['-runs=20000', '-len_control=0', '-max_len=1024', '-seed=1'];
      const { code, stderr } = await run(program(`fuzz_${target}`), fuzz, {
        cwd: folder,
        env: { ...process.env, ASAN_OPTIONS: 'quarantine_size_mb=1' },
      });
      expect(code, stderr.slice(-4000)).toBe(0);
      expect(stderr).toContain('Done 20000 runs');
    },
  );

  const instrumented = () => ({
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^VITEST|^NODE_OPTIONS$|^TEST$/.test(name))),
    PHSYNC_PREBUILD: folder,
    LD_PRELOAD: runtime,
    ASAN_OPTIONS,
    UBSAN_OPTIONS: 'print_stacktrace=1',
  });

  it('are in the process of the addon', async () => {
    const script = `
      const addon = require('node-gyp-build')('.');
      console.log(JSON.stringify([addon.kernels().supported, process.report.getReport().sharedObjects]));`;
    const [kernels, libraries] = JSON.parse(await output(process.execPath, ['-e', script], { env: instrumented() }));
    // In the order of their measured costs.
    expect(kernels.sort()).toEqual([...supported].sort());
    expect(libraries).toEqual(expect.arrayContaining([runtime, join(folder, 'build', 'Release', 'phsync.node')]));
  });

  it('have nothing to say about the suites of addon and hasher', { timeout: 10 * MINUTES }, async () => {
    const vitest = ['vitest.mjs', 'run', '--config', 'test/vitest.config.ts', '--project', 'unit'];
    const args = [join(root, 'node_modules', 'vitest', vitest[0]!), ...vitest.slice(1)];
    const { code, stdout, stderr } = await run(process.execPath, [...args, '--testTimeout=300000', ...suites], {
      env: instrumented(),
    });
    const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(stdout) ?? [];
    expect({ code, failed }, `${stdout}${stderr}`.slice(-8000)).toEqual({ code: 0, failed: '0' });
    expect(stdout).toMatch(new RegExp(`Test Files .*${suites.length} passed`));
    expect(Number(passed)).toBeGreaterThan(500);
    expect(stderr).not.toMatch(/AddressSanitizer|runtime error/);
  });
});
