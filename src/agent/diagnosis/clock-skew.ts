/** How far apart the agent's clock and another one are, and what that means. */

import { Client } from 'ldapts';
import { type CheckId, type CheckResult, durationText, failure, ok, type Subject, warning } from './check.js';

/** Kerberos refuses tickets beyond it (RFC 4120, 10; Active Directory's default). */
const MOST_MS = 5 * 60_000;
const NOTICEABLE_MS = 60_000;

/** `agent`: the agent's time when the other clock was read, which showed `other`; milliseconds since 1970. */
export function judgeSkew(id: CheckId, agent: number, other: number, whose: string, of: Subject = {}): CheckResult {
  const skew = agent - other;
  const facts = { skewSeconds: Math.round(skew / 1000) };
  if (Math.abs(skew) < NOTICEABLE_MS)
    return ok(id, `within ${Math.ceil(Math.abs(skew) / 1000)} s of ${whose}`, facts, of);
  const text = `the clock of this machine is ${durationText(skew)} ${skew > 0 ? 'ahead of' : 'behind'} that of ${whose}`;
  const advice = `Correct the clock that is wrong; let both machines follow a time server (timedatectl set-ntp true; w32tm /resync).`;
  return Math.abs(skew) < MOST_MS
    ? warning(id, text, advice, facts, of)
    : failure(
        id,
        `${text}: more than the 5 minutes that Kerberos tolerates, and certificates may seem to have ended`,
        advice,
        facts,
        of,
      );
}

/**
 * A domain controller's time, by the rootDSE's currentTime, which anybody may read (MS-ADTS 3.1.1.3.2.5).
 * Undefined where port 389 does not answer: replication needs none.
 */
export async function directoryTime(host: string, timeoutMs: number): Promise<number | undefined> {
  const name = host.includes(':') ? `[${host}]` : host;
  const client = new Client({ url: `ldap://${name}:389`, timeout: timeoutMs, connectTimeout: timeoutMs });
  try {
    const { searchEntries } = await client.search('', {
      scope: 'base',
      filter: '(objectClass=*)',
      attributes: ['currentTime'],
    });
    return generalizedTime(String(searchEntries[0]?.currentTime ?? ''));
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw error;
    return undefined;
  } finally {
    // A connection that never came up cannot be unbound.
    await client.unbind().catch(() => undefined);
  }
}

/** `20261122070625.0Z` (X.680 46) as milliseconds since 1970. */
export function generalizedTime(text: string): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:[.,]\d+)?Z$/.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
