/** One contender in a process of its own: checks its digests, then times a sample with `benchmark` whenever told to. */

import Benchmark from 'benchmark';
import type { Contender } from './contenders/contender.js';
import { contender } from './contenders/index.js';

/** What the parent sends. */
export interface Task {
  readonly jobs: number;
  readonly seconds: number;
}

/** What it gets back. */
export interface Sample {
  /** Digests a second over the whole sample. */
  readonly perSecond: number;
  /** Digests a second of this process's CPU time: what other processes take of the machine is not in it. */
  readonly perCpuSecond: number;
  /** Of single calls, where the contender is one of those. */
  readonly latencyMicroseconds?: readonly number[];
}

const name = process.argv[2]!;
/** By number of jobs. */
const contenders = new Map<number, Contender>();

async function ready(jobs: number): Promise<Contender> {
  const known = contenders.get(jobs);
  if (known !== undefined) return known;
  const fresh = await contender(name, jobs);
  contenders.set(jobs, fresh);
  fresh.run?.();
  await fresh.runAsync?.();
  await fresh.check();
  fresh.latencies?.();
  return fresh;
}

/** Digests a second by `benchmark`'s own mean, and the CPU time over all of its calls. */
function sample({ run, runAsync, jobs }: Contender, seconds: number): Promise<Sample> {
  let calls = 0;
  const before = process.cpuUsage();
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark(name, {
      fn: runAsync
        ? (deferred: { resolve(): void }) => {
            calls++;
            runAsync().then(() => deferred.resolve(), reject);
          }
        : () => {
            calls++;
            run!();
          },
      defer: runAsync !== undefined,
      maxTime: seconds,
      minSamples: 3,
      // A third of the sample: `benchmark` repeats quick work until it has taken so long.
      minTime: seconds / 3,
      onError: (event: Benchmark.Event) => reject((event.target as unknown as Benchmark).error),
      onComplete: (event: Benchmark.Event) => {
        const { user, system } = process.cpuUsage(before);
        resolve({
          perSecond: (event.target as unknown as Benchmark).hz! * jobs,
          perCpuSecond: (calls * jobs * 1e6) / (user + system),
        });
      },
    });
    benchmark.run({ async: false });
  });
}

process.on('message', async ({ jobs, seconds }: Task) => {
  const chosen = await ready(jobs);
  const measured = await sample(chosen, seconds);
  await chosen.check();
  const latencies = chosen.latencies?.();
  process.send!(latencies === undefined ? measured : { ...measured, latencyMicroseconds: latencies });
});
process.on('disconnect', () => {
  void Promise.all([...contenders.values()].map((one) => one.close())).then(() => process.exit(0));
});
process.send!('ready');
