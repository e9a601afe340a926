/** Wilcoxon's signed-rank test (1945) with the normal approximation, for times that were measured side by side. */

/**
 * How far the differences of pairs lie to one side of zero, in standard deviations of what chance alone does. Whatever
 * else the machine did hits both of a pair alike, and one outlier is one rank: the rate of false alarms is that of the
 * normal distribution, on a busy machine as on a quiet one.
 */
export function signedRank(differences: readonly number[]): number {
  const ranked = differences.filter((difference) => difference !== 0).sort((a, b) => Math.abs(a) - Math.abs(b));
  const n = ranked.length;
  let positive = 0;
  for (const [i, difference] of ranked.entries()) if (difference > 0) positive += i + 1;
  return (positive - (n * (n + 1)) / 4) / Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24);
}

/** One false alarm in 1.7 million comparisons. */
export const ALARM = 5;

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
