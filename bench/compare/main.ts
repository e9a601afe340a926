/**
 * `npm run bench:compare BEFORE NOW`: which cases have changed beyond noise.
 * Exit codes: 0 none is slower, 1 at least one is, 2 wrong usage or nothing to compare.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Comparison, judge } from './judge.js';
import { load } from './load.js';
import { svg } from './svg.js';
import { table } from './table.js';

const USAGE = `usage: npm run bench:compare -- [--json] [--svg FILE] BEFORE NOW
  BEFORE, NOW  results of \`npm run bench\`: a file, or a directory of them
  --json       one JSON document on stdout
  --svg FILE   a chart
exit: 0 no case is slower beyond noise, 1 one is, 2 wrong usage or nothing to compare`;

function usage(message: string): 2 {
  return refuse(`${message}\n${USAGE}`);
}

/** Says what cannot be compared, and why. */
function refuse(message: string): 2 {
  process.stderr.write(`bench:compare: ${message}\n`);
  return 2;
}

function main(): 0 | 1 | 2 {
  let given: { values: { json?: boolean; svg?: string; help?: boolean }; positionals: string[] };
  try {
    given = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, svg: { type: 'string' }, help: { type: 'boolean' } },
    });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { values, positionals } = given;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [before, now] = positionals;
  if (before === undefined || now === undefined || positionals.length > 2) {
    return usage(`expected two results, got ${positionals.length}`);
  }
  let comparison: Comparison;
  try {
    comparison = judge(load(before), load(now));
  } catch (error) {
    return refuse((error as Error).message);
  }
  const { cases } = comparison;
  const slower = cases.filter(({ verdict }) => verdict === 'slower').length;
  const undecided = cases.filter(({ verdict }) => verdict === 'too few rounds').length;
  if (values.svg !== undefined) writeFileSync(values.svg, svg(comparison));
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ ...comparison, slower, undecided })}\n`);
  } else {
    console.log(table(comparison));
    const faster = cases.filter(({ verdict }) => verdict === 'faster').length;
    console.log(`${cases.length} cases: ${slower} slower, ${faster} faster, ${undecided} with too few rounds to tell`);
  }
  if (undecided === cases.length) return refuse('too few rounds in all cases: measure more (--rounds)');
  return slower > 0 ? 1 : 0;
}

process.exitCode = main();
