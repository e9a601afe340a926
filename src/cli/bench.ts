/** `phsync bench SUITE`: the benchmarks of the source checkout, contenders measured in the same run. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { PhsyncError } from '../hasher/errors.js';
import { printJson } from './output.js';

/** What this command needs of bench/main.ts, which lies outside `src` and is not part of the installed package. */
interface Bench {
  readonly suiteNames: readonly string[];
  runSuite(
    name: string,
    options: {
      kernel: string | undefined;
      threads: number | undefined;
      seconds: number;
      rounds: number;
      users: number;
      dc: string | undefined;
      say: (line: string) => void;
    },
  ): Promise<{
    readonly machine: { readonly cpu: string; cores: number; flags: readonly string[]; node: string; openssl: string };
    readonly cases: readonly {
      readonly name: string;
      readonly threads: number;
      readonly perSecond: number;
      readonly ratios: Readonly<Record<string, number>>;
      readonly more?: Readonly<Record<string, number>>;
    }[];
  }>;
}

interface Options {
  kernel?: string;
  threads?: string;
  seconds: string;
  rounds: string;
  users: string;
  dc?: string;
  json?: boolean;
}

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

async function bench(suite: string, options: Options): Promise<void> {
  // In an installed package there is no bench: its contenders are development dependencies.
  const script = new URL('../bench/main.js', import.meta.url);
  if (!existsSync(fileURLToPath(script))) {
    throw new PhsyncError('usage-bench', 'the benchmarks are in the source checkout only: run `npm run bench` there');
  }
  const { runSuite, suiteNames } = (await import(script.href)) as Bench;
  if (!suiteNames.includes(suite)) {
    throw new PhsyncError(
      'usage-bench',
      `no suite is called ${JSON.stringify(suite)}; there are ${suiteNames.join(', ')}`,
    );
  }
  if (suite === 'drsr' && options.dc === undefined) {
    throw new PhsyncError(
      'usage-bench',
      '--dc: the drsr suite wants the directory of a running Samba DC (test/samba/dc/start)',
    );
  }
  const result = await runSuite(suite, {
    kernel: options.kernel,
    threads: options.threads === undefined ? undefined : number(options.threads, '--threads', 1),
    seconds: number(options.seconds, '--seconds', 0.05),
    rounds: number(options.rounds, '--rounds', 1),
    users: number(options.users, '--users', 1),
    dc: options.dc,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  if (options.json) {
    printJson(result);
    return;
  }
  const { machine, cases } = result;
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.flags.join(' ')}, node ${machine.node}, OpenSSL ${machine.openssl}`,
  );
  for (const { name, threads, perSecond, ratios, more = {} } of cases) {
    const beside = Object.entries(ratios).map(([other, ratio]) => `${ratio.toFixed(2)} × ${other}`);
    const also = Object.entries(more).map(([what, value]) => `${what} ${Number(value.toPrecision(4))}`);
    console.log(`${name} [${threads}]: ${Math.round(perSecond)}/s  ${[...beside, ...also].join(', ')}`);
  }
}

export function command(): Command {
  return new Command('bench')
    .description('measure the hasher and the pipeline beside their contenders (source checkout only)')
    .argument('<suite>', 'kernel, envelope, pool, pipeline or drsr')
    .option('--kernel <name>', 'only this kernel')
    .option('--threads <n>', 'worker threads')
    .option('--seconds <s>', 'measuring time of each sample', '0.4')
    .option('--rounds <n>', 'rounds; every contender is measured once in each', '9')
    .option('--users <n>', 'users of the pipeline suite; memory is taken at a fifth and at twice as many', '100000')
    .option('--dc <dir>', 'directory of a running Samba DC, for the drsr suite')
    .option('--json', 'print one JSON document')
    .action(bench);
}
