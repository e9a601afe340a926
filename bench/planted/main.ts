/**
 * `npm run bench:planted`: plants faults in copies of the checkout and shows what bench:instructions, and with --timed
 * bench:compare, make of each. Exit codes: 0 each was caught by bench:instructions, 1 one was not, 2 wrong usage.
 */

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Compared } from '../instructions/counts.js';
import { isRegression } from '../instructions/counts.js';
import { copyCheckout } from './copy.js';
import { plants } from './plants.js';

const USAGE = `usage: npm run bench:planted -- [--plant NAME] [--timed [--kernel NAME] [--rounds N]]
  --plant NAME  one of ${Object.keys(plants).join(', ')}; all when left out
  --timed       measure the kernel suite with and without the fault, too, and compare`;

function node(copy: string, ...args: string[]): { status: number | null; stdout: string } {
  return spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function counted(copy: string): boolean {
  const { status, stdout } = node(copy, join(copy, 'dist/bench/instructions/main.js'), '--json');
  if (status !== 0 && status !== 1) throw new Error(`bench:instructions ended with exit code ${status}`);
  const grown = (JSON.parse(stdout) as { counts: Compared[] }).counts.filter(isRegression);
  for (const { kernel, what, method, before, now } of grown) {
    const change = before === undefined || now === undefined ? 'gone' : `+${((now / before - 1) * 100).toFixed(3)} %`;
    console.log(`  ${kernel}, ${what}, ${method}: ${before} → ${now} (${change})`);
  }
  console.log(`  bench:instructions: exit code ${status}, ${grown.length} counts have grown`);
  return status === 1;
}

function measured(copy: string, out: string, options: readonly string[]): void {
  const { status } = node(copy, join(copy, 'dist/cli/main.js'), 'bench', 'kernel', '--out', out, ...options);
  if (status !== 0) throw new Error(`bench kernel ended with exit code ${status}`);
}

function run(names: readonly string[], timed: boolean, options: readonly string[]): boolean {
  const sound = timed ? copyCheckout() : undefined;
  let caught = true;
  try {
    if (sound !== undefined) measured(sound, join(sound, 'results'), options);
    for (const name of names) {
      const plant = plants[name]!;
      console.log(`${name}: ${plant.what}`);
      const copy = copyCheckout();
      try {
        plant.into(copy);
        caught = counted(copy) && caught;
        if (sound === undefined) continue;
        measured(copy, join(copy, 'results'), options);
        const compare = join(copy, 'dist/bench/compare/main.js');
        const { status, stdout } = node(copy, compare, join(sound, 'results'), join(copy, 'results'));
        console.log(stdout.replaceAll(/^/gm, '  ').trimEnd());
        console.log(`  bench:compare: exit code ${status}`);
      } finally {
        rmSync(copy, { recursive: true, force: true });
      }
    }
  } finally {
    if (sound !== undefined) rmSync(sound, { recursive: true, force: true });
  }
  return caught;
}

function main(): number {
  let values: { plant?: string; timed?: boolean; kernel?: string; rounds?: string };
  try {
    const string = { type: 'string' } as const;
    const options = { plant: string, timed: { type: 'boolean' }, kernel: string, rounds: string } as const;
    ({ values } = parseArgs({ options }));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`);
    return 2;
  }
  const names = Object.keys(plants);
  const chosen = names.filter((name) => values.plant === undefined || name === values.plant);
  if (chosen.length === 0) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const options = (['kernel', 'rounds'] as const).flatMap((key) => {
    const value = values[key];
    return value === undefined ? [] : [`--${key}`, value];
  });
  return run(chosen, values.timed === true, options) ? 0 : 1;
}

process.exitCode = main();
