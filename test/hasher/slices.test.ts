/** How batches are cut. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLong, longestSlice, nextSlice } from '#src/hasher/slices.js';

/** The slices of a batch, one after another. */
function sizes(jobs: number, iterations: number, workers: number, lanes: number): number[] {
  const all: number[] = [];
  for (let left = jobs; left > 0; left -= all.at(-1)!) all.push(nextSlice(left, iterations, workers, lanes));
  return all;
}

describe('slices', () => {
  it('cover every job once, in full lanes, ever fewer', () => {
    fc.assert(
      fc.property(
        fc.nat(20_000),
        fc.integer({ min: 1, max: 999_999 }),
        fc.integer({ min: 1, max: 128 }),
        fc.integer({ min: 1, max: 64 }),
        (jobs, iterations, workers, lanes) => {
          const all = sizes(jobs, iterations, workers, lanes);
          expect(all.reduce((sum, size) => sum + size, 0)).toBe(jobs);
          const last = all.pop() ?? 1;
          expect(last).toBeGreaterThan(0);
          const longest = longestSlice(iterations, lanes);
          expect(all.filter((size) => size % lanes !== 0 || size > longest)).toEqual([]);
          expect(all.filter((size, i) => size > all[i - 1]!)).toEqual([]);
        },
      ),
    );
  });

  it('never part one set of lanes', () => {
    for (const jobs of [1, 15, 16]) expect(sizes(jobs, 1000, 8, 16)).toEqual([jobs]);
  });

  it('give every worker one to work on and one to come', () => {
    expect(sizes(64, 1000, 2, 16)).toEqual([16, 16, 16, 16]);
    expect(sizes(64, 1000, 2, 32)).toEqual([32, 32]);
  });

  it('are short where there are many iterations, and not too long where there are few', () => {
    expect(Math.max(...sizes(10_000, 999_999, 2, 40))).toBe(40);
    expect(longestSlice(1000, 16)).toBe(256);
    expect(longestSlice(1000, 1)).toBe(64);
    expect(longestSlice(1, 40)).toBe(4080);
  });

  it('are long where full lanes alone take longer than slices should', () => {
    expect([isLong(1000, 1), isLong(1000, 48), isLong(20_000, 16)]).toEqual([false, false, false]);
    expect([isLong(600_000, 1), isLong(600_000, 48), isLong(2 ** 26, 1)]).toEqual([true, true, true]);
  });
});
