/** A batch of opened changes into the managed domain, and what becomes of each: counted, told, and tried again where it fails. */

import type { Logger } from 'pino';
import type { Counts } from './observer.js';
import type { OpenedChange } from './open-batch.js';
import type { Failure } from './state/store.js';
import type { AppliedChange, ApplyOptions, ManagedChange, ManagedDomainWriter, Outcome } from './writer.js';

export interface BatchOptions extends ApplyOptions {
  readonly writer: ManagedDomainWriter;
  /** How often an object was tried in vain. */
  readonly attempts: (objectId: string) => number;
  /** Counted up. */
  readonly counts: Counts;
  readonly log: Logger;
}

/** objectIds, in small letters. */
export interface BatchResult {
  readonly seen: readonly string[];
  readonly gone: readonly string[];
  readonly done: readonly string[];
  readonly failed: readonly Failure[];
  /** Users whose blobs came without digests to check them by. */
  readonly unchecked: number;
}

const FIRST_RETRY_MS = 30_000;
const LONGEST_RETRY_MS = 3_600_000;
const DISPLACED = {
  code: 'managed-domain-displaced',
  reason: 'another user has by now the userPrincipalName or account name that this one had',
  retryAfterMs: FIRST_RETRY_MS,
};

/**
 * One failing change keeps no other from its place. @throws PhsyncError `managed-domain-…` where nothing can be written now:
 * the domain controller as a whole
 */
export async function applyBatch(batch: readonly OpenedChange[], options: BatchOptions): Promise<BatchResult> {
  const { writer, dryRun = false } = options;
  const outcomes = await writer.apply(
    batch.map(({ change }) => change),
    { dryRun },
  );
  const unchecked = batch.filter(({ isUnchecked }) => isUnchecked).length;
  const result = {
    seen: [] as string[],
    gone: [] as string[],
    done: [] as string[],
    failed: [] as Failure[],
    unchecked,
  };
  for (const [i, outcome] of outcomes.entries()) settle(batch[i]!, outcome, result, options);
  for (const [i, outcome] of outcomes.entries()) {
    if ('error' in outcome) continue;
    // Who comes behind it in the batch is what it should be by then.
    const behind = new Set(batch.slice(i + 1).map(({ change }) => idOf(change)));
    for (const objectId of outcome.displaced ?? []) {
      if (!behind.has(objectId)) result.failed.push({ objectId, ...DISPLACED });
    }
  }
  return result;
}

const idOf = (change: ManagedChange): string => (change.kind === 'user' ? change.user.objectId : change.objectId);

function settle(
  { change, unopened, changeDate }: OpenedChange,
  outcome: Outcome,
  result: { seen: string[]; gone: string[]; done: string[]; failed: Failure[] },
  options: BatchOptions,
): void {
  const objectId = idOf(change);
  const { counts } = options;
  // Also of a user whose change was not taken: it is in the tenant.
  (change.kind === 'user' ? result.seen : result.gone).push(objectId);
  if ('error' in outcome) {
    const { code, message } = outcome.error;
    const retryAfterMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(options.attempts(objectId), 20), LONGEST_RETRY_MS);
    counts.failed += 1;
    result.failed.push({ objectId, code: `managed-domain-${code}`, reason: message, retryAfterMs });
    return;
  }
  count(outcome, counts);
  if (options.dryRun) rehearsed(objectId, outcome, changeDate, options.log);
  else tell(objectId, outcome, changeDate, options.log);
  const problem = unopened ?? passwordProblem(outcome);
  if (problem === undefined) result.done.push(objectId);
  else {
    counts.failed += 1;
    // Neither a second look at it nor time helps: another key, or the next password.
    result.failed.push({ objectId, code: problem.code, reason: problem.message, retryAfterMs: undefined });
  }
}

function passwordProblem({ passwordError }: AppliedChange): { code: string; message: string } | undefined {
  return passwordError && { code: `managed-domain-${passwordError.code}`, message: passwordError.message };
}

const PASSWORDS = { written: 'passwordsWritten', unchanged: 'passwordsUnchanged', older: 'passwordsOlder' } as const;

function count({ result, password }: AppliedChange, counts: Counts): void {
  if (result !== 'absent') counts[result] += 1;
  if (password !== undefined) counts[PASSWORDS[password]] += 1;
}

/** What was not done, and would be. */
function rehearsed(
  objectId: string,
  { result, samAccountName, changed, password }: AppliedChange,
  changeDate: string | undefined,
  log: Logger,
): void {
  const facts = { objectId, samAccountName };
  if (result === 'created') log.info({ event: 'would-create', ...facts }, 'a user would be made');
  if (result === 'updated') log.info({ event: 'would-change', ...facts, changed }, 'a user would be changed');
  if (password === 'written') log.info({ event: 'would-write-password', ...facts, changeDate }, 'it would be written');
}

function tell(
  objectId: string,
  { result, samAccountName, changed, password, notes }: AppliedChange,
  changeDate: string | undefined,
  log: Logger,
): void {
  const facts = { objectId, samAccountName };
  if (result === 'created') log.info({ event: 'user-created', ...facts }, 'a user was made');
  if (result === 'updated') log.info({ event: 'user-changed', ...facts, changed }, 'a user was changed');
  if (password === 'written') log.info({ event: 'password-written', ...facts, changeDate }, 'a password was written');
  if (result === 'deleted') log.info({ event: 'user-deleted', objectId }, 'a user was deleted');
  if (password === 'older') {
    log.warn({ event: 'older-password', ...facts }, 'the domain has a later password than the tenant: it stays');
  }
  if (result === 'created' && notes.includes('sid-left-out')) {
    log.warn({ event: 'sid-left-out', ...facts }, 'the SID of the first domain cannot become sIDHistory here');
  }
}

/** To be said once: it is the tenant's version, no user's fault. */
export function tellUnchecked(log: Logger): void {
  log.warn(
    { event: 'feed-without-digests' },
    'the tenant gives no digests of what is sealed: it is of a version before them, and a blob that was altered in its store may ' +
      'be found out by its format alone, which cannot tell each byte; bring the tenant up to date',
  );
}

/** For the log. */
export function describeFailure({ objectId, code, reason, retryAfterMs }: Failure): [object, string] {
  const event = code.startsWith('ad-auth-info-') ? 'credentials-not-opened' : 'user-not-written';
  const next = retryAfterMs === undefined ? 'it waits in the queue for another key or password' : 'it is tried again';
  return [{ event, objectId, code, retryAfterMs }, `${reason}; ${next}`];
}
