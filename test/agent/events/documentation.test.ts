/** events.md says of each number and status what the code says. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EVENTS } from '#src/agent/events/event.js';
import { outcomeNames } from '#src/agent/state/rows.js';
import { root } from '../../package/tools.js';
import { table } from './page.js';

/** The numbers that the sources emit, by name or through a constant. */
function raised(): Set<string> {
  const folder = join(root, 'src');
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('events/event.ts'))
    .map((file) => readFileSync(join(folder, file), 'utf8'));
  const calls = sources.flatMap((source) => [...source.matchAll(/\.emit\(([^{}]*?)[,)]/g)].map(([, first]) => first!));
  // Those of write-back have five digits, which nothing else in the agent has, and stand in tables.
  const writeback = sources.flatMap((source) => source.match(/\b3[123]0\d\d\b/g) ?? []);
  return new Set([...calls.flatMap((first) => first.match(/\b\d{3}\b/g) ?? []), ...writeback]);
}

const events = table('| number | level |');

describe('the table of numbers', () => {
  test('has each number with its level and text', () => {
    expect(events.map(([number, level, what]) => [number, level, what])).toEqual(
      Object.entries(EVENTS).map(([number, { level, text }]) => [number, level, text]),
    );
  });

  test('says what to do about each that is not mere information', () => {
    expect(events.filter(([, level, , , advice]) => level !== 'information' && advice === '')).toEqual([]);
  });

  test('says which are not raised, and no other is missing in the code', () => {
    const silent = events.filter(([, , , , advice]) => advice!.startsWith('Not raised:')).map(([number]) => number);
    const missing = events.map(([number]) => number!).filter((number) => !raised().has(number));
    expect(missing).toEqual(silent);
  });
});

test('the table of results has each status', () => {
  expect(
    table('| status | when |')
      .map(([status]) => status)
      .sort(),
  ).toEqual(Object.values(outcomeNames).sort());
});
