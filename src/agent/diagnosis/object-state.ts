/** Checks of one object by what the agent's state knows of it: in the tenant, in the retry queue, and its last results. */

import { outcomeNames } from '../state/rows.js';
import { sourceAnchorOf } from '../user-properties.js';
import { type CheckResult, counted, durationText, failure, ok, skipped, timeText, warning } from './check.js';
import type { ObjectUnderTest } from './object-under-test.js';
import { ownershipAdvice } from './refusal.js';

const RESULTS = 10;
const SYNC_OBJECT =
  'Wait for the next cycle, or run phsync sync-object --dn DN, which does it at once and says what comes of it.';

export function checkInTenant({ reader, connector, guid, staging }: ObjectUnderTest, inScope: boolean): CheckResult {
  const of = { connector: connector.name };
  if (staging) return skipped('tenant', 'in staging mode the tenant is told nothing', of);
  if (reader === undefined) return skipped('tenant', 'there is no state that can be read: has an agent run?', of);
  const summary = reader.connector(connector.name);
  const known = reader.object(connector.name, guid);
  const row = known?.row;
  if (row?.cloudAnchor) {
    const { cloudAnchor } = row;
    const sourceAnchor = sourceAnchorOf(row.sourceAnchor ?? guid);
    const facts = { cloudAnchor, sourceAnchor, outcome: outcomeNames[row.outcome], at: iso(known?.settled) };
    if (!inScope) {
      const text = `the user is still in the tenant (${cloudAnchor}) and is deleted there at the next cycle`;
      return warning('tenant', text, SYNC_OBJECT, facts, of);
    }
    return ok('tenant', `${cloudAnchor}, source anchor ${sourceAnchor}`, facts, of);
  }
  if (!inScope) return ok('tenant', 'not there, as it is out of scope', {}, of);
  if (row === undefined) {
    const text =
      summary?.fullSyncAt === undefined
        ? 'not exported yet: the first full synchronization has not ended'
        : 'not exported yet: the agent has not seen the object since it came into scope';
    return failure('tenant', text, SYNC_OBJECT, {}, of);
  }
  const why = reader.retry(connector.name, guid)?.reason ?? outcomeNames[row.outcome];
  return failure(
    'tenant',
    `not exported to the tenant (${outcomeNames[row.outcome]}): ${why}`,
    adviceFor(why, sourceAnchorOf(row.sourceAnchor ?? guid)),
    { outcome: outcomeNames[row.outcome], at: iso(known?.settled) },
    of,
  );
}

/** By what the tenant answered. */
function adviceFor(reason: string, anchor: string): string {
  const ofOwner = ownershipAdvice(reason, anchor);
  if (ofOwner !== undefined) return ofOwner;
  if (/is not a domain of this tenant/.test(reason)) {
    return "Give the user a userPrincipalName of a domain of the tenant's, or add the domain to the tenant.";
  }
  if (/CRC-32|ENCRYPTED_PAYLOAD/.test(reason)) return 'Set the password anew in the directory.';
  return 'Correct what the tenant names; the object is tried again on its own (phsync sync-object: at once).';
}

export function checkRetry({ reader, connector, guid, now }: ObjectUnderTest): CheckResult {
  const of = { connector: connector.name };
  if (reader === undefined) return skipped('object-retry', 'there is no state that can be read', of);
  const waiting = reader.retry(connector.name, guid);
  if (waiting === undefined) return ok('object-retry', 'the object does not wait in it', { waiting: false }, of);
  const { reason, code, attempts, firstFailure, nextTry } = waiting;
  const when = nextTry <= now ? 'at the next cycle' : `on ${timeText(nextTry)}`;
  return warning(
    'object-retry',
    `waits since ${durationText(now - firstFailure)}, ${counted(attempts, 'failure')}, next try ${when}: ${reason}`,
    adviceFor(reason, sourceAnchorOf(reader.object(connector.name, guid)?.row.sourceAnchor ?? guid)),
    { waiting: true, reason, code, attempts, firstFailure: iso(firstFailure), nextTry: iso(nextTry) },
    of,
  );
}

/** The last ten results, in the facts. */
export function checkResults({ reader, connector, guid }: ObjectUnderTest): CheckResult {
  const of = { connector: connector.name };
  const results = reader?.history(connector.name, guid, RESULTS) ?? [];
  const [latest] = results;
  if (latest === undefined) return skipped('results', 'none yet', of);
  const lines = results.map(({ status, at, passwordChanged, reason }) => ({
    status,
    at: iso(at),
    passwordChanged: iso(passwordChanged),
    ...(reason === undefined ? {} : { reason }),
  }));
  const text = results.map(({ status, at, reason }) => `${timeText(at)} ${status}${reason ? ` (${reason})` : ''}`);
  return ok('results', text.join('; '), { results: lines }, of);
}

const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());
