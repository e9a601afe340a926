#!/usr/bin/env node
/**
 * The command line: finds the command's file, runs it, turns what it throws into an exit code.
 *
 * How a command plugs in: `src/cli/<name>.ts` exports `function command(): Command` (a commander Command named
 * `<name>` with its options and an async action), and its name stands in `names` of commands.ts. Only the named
 * command's file is imported, so `phsync hash` does not load a web server; `phsync --help` imports all. An action
 *  - returns for exit code 0, and sets `process.exitCode = exitCodes.no` where the answer is no;
 *  - throws for the others: a code `config-*` or `usage-*` gives 2, every other error 3 (see output.ts);
 *  - under `--json` prints exactly one document, with `printJson`; an error becomes `{"error":{code,message,…}}`;
 *  - closes what it opened, since main ends by letting the event loop run empty.
 */
import { didYouMean } from '../config/similar.js';
import { PhsyncError } from '../hasher/errors.js';
import { addCommands, createProgram, names } from './commands.js';
import { exitCodes, fail } from './output.js';

async function main(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  const [name, helped] = argv;
  const known = names.find((candidate) => candidate === name);
  checkCommand(name);
  if (name === 'help') checkCommand(helped);
  const wantsAll = name === undefined || ['help', '--help', '-h'].includes(name);
  await addCommands(program, known !== undefined ? [known] : wantsAll ? names : []);
  if (name === undefined) {
    program.outputHelp({ error: true });
    process.exitCode = exitCodes.usage;
    return;
  }
  await program.parseAsync(argv, { from: 'user' });
}

/** @throws PhsyncError `usage-command` */
function checkCommand(name: string | undefined): void {
  if (name === undefined || name === 'help' || name.startsWith('-') || names.some((known) => known === name)) return;
  const hint = didYouMean(name, names);
  throw new PhsyncError('usage-command', `unknown command '${name}'; ${hint}expected one of ${names.join(', ')}`);
}

const argv = process.argv.slice(2);
const json = argv.includes('--json');

// A reader that went away (`phsync info | head -1`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});
// Node's own exit code for these is 1, which here means that the answer is no.
process.once('uncaughtException', (error) => {
  fail(error, json);
  process.exit();
});

try {
  await main(argv);
} catch (error) {
  fail(error, json);
}
