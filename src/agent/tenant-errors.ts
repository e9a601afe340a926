/** What a failure of the tenant means for the one who runs the agent: advice, events, the fields of Entra Connect's events. */

import { PhsyncError } from '../hasher/errors.js';
import type { EventFields, EventSink } from './events/event.js';

/** What to do about an error that waiting does not cure, by its code. */
const ADVICE: Readonly<Record<string, string>> = {
  'provisioning-access-denied':
    'The agent is known there and may not synchronize: give the client of tenant.auth the right to (in tenant.yaml ' +
    'it stands under `agents`)',
  'token-refused': 'Check clientId and clientSecret of tenant.auth',
  'provisioning-not-activated':
    'Enable password hash synchronization in the tenant; nothing is sent until then, and what changes is not lost',
};

/** The codes with which access was denied: event 115. */
const DENIED: ReadonlySet<string> = new Set(['provisioning-access-denied', 'token-refused']);

/** The error with what to do about it in its message, where that is known. */
export function withAdvice(error: unknown): unknown {
  const advice = error instanceof PhsyncError ? ADVICE[error.code] : undefined;
  if (!(error instanceof PhsyncError) || advice === undefined) return error;
  return new PhsyncError(error.code, `${error.message}. ${advice}`, {
    cause: error.cause ?? error,
    facts: error.facts,
  });
}

/** Event 115 where access was denied. */
export function reportRefusal(error: PhsyncError, events: EventSink): void {
  if (DENIED.has(error.code)) events.emit(115, { ...errorFields(error), message: error.message });
}

/** The fields that events 652 and 655 carry. */
export function errorFields(error: unknown): EventFields {
  if (!(error instanceof PhsyncError)) return { code: error instanceof Error ? error.name : 'unknown' };
  const { errorCode, trackingId, serverName } = error.facts;
  return { code: error.code, errorCode, errorDescription: error.message, trackingId, serverName };
}
