/**
 * Two independent samples: by how much do they differ, and is it more than chance? Rank statistics, which ask nothing of
 * the distribution and forgive single outliers: the Mann–Whitney U test and the Hodges–Lehmann shift with the interval
 * that belongs to it (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, chapter 4).
 */

/** How many of the orderings of n and m values have each U, 0 to n·m. */
function distribution(n: number, m: number): number[] {
  // The Gaussian binomial coefficient: Π (1 − q^(m + i)) / (1 − q^i), i = 1 … n.
  const counts = new Array<number>(n * m + 1).fill(0);
  counts[0] = 1;
  for (let i = 1; i <= n; i++) {
    for (let u = counts.length - 1; u >= m + i; u--) counts[u]! -= counts[u - m - i]!;
    for (let u = i; u < counts.length; u++) counts[u]! += counts[u - i]!;
  }
  return counts;
}

/** P(U <= u) where both samples come from the same distribution. */
function lowerTail(n: number, m: number, u: number): number {
  const counts = distribution(n, m);
  const all = counts.reduce((sum, count) => sum + count, 0);
  return counts.slice(0, Math.floor(u) + 1).reduce((sum, count) => sum + count, 0) / all;
}

export interface Shift {
  /** Hodges–Lehmann: the median of all differences b − a. */
  readonly shift: number;
  /** The interval of at least `confidence`; infinite where there are too few values for one. */
  readonly low: number;
  readonly high: number;
  /** Two-sided, exact. */
  readonly p: number;
}

/** @throws RangeError for an empty sample. */
export function shiftOf(a: readonly number[], b: readonly number[], confidence = 0.95): Shift {
  if (a.length === 0 || b.length === 0) throw new RangeError('a sample is empty');
  const n = a.length;
  const m = b.length;
  const differences = b.flatMap((y) => a.map((x) => y - x)).sort((x, y) => x - y);
  // Pairs in which b is the smaller, a tie counting half.
  const u = differences.reduce((sum, difference) => sum + (difference < 0 ? 1 : difference === 0 ? 0.5 : 0), 0);
  const p = Math.min(1, 2 * lowerTail(n, m, Math.min(u, n * m - u)));
  // The k smallest and the k largest differences lie outside, k the largest with P(U < k) <= (1 − confidence) / 2.
  let k = 0;
  while (lowerTail(n, m, k) <= (1 - confidence) / 2) k++;
  const middle = differences.length >> 1;
  return {
    shift: differences.length % 2 === 1 ? differences[middle]! : (differences[middle - 1]! + differences[middle]!) / 2,
    low: k === 0 ? -Infinity : differences[k - 1]!,
    high: k === 0 ? Infinity : differences[differences.length - k]!,
    p,
  };
}

/** The smallest two-sided p that samples of these sizes can give. */
export const smallestP = (n: number, m: number): number => Math.min(1, 2 * lowerTail(n, m, 0));

/** Holm's step-down: p values as they are to be read when there are several at once, in the order given. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((i, j) => ps[i]! - ps[j]!);
  const adjusted = new Array<number>(ps.length);
  let least = 0;
  for (const [rank, i] of order.entries()) {
    least = Math.max(least, Math.min(1, ps[i]! * (ps.length - rank)));
    adjusted[i] = least;
  }
  return adjusted;
}
