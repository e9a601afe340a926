/** How a batch is cut for the workers: full lanes, equal shares, none so long that others wait. */

/** The widest kernel's lanes: a slice is a multiple of it, except a batch's last. */
export const LANES = 16;
/** Iterations a slice holds at most (512 credentials at 1000): some 20 ms on a fast kernel, 0.4 s on the fallback. */
const ITERATIONS_PER_SLICE = 512_000;
/** Jobs a slice holds at most, where there are few iterations. */
const MAX_SLICE = 8192;

const toLanes = (jobs: number): number => Math.ceil(jobs / LANES) * LANES;

/** The jobs of each slice but the last, for `jobs` jobs on `threads` workers. */
export function sliceSize(jobs: number, iterations: number, threads: number): number {
  const most = Math.min(Math.max(toLanes(ITERATIONS_PER_SLICE / iterations), LANES), MAX_SLICE);
  // As many slices as make the workers finish together: a multiple of their number.
  const rounds = Math.ceil(jobs / (most * threads));
  return Math.max(toLanes(jobs / (rounds * threads)), LANES);
}

/** The half-open ranges of the slices, in order. */
export function* slices(jobs: number, iterations: number, threads: number): Generator<readonly [number, number]> {
  const size = sliceSize(jobs, iterations, threads);
  for (let from = 0; from < jobs; from += size) yield [from, Math.min(from + size, jobs)];
}
