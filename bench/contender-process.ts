/** One contender in a process of its own: checks its digests, then times a sample with `benchmark` whenever told to. */

import { timingSafeEqual } from 'node:crypto';
import Benchmark from 'benchmark';
import { type Contender, contender, inputs, reference } from './contenders.js';

export interface Ready {
  readonly ready: true;
  readonly jobs: number;
}

export interface Sample {
  /** Digests a second over the whole sample. */
  readonly perSecond: number;
}

const [name, wishedJobs] = process.argv.slice(2);
const chosen = await contender(name!, Number(wishedJobs));

async function once(it: Contender): Promise<void> {
  it.run?.();
  await it.runAsync?.();
}

function check(it: Contender): void {
  const { ntHashes, salts } = inputs(it.jobs);
  for (const job of [0, it.jobs >> 1, it.jobs - 1]) {
    if (!timingSafeEqual(it.digests().subarray(job * 32, job * 32 + 32), reference(ntHashes, salts, job))) {
      throw new Error(`${name}: digest ${job} of ${it.jobs} is wrong`);
    }
  }
}

function sample(it: Contender, seconds: number): Promise<Sample> {
  const { runAsync } = it;
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark(name!, {
      fn: runAsync
        ? (deferred: { resolve(): void }) => {
            runAsync().then(() => deferred.resolve(), reject);
          }
        : it.run,
      defer: runAsync !== undefined,
      maxTime: seconds,
      minSamples: 3,
      // The default of 50 ms a sample is enough: the quickest batch here takes about that long.
      onError: (event: Benchmark.Event) => reject((event.target as unknown as Benchmark).error),
      onComplete: (event: Benchmark.Event) =>
        resolve({ perSecond: (event.target as unknown as Benchmark).hz! * it.jobs }),
    });
    benchmark.run({ async: false });
  });
}

await once(chosen);
check(chosen);
process.send!({ ready: true, jobs: chosen.jobs } satisfies Ready);
process.on('message', async ({ seconds }: { seconds: number }) => {
  const measured = await sample(chosen, seconds);
  check(chosen);
  process.send!(measured);
});
process.on('disconnect', () => {
  void chosen.close().then(() => process.exit(0));
});
