/** What the commands share on their way out: exit codes, JSON on stdout, one line of error on stderr. */

import { CommanderError } from 'commander';
import { oneLine } from '../agent/diagnosis/text.js';

export const exitCodes = {
  done: 0,
  /** The question was understood and the answer is no (`verify`: it does not match). */
  no: 1,
  /** Wrong usage or configuration. */
  usage: 2,
  /** The work failed. */
  failed: 3,
} as const;

/** Prints one JSON document and a line feed on stdout. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** `20,000` */
export const count = (n: number): string => Math.round(n).toLocaleString('en-US');

/** A number with its noun: `1 user`, `2 users`. */
export const counted = (n: number, what: string): string => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

type Facts = Readonly<Record<string, unknown>>;

interface Described {
  readonly code: string;
  readonly message: string;
  readonly facts: Facts;
  readonly exitCode: number;
}

function describe(error: unknown): Described {
  if (error instanceof CommanderError) {
    // `--nt-hahs=…` comes back whole as an unknown option, with what may be a secret.
    const message = oneLine(error.message.replace(/^error: /, '').replace(/(--[\w-]+)=[^']*/, '$1')).trim();
    // `commander.unknownOption` becomes `usage-unknown-option`.
    const code = error.code.replace(/^commander\./, 'usage-').replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
    return { code, message, facts: {}, exitCode: exitCodes.usage };
  }
  if (!(error instanceof Error)) {
    return { code: 'failed', message: oneLine(String(error)).trim(), facts: {}, exitCode: exitCodes.failed };
  }
  // PhsyncError, ProtocolError and Node's system errors all have a string `code`; the first two also have `facts`.
  const { code: given, facts = {} } = error as Error & { code?: unknown; facts?: Facts };
  const code = typeof given === 'string' ? given : 'failed';
  const exitCode = /^(config|usage)-/.test(code) ? exitCodes.usage : exitCodes.failed;
  return { code, message: oneLine(error.message).trim(), facts, exitCode };
}

/**
 * Reports an error and sets the exit code: `phsync: <message>` on stderr or, with `json`, one document
 * `{"error":{code,message,…facts}}` on stdout. Codes `config-*` and `usage-*` and commander's own errors exit with 2,
 * all others with 3. Commander's "errors" for --help and --version are none.
 */
export function fail(error: unknown, json: boolean): void {
  if (error instanceof CommanderError && error.exitCode === 0) {
    process.exitCode = exitCodes.done;
    return;
  }
  const { code, message, facts, exitCode } = describe(error);
  process.exitCode = exitCode;
  if (json) {
    printJson({ error: { ...facts, code, message } });
  } else {
    process.stderr.write(`phsync: ${message}\n`);
  }
}
