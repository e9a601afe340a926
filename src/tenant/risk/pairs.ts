/** Leaked pairs of name and password, read as a stream of CSV (RFC 4180) or of JSON lines. Nothing of a line is ever repeated. */

import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { PhsyncError } from '../../hasher/errors.js';

export interface LeakedPair {
  readonly name: string;
  readonly password: string;
  /** When it was found, where the line says so. */
  readonly found: Date | undefined;
}

/** A line that is no pair: counted, told by its number and what was expected, and passed over. */
export interface BadLine {
  readonly line: number;
  readonly expected: string;
}

export type PairFormat = 'csv' | 'jsonl';

export interface PairOptions {
  readonly format: PairFormat;
  /** CSV: one character. */
  readonly delimiter: string;
  readonly onBadLine: (bad: BadLine) => void;
}

/** No password is longer, and no name; a line without an end must not fill the memory. */
const MAX_LINE = 65_536;
const MAX_NAME = 1024;
/** What a password may have in characters; Active Directory takes 256. */
const MAX_PASSWORD = 1024;

/** Of a heading line, in any case. */
const headings = {
  name: ['name', 'username', 'user', 'userprincipalname', 'upn', 'email', 'mail', 'login'],
  password: ['password', 'pass', 'pwd'],
  found: ['found', 'foundat', 'date', 'time'],
} as const;

/** @throws PhsyncError `leaks-format` where the text as a whole is none of the format */
export function readPairs(input: Readable, options: PairOptions): AsyncGenerator<LeakedPair> {
  return options.format === 'csv' ? readCsv(input, options) : readJsonLines(input, options);
}

async function* readCsv(input: Readable, { delimiter, onBadLine }: PairOptions): AsyncGenerator<LeakedPair> {
  const parser = parse({
    bom: true,
    delimiter,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    // Lists of leaked passwords have quotes anywhere; one at the beginning of a field still quotes it.
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE,
    info: true,
  });
  input.on('error', (error) => parser.destroy(error));
  input.pipe(parser);
  let columns: Columns | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      if (columns === undefined) {
        const named = columnsOf(record);
        columns = named ?? { name: 0, password: 1, found: 2 };
        if (named !== undefined) continue;
      }
      const pair = toPair(record[columns.name], record[columns.password], record[columns.found]);
      if ('expected' in pair) onBadLine({ line: info.lines, expected: pair.expected });
      else yield pair;
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    // The parser's own message may quote a field.
    const line = 'lines' in cause ? Number(cause.lines) : undefined;
    throw new PhsyncError('leaks-format', `line ${line ?? '?'}: not CSV (${cause.code})`, { facts: { line } });
  }
}

async function* readJsonLines(input: Readable, { onBadLine }: PairOptions): AsyncGenerator<LeakedPair> {
  let line = 0;
  for await (const text of createInterface({
    input: Readable.from(limited(input)),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    line++;
    if (text.trim() === '') continue;
    const pair = fromJson(text);
    if ('expected' in pair) onBadLine({ line, expected: pair.expected });
    else yield pair;
  }
}

/** @throws PhsyncError `leaks-format` for a line without an end. */
async function* limited(input: Readable): AsyncGenerator<Buffer> {
  let length = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    const end = chunk.lastIndexOf(0x0a);
    length = end === -1 ? length + chunk.length : chunk.length - end;
    if (length > MAX_LINE) throw new PhsyncError('leaks-format', `a line is longer than ${MAX_LINE} bytes`);
    yield chunk;
  }
}

interface Columns {
  readonly name: number;
  readonly password: number;
  readonly found: number;
}

/** Undefined: the first record is a pair already. */
function columnsOf(record: readonly string[]): Columns | undefined {
  const names = record.map((text) => text.trim().toLowerCase().replaceAll(/[_ -]/g, ''));
  const at = (known: readonly string[]) => names.findIndex((name) => known.includes(name));
  const [name, password] = [at(headings.name), at(headings.password)];
  return name === -1 || password === -1 ? undefined : { name, password, found: at(headings.found) };
}

function fromJson(text: string): LeakedPair | { readonly expected: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { expected: 'a JSON object' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { expected: 'a JSON object' };
  const entries = Object.entries(value);
  const field = (known: readonly string[]) => entries.find(([key]) => known.includes(key.toLowerCase()))?.[1];
  return toPair(field(headings.name), field(headings.password), field(headings.found));
}

function toPair(name: unknown, password: unknown, found: unknown): LeakedPair | { readonly expected: string } {
  if (typeof name !== 'string' || name.trim() === '' || name.length > MAX_NAME) {
    return { expected: `a name of 1 to ${MAX_NAME} characters` };
  }
  if (typeof password !== 'string' || password === '' || password.length > MAX_PASSWORD) {
    return { expected: `a password of 1 to ${MAX_PASSWORD} characters` };
  }
  if (found === undefined || found === '' || found === null) return { name: name.trim(), password, found: undefined };
  const date = typeof found === 'string' ? new Date(found) : new Date(Number.NaN);
  if (Number.isNaN(date.getTime())) return { expected: 'the time as in 2026-01-31T12:00:00Z' };
  return { name: name.trim(), password, found: date };
}
