/** bench:compare: its statistics against published figures, and its verdicts about results with a known change. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge } from '#bench/compare/judge.js';
import { holm, shiftOf, smallestP } from '#bench/compare/statistics.js';
import { svg } from '#bench/compare/svg.js';
import type { Case, SuiteResult } from '#bench/result.js';

describe('the statistics', () => {
  it('are those of Hollander and Wolfe, examples 4.1 to 4.4 (permeability of amnion)', () => {
    const atTerm = [0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    const earlier = [1.15, 0.88, 0.9, 0.74, 1.21];
    const { shift, low, high, p } = shiftOf(atTerm, earlier);
    expect(shift).toBeCloseTo(-0.305, 10);
    expect([low, high]).toEqual([expect.closeTo(-0.76, 10), expect.closeTo(0.15, 10)]);
    // One-sided 0.1272 there.
    expect(p).toBeCloseTo(2 * 0.1272, 4);
  });
  it('are those of scipy.stats.mannwhitneyu, exact', () => {
    const a = [5.1, 4.8, 5.6, 5.9, 4.2, 5.05, 6.1, 4.95, 5.3];
    const b = [4.1, 4.6, 5.2, 3.9, 4.4, 4.75, 5.0, 4.3, 4.55];
    expect(shiftOf(a, b).p).toBeCloseTo(0.014191690662278898, 12);
  });
  it('know how little few rounds can say', () => {
    // 2 of the 20 and of the 48,620 orders.
    expect(smallestP(3, 3)).toBeCloseTo(2 / 20, 12);
    expect(smallestP(9, 9)).toBeCloseTo(2 / 48_620, 12);
    expect(shiftOf([1, 2], [3, 4])).toMatchObject({ low: -Infinity, high: Infinity });
  });
  it("adjust p values as Holm's procedure does", () => {
    // Worked by hand: 0.005 × 4, 0.01 × 3, 0.03 × 2, and no less than the one before.
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
  });
});

/** Eleven rounds of a machine that gets slower and slower, and of its noise. */
const DRIFT = [1, 0.97, 0.99, 0.9, 0.93, 0.85, 0.84, 0.7, 0.72, 0.6, 0.5];
const NOISE = [0.004, -0.011, 0.007, -0.002, 0.013, -0.006, 0.001, -0.009, 0.01, -0.004, 0.003];

interface Shape {
  /** On the rate of the case `ours`. */
  readonly factor?: number;
  /** On every rate: another machine, or a busier one. */
  readonly machine?: number;
  readonly turn?: number;
  readonly rounds?: number;
  readonly cpu?: string;
}

function result({ factor = 1, machine = 1, turn = 0, rounds = 11, cpu = 'A CPU' }: Shape): SuiteResult {
  const noisy = (rate: number, offset: number) =>
    DRIFT.slice(0, rounds).map((drift, i) => rate * machine * drift * (1 + NOISE[(i + offset + turn) % NOISE.length]!));
  const one = (name: string, samples: number[], reference?: string): Case => ({
    name,
    kernel: undefined,
    threads: 1,
    perSecond: samples[5] ?? samples[0]!,
    ratios: {},
    samples,
    ...(reference === undefined ? {} : { reference }),
  });
  return {
    suite: 'kernel',
    machine: {
      cpu,
      cores: 2,
      flags: ['avx2'],
      memoryGiB: 8,
      os: 'linux',
      node: 'v20.19.0',
      openssl: '3.0.0',
      compiler: 'gcc 12.2.0',
      packages: {},
      load: 0,
      commit: '',
      dirty: false,
      date: '2026-01-01T00:00:00.000Z',
    },
    cases: [
      one('ours', noisy(80_000 * factor, 0), 'node:crypto'),
      one('steady', noisy(40_000, 3), 'node:crypto'),
      one('node:crypto', noisy(5_000, 6)),
    ],
  };
}

const verdictOf = (before: Shape, now: Shape) =>
  judge([result(before)], [result({ turn: 4, ...now })]).cases.map(({ name, verdict }) => `${name} ${verdict}`);

describe('the verdict', () => {
  it('is same for the same, although the rates fall by half from round to round', () => {
    expect(verdictOf({}, {})).toEqual(['ours same', 'steady same']);
  });
  it('sees 6 % less and 6 % more', () => {
    expect(verdictOf({}, { factor: 0.94 })).toEqual(['ours slower', 'steady same']);
    expect(verdictOf({}, { factor: 1.06 })).toEqual(['ours faster', 'steady same']);
  });
  it('estimates the change', () => {
    const [ours] = judge([result({})], [result({ turn: 4, factor: 0.9 })]).cases;
    expect(ours!.change).toBeCloseTo(-0.1, 1);
    expect(ours!.low).toBeLessThan(-0.1);
    expect(ours!.high).toBeGreaterThan(-0.1);
    expect(ours).toMatchObject({ before: expect.closeTo(16, 0), reference: 'node:crypto' });
  });
  it('calls less than 3 % none', () => {
    expect(verdictOf({}, { factor: 0.98 })).toEqual(['ours same', 'steady same']);
  });
  it('does not take a machine of half the speed for a regression, and says that it is another', () => {
    const comparison = judge([result({})], [result({ turn: 4, machine: 0.5, cpu: 'B CPU' })]);
    expect(comparison.cases.map(({ verdict }) => verdict)).toEqual(['same', 'same']);
    expect(comparison).toMatchObject({
      sameMachine: false,
      notes: expect.arrayContaining([expect.stringMatching(/^CPU: /)]),
    });
    expect(comparison.cases[0]!.rateChange).toBeUndefined();
  });
  it('says that three rounds are too few', () => {
    expect(verdictOf({ rounds: 3 }, { rounds: 3, factor: 0.5 })).toEqual([
      'ours too few rounds',
      'steady too few rounds',
    ]);
  });
  it('goes by CPU time where the case does', () => {
    const slowByClock = (suite: SuiteResult): SuiteResult => ({
      ...suite,
      cases: suite.cases.map((one) => ({ ...one, clock: 'cpu', cpuSamples: result({}).cases[0]!.samples })),
    });
    const { cases } = judge([slowByClock(result({}))], [slowByClock(result({ factor: 0.5 }))]);
    expect(cases.map(({ verdict }) => verdict)).toEqual(['same', 'same']);
  });
  it('refuses results without a case in common', () => {
    expect(() => judge([result({})], [{ ...result({}), suite: 'pool' }])).toThrow(/no case in common/);
  });
});

describe('npm run bench:compare', () => {
  const main = join(fileURLToPath(new URL('../..', import.meta.url)), 'dist/bench/compare/main.js');
  let dir: string;
  const file = (name: string) => join(dir, name);
  const compare = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'phsync-compare-'));
    writeFileSync(file('before.json'), JSON.stringify(result({})));
    writeFileSync(file('same.json'), JSON.stringify(result({ turn: 4 })));
    writeFileSync(file('slower.json'), JSON.stringify(result({ turn: 4, factor: 0.9 })));
    writeFileSync(file('short.json'), JSON.stringify(result({ rounds: 2 })));
    writeFileSync(file('other.json'), '{"suite":"kernel"}');
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('ends with 0 where nothing is slower', () => {
    const { status, stdout } = compare(file('before.json'), file('same.json'));
    expect(status, stdout).toBe(0);
    expect(stdout).toMatch(/2 cases: 0 slower, 0 faster/);
  });
  it('ends with 1 at a regression, with JSON and a chart where asked for', () => {
    const { status, stdout } = compare('--json', '--svg', file('chart.svg'), file('before.json'), file('slower.json'));
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      slower: 1,
      undecided: 0,
      cases: [{ name: 'ours', verdict: 'slower' }, {}],
    });
    const chart = readFileSync(file('chart.svg'), 'utf8');
    expect(chart).toContain('1 of 2 cases is slower');
    expect(chart).toMatch(/prefers-color-scheme: dark/);
  });
  it.each([
    ['one result', ['before.json']],
    ['no such file', ['before.json', 'none.json']],
    ['not a result', ['before.json', 'other.json']],
    ['too few rounds', ['short.json', 'short.json']],
  ])('ends with 2 for %s', (_, names) => {
    const { status, stderr } = compare(...names.map(file));
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^bench:compare: /)]);
  });
});

describe('the chart', () => {
  it('escapes names and keeps intervals without end inside', () => {
    const chart = svg({
      sameMachine: true,
      onlyBefore: [],
      onlyNow: [],
      notes: [],
      cases: [
        {
          suite: 'a<b',
          name: 'x & "y"',
          reference: 'z',
          before: 2,
          now: 1,
          change: -0.5,
          low: -1,
          high: Infinity,
          p: 1,
          rateChange: undefined,
          verdict: 'too few rounds',
        },
      ],
    });
    expect(chart).toContain('a&lt;b');
    expect(chart).toContain('x &amp; &quot;y&quot;');
    expect(chart).not.toMatch(/NaN|Infinity/);
  });
});
