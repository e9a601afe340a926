/** `phsync leaks import`: tries leaked pairs of name and password on the tenant's credentials. */

import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { fileErrorText } from '../config/file-error.js';
import { createHasher } from '../hasher/create-hasher.js';
import { PhsyncError } from '../hasher/errors.js';
import { createLog } from '../log/log.js';
import { createAuditLog } from '../tenant/audit/audit-log.js';
import { loadTenantConfig } from '../tenant/config.js';
import { importLeaks, type LeakCounts } from '../tenant/risk/import-leaks.js';
import type { PairFormat } from '../tenant/risk/pairs.js';
import { RiskStore } from '../tenant/risk/risk-store.js';
import { openExistingStore } from './existing-store.js';
import { count, counted, printJson } from './output.js';
import { withConfig } from './required-config.js';
import { stopSignal } from './stop-signal.js';

interface Options {
  readonly config: string;
  readonly format?: PairFormat;
  readonly delimiter: string;
  readonly json?: true;
}

/** Bad lines that are told one by one; all are counted. */
const TOLD = 20;
const PROGRESS_MS = 1000;

async function run(file: string, options: Options): Promise<void> {
  const config = await loadTenantConfig(options.config);
  const input = await openInput(file);
  const log = createLog(config.logLevel);
  const stop = stopSignal();
  const hasher = createHasher({ allowMd5InFips: config.allowMd5InFips });
  try {
    const store = await openExistingStore(config);
    try {
      let told = 0;
      let shown = Date.now();
      const now = () => new Date();
      const counts = await importLeaks({
        input,
        format: options.format ?? formatOf(file),
        delimiter: options.delimiter,
        risks: new RiskStore(store.database, now),
        hasher,
        audit: createAuditLog(store.database, now),
        log,
        actor: 'phsync leaks import',
        signal: stop.signal,
        onBadLine({ line, expected }) {
          if (++told <= TOLD) process.stderr.write(`line ${line}: passed over, expected ${expected}\n`);
        },
        onProgress(soFar) {
          if (!process.stderr.isTTY || Date.now() - shown < PROGRESS_MS) return;
          shown = Date.now();
          process.stderr.write(`${counted(soFar.pairs, 'pair')} read, ${counted(soFar.atRisk, 'user')} at risk\n`);
        },
      });
      if (options.json) printJson(counts);
      else process.stdout.write(summary(counts));
    } finally {
      await store.close();
    }
  } finally {
    input.destroy();
    stop.dispose();
    await hasher.close();
  }
}

async function openInput(file: string): Promise<Readable> {
  if (file === '-') return process.stdin;
  try {
    const handle = await open(file);
    return createReadStream(file, { fd: handle });
  } catch (cause) {
    throw new PhsyncError('usage-file', `cannot read ${file}: ${fileErrorText(cause)}`, { cause, facts: { file } });
  }
}

const formatOf = (file: string): PairFormat => (/\.(jsonl|ndjson)$/i.test(file) ? 'jsonl' : 'csv');

function summary(counts: LeakCounts): string {
  const { pairs, badLines, unknown, beforeSync, checked, matched, atRisk } = counts;
  const done = [
    [pairs, 'pair', 'read'],
    [checked, 'pair', 'of names known here, each tried on its credential'],
    [matched, 'pair', 'matched: the password is good now'],
    [atRisk, 'user', 'newly at high risk, until the password changes'],
  ] as const;
  const skipped = [
    [unknown, 'pair', 'skipped: no user with a password has the name'],
    [beforeSync, 'pair', 'skipped: found before password hash synchronization was switched on'],
    [badLines, 'line', 'skipped: no pair of name and password'],
  ] as const;
  const lines = [...done, ...skipped.filter(([number]) => number > 0)];
  const width = Math.max(...lines.map(([number]) => count(number).length));
  return lines
    .map(([number, noun, what]) => `${count(number).padStart(width)} ${noun}${number === 1 ? '' : 's'} ${what}\n`)
    .join('');
}

function delimiterOption(text: string): string {
  const delimiter = text === 'tab' ? '\t' : text;
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter)) {
    throw new InvalidArgumentError('expected one character, or tab');
  }
  return delimiter;
}

const AFTER_HELP = `
Each pair's password goes through MD4 and PBKDF2 with the salt of that user's credential; a match puts the user at high
risk, with an event and an entry in the audit log. A change of the password ends the risk. Pairs are stored nowhere: keep
the file where only you can read it, or pipe it in.

CSV has name, password and, if known, the time when the pair was found; a heading line may name them in another order. A
JSON line is {"name":"…","password":"…","found":"2026-01-31T12:00:00Z"}. Pairs found before password hash synchronization
was switched on do not count. Works while the tenant runs.

Examples:
  phsync leaks import pairs.csv --config tenant.yaml
  gpg --decrypt combo.gpg | phsync leaks import - --delimiter : --config tenant.yaml`;

export function command(): Command {
  return new Command('leaks')
    .description('leaked credentials: tries pairs of name and password on the tenant')
    .addArgument(new Argument('<action>', 'what to do').choices(['import']))
    .argument('<file>', 'the pairs; - is standard input')
    .option('--config <file>', 'tenant.yaml')
    .addOption(
      new Option('--format <format>', 'csv, unless the file is called .jsonl or .ndjson').choices(['csv', 'jsonl']),
    )
    .option('--delimiter <character>', 'between the fields of CSV; tab for a tab', delimiterOption, ',')
    .option('--json', 'print one JSON document')
    .addHelpText('after', AFTER_HELP)
    .action(
      (_action: 'import', file: string, options: Partial<Options> & { readonly delimiter: string }, command: Command) =>
        run(file, withConfig(options, command)),
    );
}
