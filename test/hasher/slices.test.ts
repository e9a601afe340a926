import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LANES, slices } from '#src/hasher/slices.js';

const sizes = (jobs: number, iterations: number, threads: number) =>
  [...slices(jobs, iterations, threads)].map(([from, to]) => to - from);

describe('slices', () => {
  it('covers every job once, in order, in full lanes', () => {
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.integer({ min: 1, max: 999_999 }),
        fc.integer({ min: 1, max: 128 }),
        (jobs, c, threads) => {
          let next = 0;
          for (const [from, to] of slices(jobs, c, threads)) {
            expect(from).toBe(next);
            expect(to).toBeGreaterThan(from);
            if (to !== jobs) expect((to - from) % LANES).toBe(0);
            next = to;
          }
          expect(next).toBe(jobs);
        },
      ),
    );
  });

  it('never parts one set of lanes', () => {
    for (const jobs of [1, 15, 16]) expect(sizes(jobs, 1000, 8)).toEqual([jobs]);
  });

  it('shares out evenly', () => {
    expect(sizes(1024, 1000, 2)).toEqual([512, 512]);
    expect(sizes(2560, 1000, 2)).toHaveLength(6);
  });

  it('keeps slices short where there are many iterations', () => {
    expect(Math.max(...sizes(10_000, 999_999, 2))).toBe(LANES);
  });
});
