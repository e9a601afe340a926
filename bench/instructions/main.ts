/**
 * `npm run bench:instructions`: counts instructions and compares them with baseline.json.
 * Exit codes: 0 no more than before, 1 more, 2 wrong usage, 3 the counting failed.
 */

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { count } from './count.js';
import {
  baselineFile,
  type Compared,
  type Counted,
  compare,
  isRegression,
  type Method,
  readBaseline,
  type Toolchain,
  toleranceOf,
  writeBaseline,
} from './counts.js';

const USAGE = `usage: npm run bench:instructions -- [--update] [--kernel NAME] [--json]
  --update       keep the counts as the new baseline
  --kernel NAME  only this kernel
  --json         one JSON document on stdout
exit: 0 no more instructions than the baseline, 1 more (or a count is gone), 2 wrong usage, 3 the counting failed`;

const number = (value: number | undefined): string =>
  value === undefined ? '-' : value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 3 : 0 });

function table(rows: readonly Compared[]): string {
  const cells = rows.map(({ kernel, what, method, before, now, verdict }) => {
    const change = before === undefined || now === undefined ? '' : `${((now / before - 1) * 100).toFixed(2)} %`;
    return [kernel, what, method, number(before), number(now), change, verdict];
  });
  const all = [['kernel', 'what', 'how', 'before', 'now', 'change', ''], ...cells];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const right = new Set([3, 4, 5]);
  return all
    .map((row) =>
      row
        .map((cell, i) => (right.has(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function notes(now: Counted, rows: readonly Compared[]): string[] {
  const lines = now.notCounted
    // What callgrind cannot run is stepped.
    .filter(
      ({ kernel, method }) =>
        method !== 'callgrind' || !now.counts.some((c) => c.kernel === kernel && c.method === 'stepped'),
    )
    .map(({ kernel, method, why }) => `not counted: ${kernel}, ${method} (${why})`);
  if (rows.some(({ verdict }) => ['less', 'new', 'replaced'].includes(verdict))) {
    lines.push(
      'there are counts below or beside the baseline: keep them with `npm run bench:instructions -- --update`',
    );
  }
  return lines;
}

/** How closely the two can be compared. */
function against(before: Toolchain, now: Toolchain): string {
  const name = ({ compiler, libc, valgrind }: Toolchain) => `${compiler}, glibc ${libc}, ${valgrind}`;
  const tolerance = (method: Method) => `${Number((toleranceOf(method, before, now) * 100).toPrecision(2))} %`;
  return `${name(now)}; the baseline: ${name(before)}; tolerance ${tolerance('static')}, callgrind ${tolerance('callgrind')}`;
}

async function main(): Promise<number> {
  let options: { update?: boolean; kernel?: string; json?: boolean; help?: boolean };
  try {
    options = parseArgs({
      options: {
        update: { type: 'boolean' },
        kernel: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`);
    return 2;
  }
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  if (options.update && options.kernel !== undefined) {
    process.stderr.write(`--update takes all kernels\n${USAGE}\n`);
    return 2;
  }
  const now = await count((line) => process.stderr.write(`${line}\n`), options.kernel);
  if (options.kernel !== undefined && now.counts.length === 0) {
    process.stderr.write(`the addon has no kernel ${JSON.stringify(options.kernel)}\n`);
    return 2;
  }
  const old = existsSync(baselineFile) ? readBaseline() : undefined;
  if (options.update) {
    writeBaseline(now, old);
  } else if (old === undefined) {
    process.stderr.write(`no ${baselineFile}: make it with --update\n`);
    return 2;
  } else if (old.toolchain.arch !== now.toolchain.arch) {
    process.stderr.write(`the baseline is of ${old.toolchain.arch}, this is ${now.toolchain.arch}\n`);
    return 2;
  }
  const whole = readBaseline();
  const baseline =
    options.kernel === undefined
      ? whole
      : { ...whole, counts: whole.counts.filter(({ kernel }) => kernel === options.kernel) };
  const rows = compare(baseline, now);
  const worse = rows.filter(isRegression);
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ toolchain: now.toolchain, baseline: baseline.toolchain, counts: rows, notCounted: now.notCounted, regressions: worse.length })}\n`,
    );
  } else {
    console.log(table(rows));
    for (const line of notes(now, rows)) console.log(line);
    console.log(against(baseline.toolchain, now.toolchain));
    console.log(worse.length === 0 ? 'no count has grown' : `${worse.length} counts have grown or are gone`);
  }
  return worse.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench:instructions: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 3;
}
