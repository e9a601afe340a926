/** How a batch is cut for the workers: full lanes, equal shares, none so long that others wait. */

/** Iterations that each lane of a slice goes through at most (16 credentials at 1000): some 7 ms on a fast kernel. */
const ITERATIONS_PER_LANE = 16_000;
/** The same for all lanes together, where these are few: 10 ms on the fallback. */
const MIN_ITERATIONS = 64_000;
/** Jobs a slice holds at most, where there are few iterations. */
const MAX_SLICE = 4096;

/** A multiple of `lanes` that holds `jobs`, at least one. */
export const toLanes = (jobs: number, lanes: number): number => Math.max(Math.ceil(jobs / lanes), 1) * lanes;

/** Iterations that a slice should have at most, of all its jobs together. */
const mostIterations = (lanes: number): number => Math.max(ITERATIONS_PER_LANE * lanes, MIN_ITERATIONS);

/** Whether a slice of full lanes takes far longer than slices should (PBKDF2 goes up to a minute): nothing may wait behind it. */
export const isLong = (iterations: number, lanes: number): boolean => iterations * lanes > 2 * mostIterations(lanes);

/** The most jobs of one slice: a multiple of `lanes`. */
export function longestSlice(iterations: number, lanes: number): number {
  const most = mostIterations(lanes);
  return Math.min(toLanes(most / iterations, lanes), Math.max(Math.floor(MAX_SLICE / lanes), 1) * lanes);
}

/**
 * The jobs of the next slice where `jobs` are left for `workers` workers: full lanes, and towards the end ever fewer,
 * so that the workers finish together although they are not equally fast.
 */
export function nextSlice(jobs: number, iterations: number, workers: number, lanes: number): number {
  const share = toLanes(jobs / (2 * workers), lanes);
  return Math.min(share, longestSlice(iterations, lanes), jobs);
}
