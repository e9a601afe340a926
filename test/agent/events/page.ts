/** The tables of events.md. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../package/tools.js';

const page = readFileSync(join(root, 'src/agent/events.md'), 'utf8');

/** The rows of the tables that begin with the given heading, cell by cell. */
export function table(heading: string): string[][] {
  const tables = page.split(heading).slice(1);
  return tables.flatMap(rowsOf);
}

function rowsOf(text: string): string[][] {
  const lines = text.split('\n').slice(2);
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(0, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Number → the fields that its event may carry. */
export function fieldsByNumber(): Map<number, string[]> {
  const rows = table('| number | level |');
  return new Map(
    rows.map(([number, , , fields]) => [Number(number), fields!.split(/, |; or /).filter((f) => f !== '–')]),
  );
}
