/** A comparison as text for people. */

import type { Comparison, Judged } from './judge.js';

export const percent = (share: number): string => {
  if (!Number.isFinite(share)) return share < 0 ? '-∞' : '+∞';
  const text = (share * 100).toFixed(1);
  return `${share >= 0 && !text.startsWith('-') ? '+' : ''}${text} %`;
};

/** Worst first: what is slower is what is looked for. */
const ORDER = { slower: 0, 'too few rounds': 1, faster: 2, same: 3 } as const;

export function table({ cases, onlyBefore, onlyNow, notes, sameMachine }: Comparison): string {
  const row = (one: Judged): string[] => [
    one.verdict,
    one.suite,
    one.name,
    `${one.before.toPrecision(3)} ×`,
    `${one.now.toPrecision(3)} ×`,
    percent(one.change),
    `${percent(one.low)} … ${percent(one.high)}`,
    one.p < 0.001 ? '<0.001' : one.p.toFixed(3),
    one.rateChange === undefined ? '' : percent(one.rateChange),
    one.reference,
  ];
  const rows = [
    ['', 'suite', 'case', 'before', 'now', 'change', '95 % interval', 'p', 'raw', 'measured against'],
    ...[...cases].sort((a, b) => ORDER[a.verdict] - ORDER[b.verdict]).map(row),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  const right = new Set([3, 4, 5, 6, 7, 8]);
  const lines = rows.map((cells) =>
    cells
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
  for (const name of onlyBefore) lines.push(`only before: ${name}`);
  for (const name of onlyNow) lines.push(`only now: ${name}`);
  for (const note of notes) lines.push(`differs: ${note}`);
  if (!sameMachine) lines.push('different machines: ratios are compared, raw rates are not');
  return lines.join('\n');
}
