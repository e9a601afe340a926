/** The audit log in the tenant's database: one row an administrative act. */

import { randomUUID } from 'node:crypto';
import type { Queries, TenantDatabase } from '../store/database.js';
import type { AuditEntry, AuditLog } from './types.js';

/** Longer texts are cut: a name or a reason that somebody sent must not fill the disk. */
const MAX_TEXT = 1024;
const MAX_DETAILS = 16 * 1024;

/** PostgreSQL's text has no NUL. */
const line = (text: string) => text.slice(0, MAX_TEXT).replaceAll('\0', '\ufffd');
const lineOrNull = (text: string | undefined) => (text === undefined ? null : line(text));

/** JSON of the changed properties; where they are too long, a word that says so. */
function detailsOf(details: AuditEntry['details']): string {
  const json = JSON.stringify(details ?? {});
  return json.length > MAX_DETAILS ? '{"truncated":true}' : json;
}

export function createAuditLog(database: TenantDatabase, now: () => Date): AuditLog {
  const insert = async (queries: Queries, entry: AuditEntry) => {
    const { actor, activity, category, target, result, reason, details, correlationId } = entry;
    await queries
      .insertInto('audit_events')
      .values({
        audit_id: randomUUID(),
        at: now().getTime(),
        actor_kind: actor.kind,
        actor_id: line(actor.id),
        activity,
        category,
        target_kind: target.kind,
        target_id: line(target.id),
        target_name: lineOrNull(target.name),
        result,
        reason: lineOrNull(reason),
        details: detailsOf(details),
        correlation_id: lineOrNull(correlationId),
      })
      .execute();
  };
  return {
    record: (entry, within) =>
      within === undefined ? database.run((queries) => insert(queries, entry)) : insert(within, entry),
  };
}
