/** How a batch is cut for the workers: full lanes, equal shares, none so long that others wait. */

/** A slice is a multiple of this, except a batch's last: the lanes of a 512-bit register. */
export const LANES = 16;
/** The same for larger slices: the most lanes of any kernel, AVX-512's two registers side by side. */
const MAX_LANES = 32;
/** Iterations a slice holds at most (512 credentials at 1000): some 20 ms on a fast kernel, 0.4 s on the fallback. */
const ITERATIONS_PER_SLICE = 512_000;
/** Jobs a slice holds at most, where there are few iterations. */
const MAX_SLICE = 8192;

function toLanes(jobs: number): number {
  const lanes = jobs < 2 * MAX_LANES ? LANES : MAX_LANES;
  return Math.max(Math.ceil(jobs / lanes), 1) * lanes;
}

/** The jobs of each slice but the last, for `jobs` jobs on `threads` workers. */
export function sliceSize(jobs: number, iterations: number, threads: number): number {
  const most = Math.min(toLanes(ITERATIONS_PER_SLICE / iterations), MAX_SLICE);
  // As many slices as make the workers finish together: a multiple of their number.
  const rounds = Math.max(Math.ceil(jobs / (most * threads)), 1);
  return toLanes(jobs / (rounds * threads));
}

/** The half-open ranges of the slices, in order. */
export function* slices(jobs: number, iterations: number, threads: number): Generator<readonly [number, number]> {
  const size = sliceSize(jobs, iterations, threads);
  for (let from = 0; from < jobs; from += size) yield [from, Math.min(from + size, jobs)];
}
