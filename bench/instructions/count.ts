/** Counts every kernel of the addon in every way that it can be counted here, and says what could not be. */

import { availableParallelism } from 'node:os';
import { callgrind, VALGRIND_CPU, valgrindVersion, type Work } from './callgrind.js';
import type { Count, Counted, Method, NotCounted } from './counts.js';
import { loops } from './loops.js';
import { plan } from './plan.js';
import { buildPrograms, type KernelLanes, listKernels, type Programs } from './programs.js';
import { stepped } from './stepped.js';

/** A full batch (a whole slice of every width), a tail, a lone job. */
const BATCHES = [1024, 3, 1] as const;
/** A batch that is no multiple of anything: what a plan makes of the rest. */
const PLANS = [...BATCHES, 31] as const;
/** Messages of the block hashes: full lanes. */
const MESSAGES = 64;
/** Of 1000 iterations, the ones that the inner loop runs, times two compressions. */
const COMPRESSIONS = 2 * 999;

/** `work` over the items, a few at a time. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const one = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, one));
}

class Counter {
  readonly counts: Count[] = [];
  readonly notCounted: NotCounted[] = [];
  readonly #programs: Programs;

  constructor(programs: Programs) {
    this.#programs = programs;
  }

  #add(kernel: string, what: string, method: Method, value: number): void {
    this.counts.push({ kernel, what, method, value: Number(value.toFixed(4)) });
  }

  not(kernel: string, method: Method, why: string): void {
    this.notCounted.push({ kernel, method, why });
  }

  async callgrind({ name }: KernelLanes): Promise<void> {
    const shapes: [Work, number][] = BATCHES.map((jobs) => ['derive', jobs]);
    shapes.push(['md4', MESSAGES], ['md5', MESSAGES], ['sha256', MESSAGES]);
    const values = new Map<string, number>();
    await each(shapes, async ([work, jobs]) => {
      values.set(`${work} ${jobs}`, await callgrind(this.#programs, name, work, jobs));
    });
    for (const [work, jobs] of shapes) {
      const unit = work === 'derive' ? 'credential' : 'message';
      const value = values.get(`${work} ${jobs}`)!;
      this.#add(name, `${work}, batch of ${jobs}: a ${unit}`, 'callgrind', value);
    }
  }

  /** The inner loop per compression, and what that makes of each batch. */
  async stepped(kernel: KernelLanes): Promise<void> {
    const { name } = kernel;
    const perCompression = new Map<number, number>();
    for (const lanes of kernel.pbkdf2) {
      const value = await stepped(this.#programs, name, lanes);
      perCompression.set(lanes, value);
      this.#add(name, `${lanes} lanes: a compression`, 'stepped', value);
    }
    for (const jobs of BATCHES) {
      const turns = plan(this.#programs, name, jobs);
      const all = turns.reduce((sum, { lanes, calls }) => sum + calls * COMPRESSIONS * perCompression.get(lanes)!, 0);
      this.#add(name, `inner loop, batch of ${jobs}: a credential`, 'stepped', all / jobs);
    }
  }

  loops({ name }: KernelLanes): void {
    for (const { function: where, instructions } of loops(this.#programs.library(name))) {
      this.#add(name, `loop of ${where}`, 'static', instructions);
    }
  }

  plan({ name, supported, pbkdf2 }: KernelLanes): void {
    if (!supported) {
      this.not(name, 'plan', 'this CPU does not run it');
      return;
    }
    // A single lane is never idle.
    if (pbkdf2.every((lanes) => lanes === 1)) return;
    for (const jobs of PLANS) {
      const lanes = plan(this.#programs, name, jobs).reduce((sum, turn) => sum + turn.lanes * turn.calls, 0);
      this.#add(name, `batch of ${jobs}: lanes a job`, 'plan', lanes / jobs);
    }
  }
}

const withSteps = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');

/** @param only the name of a kernel; every kernel of the addon where left out. */
export async function count(say: (line: string) => void, only?: string): Promise<Counted> {
  const programs = buildPrograms();
  const valgrind = valgrindVersion();
  const here = listKernels(programs);
  const underValgrind = valgrind === undefined ? [] : listKernels(programs, VALGRIND_CPU);
  const counter = new Counter(programs);
  for (const kernel of here) {
    const { name, supported } = kernel;
    if (only !== undefined && name !== only) continue;
    say(`counting ${name}`);
    if (underValgrind.some((other) => other.name === name && other.supported)) {
      await counter.callgrind(kernel);
    } else {
      counter.not(name, 'callgrind', valgrind === undefined ? 'no valgrind' : `${valgrind} has no such CPU`);
      if (!withSteps) counter.not(name, 'stepped', `no stepping on ${process.platform} ${process.arch}`);
      else if (!supported) counter.not(name, 'stepped', 'this CPU does not run it');
      else await counter.stepped(kernel);
    }
    if (process.arch === 'x64') counter.loops(kernel);
    else counter.not(name, 'static', `loops are read off x86 disassemblies only, not ${process.arch}`);
    counter.plan(kernel);
  }
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const toolchain = {
    compiler: programs.compiler,
    libc: header.glibcVersionRuntime ?? 'unknown',
    valgrind: valgrind ?? 'none',
    arch: process.arch,
  };
  return { toolchain, counts: counter.counts, notCounted: counter.notCounted };
}
