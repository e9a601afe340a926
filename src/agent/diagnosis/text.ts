/** A diagnosis for people: a line a check, and below each finding what to do. */

import type { CheckResult, CheckStatus } from './check.js';

const MARKS: Readonly<Record<CheckStatus, string>> = { ok: 'ok', warning: 'WARNING', error: 'ERROR', skipped: '-' };
const MARK_WIDTH = 9;

export interface Tally {
  readonly ok: number;
  readonly warning: number;
  readonly error: number;
  readonly skipped: number;
}

export function tally(results: readonly CheckResult[]): Tally {
  const count = (status: CheckStatus) => results.filter((result) => result.status === status).length;
  return { ok: count('ok'), warning: count('warning'), error: count('error'), skipped: count('skipped') };
}

/** Lines, without a line feed at the end. */
export function diagnosisText(results: readonly CheckResult[]): string {
  const lines: string[] = [];
  let heading = '';
  for (const result of results) {
    const { connector, server, status, title, finding, advice } = result;
    const under = [connector, server].filter((part) => part !== undefined).join(', ');
    if (under !== heading && under !== '') lines.push(...(lines.length === 0 ? [] : ['']), under);
    heading = under;
    lines.push(`${MARKS[status].padEnd(MARK_WIDTH)}${title}: ${oneLine(finding)}`);
    if (advice !== undefined) lines.push(`${' '.repeat(MARK_WIDTH)}-> ${oneLine(advice)}`);
  }
  const { warning, error } = tally(results);
  lines.push(
    '',
    error + warning === 0 ? 'All is well.' : `${counted(error, 'error')}, ${counted(warning, 'warning')}.`,
  );
  return lines.join('\n');
}

const counted = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;

/** What a directory or a tenant has written shall not steer the terminal that it is shown on. */
export const oneLine = (text: string): string =>
  text.replaceAll(/\s*[\r\n\t]+\s*/g, ' ').replaceAll(/\p{Cc}/gu, '\ufffd');
