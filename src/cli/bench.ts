/** `phsync bench SUITE`: the benchmarks of the source checkout, contenders measured in the same run. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { PhsyncError } from '../hasher/errors.js';
import { printJson } from './output.js';

/** What this command needs of bench/main.ts, which lies outside `src` and is not part of the installed package. */
interface Bench {
  readonly suiteNames: readonly string[];
  /** What runs when no suite is named. */
  readonly defaultSuites: readonly string[];
  runSuite(
    name: string,
    options: {
      kernel: string | undefined;
      threads: number | undefined;
      seconds: number;
      rounds: number;
      users: number;
      dc: string | undefined;
      managedDc: string | undefined;
      say: (line: string) => void;
    },
  ): Promise<SuiteResult>;
  /** Returns the file. */
  keep(result: SuiteResult, directory: string | undefined): string;
}

interface SuiteResult {
  readonly machine: { readonly cpu: string; cores: number; flags: readonly string[]; node: string; openssl: string };
  readonly cases: readonly {
    readonly name: string;
    readonly threads: number;
    readonly perSecond: number;
    readonly ratios: Readonly<Record<string, number>>;
    readonly more?: Readonly<Record<string, number>>;
  }[];
}

interface Options {
  kernel?: string;
  threads?: string;
  seconds?: string;
  rounds?: string;
  users?: string;
  quick?: boolean;
  dc?: string;
  managedDc?: string;
  out?: string;
  json?: boolean;
}

/** Nine rounds are the fewest by which `bench:compare` can tell a change from noise in a suite of 40 cases. */
const FULL = { seconds: '0.3', rounds: '9', users: '20000' } as const;
const QUICK = { seconds: '0.1', rounds: '3', users: '2000' } as const;

/** Domain controllers that a suite cannot do without. */
const NEEDED: Readonly<Record<string, readonly ('dc' | 'managedDc')[]>> = {
  drsr: ['dc'],
  'managed-domain': ['dc', 'managedDc'],
};

function number(text: string, option: string, least: number): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < least) {
    throw new PhsyncError(
      'usage-bench',
      `${option} is ${JSON.stringify(text)}, expected a number of at least ${least}`,
    );
  }
  return value;
}

function print({ machine, cases }: SuiteResult): void {
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.flags.join(' ')}, node ${machine.node}, OpenSSL ${machine.openssl}`,
  );
  for (const { name, threads, perSecond, ratios, more = {} } of cases) {
    const beside = Object.entries(ratios).map(([other, ratio]) => `${ratio.toFixed(2)} × ${other}`);
    const also = Object.entries(more).map(([what, value]) => `${what} ${Number(value.toPrecision(4))}`);
    console.log(`${name} [${threads}]: ${Math.round(perSecond)}/s  ${[...beside, ...also].join(', ')}`);
  }
}

async function bench(suite: string | undefined, options: Options): Promise<void> {
  // In an installed package there is no bench: its contenders are development dependencies.
  const script = new URL('../bench/main.js', import.meta.url);
  if (!existsSync(fileURLToPath(script))) {
    throw new PhsyncError('usage-bench', 'the benchmarks are in the source checkout only: run `npm run bench` there');
  }
  const { runSuite, suiteNames, defaultSuites, keep } = (await import(script.href)) as Bench;
  if (suite !== undefined && !suiteNames.includes(suite)) {
    throw new PhsyncError(
      'usage-bench',
      `no suite is called ${JSON.stringify(suite)}; there are ${suiteNames.join(', ')}`,
    );
  }
  for (const option of NEEDED[suite ?? ''] ?? []) {
    if (options[option] !== undefined) continue;
    throw new PhsyncError(
      'usage-bench',
      `--${option === 'dc' ? 'dc' : 'managed-dc'}: the suite ${suite} wants the directory of a running Samba DC (test/samba/dc/start)`,
    );
  }
  const defaults = options.quick ? QUICK : FULL;
  const suiteOptions = {
    kernel: options.kernel,
    threads: options.threads === undefined ? undefined : number(options.threads, '--threads', 1),
    seconds: number(options.seconds ?? defaults.seconds, '--seconds', 0.05),
    rounds: number(options.rounds ?? defaults.rounds, '--rounds', 1),
    users: number(options.users ?? defaults.users, '--users', 1),
    dc: options.dc,
    managedDc: options.managedDc,
  };
  const results: SuiteResult[] = [];
  for (const name of suite === undefined ? defaultSuites : [suite]) {
    const result = await runSuite(name, {
      ...suiteOptions,
      say: (line) => process.stderr.write(`${name}: ${line}\n`),
    });
    results.push(result);
    if (!options.json) print(result);
    if (suite === undefined || options.out !== undefined) {
      process.stderr.write(`${name}: kept in ${keep(result, options.out)}\n`);
    }
  }
  if (options.json) printJson(suite === undefined ? results : results[0]);
}

export function command(): Command {
  return new Command('bench')
    .description('measure the hasher and the pipeline beside their contenders (source checkout only)')
    .argument(
      '[suite]',
      'kernel, envelope, latency, pool, fallback, legacy, wire, leaks, pipeline, sign-in, tenant-store, drsr or managed-domain; all but the last two, and kept, when left out',
    )
    .option('--kernel <name>', 'only this kernel')
    .option('--threads <n>', 'worker threads')
    .option('--seconds <s>', `measuring time of each sample (default: ${FULL.seconds})`)
    .option('--rounds <n>', `rounds; every contender is measured once in each (default: ${FULL.rounds})`)
    .option(
      '--users <n>',
      `users of the pipeline suite, memory is taken at a fifth and at twice as many; of tenant-store, size is taken at fifty times as many (default: ${FULL.users})`,
    )
    .option('--quick', `a first look: ${QUICK.rounds} rounds of ${QUICK.seconds} s, ${QUICK.users} users`)
    .option('--out <dir>', 'keep the results there as <suite>.json (default: bench/results/<date>-<cpu>)')
    .option('--dc <dir>', 'directory of a running Samba DC, for the suites drsr and managed-domain')
    .option('--managed-dc <dir>', 'directory of another one, new, which the suite managed-domain fills')
    .option('--json', 'print one JSON document')
    .action(bench);
}
