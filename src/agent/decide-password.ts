/** Whether an object's password goes to the tenant, how it is marked, and what is remembered of it. Pure. */

import type { DecisionContext, Peer, Refusal } from './decision.js';
import type { DirectoryObject } from './source.js';
import { type ObjectRow, Outcome, type OutcomeCode, RowFlag } from './state/rows.js';

/** Longer than replication between sites takes: three hours are its default. */
export const REPLICATED_AFTER_MS = 6 * 3_600_000;
/**
 * An older version with a newer time that still stands there after it is no conflict which replication would settle, but
 * a directory that was restored.
 */
export const RESTORED_AFTER_MS = REPLICATED_AFTER_MS;

export type PasswordDecision =
  | { readonly kind: 'fetch' }
  | {
      readonly kind: 'done';
      readonly row: ObjectRow;
      /** Undefined: no credential. */
      readonly send: { readonly forceChange: boolean; readonly pwdLastSetOnly: boolean } | undefined;
      readonly refusal: Refusal | undefined;
    };

const FETCH: PasswordDecision = { kind: 'fetch' };

/** `after` is the row with everything but the password decided; `row` the one that is stored. */
export function decidePassword(
  object: DirectoryObject,
  row: ObjectRow | undefined,
  after: ObjectRow,
  context: DecisionContext,
  peer: Peer | undefined,
): PasswordDecision {
  let { flags } = after;
  if (object.pwdLastSet !== undefined) {
    flags = object.pwdLastSet === 0n ? flags | RowFlag.mustChange : flags & ~RowFlag.mustChange;
  }
  const { unicodePwd } = object;
  const mustChange = (flags & RowFlag.mustChange) !== 0;
  const forceChange = mustChange && context.forceChange;
  const barred = barredBy(flags, forceChange);
  const inTenant = after.passwordVersion !== null || after.passwordChanged !== null;
  /** The tenant has the password, but not as it should be marked; or 0 was set once more. */
  const marked =
    inTenant &&
    (((flags & RowFlag.forced) !== 0) !== forceChange ||
      (forceChange &&
        (context.pwdLastSetCame || (object.objectClass === undefined && object.pwdLastSet !== undefined))));

  if (unicodePwd === undefined) {
    if (barred !== undefined) return done(after, flags, after.outcome === Outcome.noPassword ? after.outcome : barred);
    // What held it back is gone, the mark differs, or there are other keys: it takes the envelope to send the password.
    const otherKeys = inTenant && object.supplementalCredentials !== undefined && hasOtherKeys(object, after, context);
    if (!context.fetched && ((flags & RowFlag.withheld) !== 0 || marked || otherKeys)) return FETCH;
    return done(after, flags, released(after.outcome));
  }
  if (unicodePwd.length === 0) return done(after, flags & ~(RowFlag.withheld | RowFlag.forced), Outcome.noPassword);
  if (object.pwdLastSet === undefined && row === undefined && !context.fetched) return FETCH;

  const order = orderOf(object, row, peer);
  if (barred !== undefined) {
    const waits = order === 'newer' || order === 'conflict';
    return done(after, waits ? flags | RowFlag.withheld : flags & ~RowFlag.withheld, barred);
  }
  const isBack = order === 'older' || order === 'conflict';
  const restored =
    (isBack && context.full && context.settledInPass?.(object.guid) !== true) ||
    (order === 'conflict' && isSettled(object, context.now));
  if (!restored && order === 'conflict') return done(after, flags, after.outcome, conflict(object, row!));
  const newer = order === 'newer' || restored;
  const showsKeys = showsAllKeys(object, context);
  const otherKeys = order === 'same' && showsKeys && hasOtherKeys(object, after, context);
  if (!newer && !((context.force || marked || otherKeys) && order === 'same')) {
    const { outcome } = after;
    const isSettled = outcome === Outcome.missingAttribute && context.domainServices !== undefined;
    return done(after, flags & ~RowFlag.withheld, isSettled ? outcome : Outcome.success);
  }
  if (!showsKeys) return FETCH;
  flags = forceChange ? flags | RowFlag.forced : flags & ~RowFlag.forced;
  return {
    kind: 'done',
    row: {
      ...after,
      flags: flags & ~RowFlag.withheld,
      passwordVersion: object.passwordVersion ?? null,
      passwordChanged: timeToSend(object, row),
      outcome: Outcome.success,
      keysVersion: context.domainServices === undefined ? null : keysVersionOf(object, context),
    },
    send: { forceChange, pwdLastSetOnly: !newer && !context.force && !otherKeys },
    refusal: undefined,
  };
}

/** Whether what the object has of supplementalCredentials is all that there is. A changed password need not change it. */
function showsAllKeys(object: DirectoryObject, { domainServices, fetched }: DecisionContext): boolean {
  if (domainServices === undefined || !domainServices.kerberos || fetched) return true;
  return object.supplementalCredentials !== undefined || object.objectClass !== undefined;
}

/** Domain Services want keys that did not go with the password: it went without, or they alone have changed since. */
function hasOtherKeys(object: DirectoryObject, { keysVersion }: ObjectRow, context: DecisionContext): boolean {
  return context.domainServices !== undefined && (keysVersion === null || keysVersionOf(object, context) > keysVersion);
}

function keysVersionOf({ supplementalVersion }: DirectoryObject, { domainServices }: DecisionContext): number {
  return domainServices?.kerberos ? (supplementalVersion ?? 0) : 0;
}

function barredBy(flags: number, forceChange: boolean): OutcomeCode | undefined {
  if ((flags & RowFlag.passwordOff) !== 0) return Outcome.filteredByRule;
  return (flags & RowFlag.mustChange) !== 0 && !forceChange ? Outcome.filteredByTarget : undefined;
}

/** Nothing holds the password back any more, and the tenant has it. */
function released(outcome: OutcomeCode): OutcomeCode {
  return outcome === Outcome.filteredByTarget || outcome === Outcome.filteredByRule ? Outcome.success : outcome;
}

function done(after: ObjectRow, flags: number, outcome: OutcomeCode, refusal?: Refusal): PasswordDecision {
  const row = flags === after.flags && outcome === after.outcome ? after : { ...after, flags, outcome };
  return { kind: 'done', row, send: undefined, refusal };
}

/**
 * The DC's order: version, then originating time. Without metadata nothing can be said, and the password is sent.
 * Versions of two directories do not compare: between those it is the time alone.
 */
function orderOf(
  { passwordVersion: version, passwordChanged }: DirectoryObject,
  row: ObjectRow | undefined,
  peer: Peer | undefined,
): 'newer' | 'same' | 'older' | 'overtaken' | 'conflict' {
  const changed = passwordChanged?.getTime();
  if (peer !== undefined && peer.passwordChanged !== null && changed !== undefined && changed < peer.passwordChanged) {
    return 'overtaken';
  }
  if (row === undefined || row.passwordVersion === null || version === undefined) return 'newer';
  const later = changed === undefined || row.passwordChanged === null || changed > row.passwordChanged;
  if (version === row.passwordVersion) return later ? 'newer' : 'same';
  if (version > row.passwordVersion) return 'newer';
  return later ? 'conflict' : 'older';
}

function isSettled({ passwordChanged }: DirectoryObject, now: number): boolean {
  return passwordChanged !== undefined && now - passwordChanged.getTime() >= RESTORED_AFTER_MS;
}

function conflict({ passwordVersion }: DirectoryObject, row: ObjectRow): Refusal {
  return {
    outcome: row.outcome,
    code: 'password-order',
    reason:
      `the domain controller shows version ${passwordVersion} of unicodePwd with a later time than version ` +
      `${row.passwordVersion}, which was sent: it has not caught up, or was restored; what stands there after six ` +
      'hours is sent (all at once: phsync agent --once --full)',
    lasting: false,
  };
}

/**
 * The tenant orders by time alone. A version that is newer, from a DC whose clock is behind, must not look older there
 * than what it acknowledged last.
 */
function timeToSend({ passwordChanged }: DirectoryObject, row: ObjectRow | undefined): number | null {
  const time = passwordChanged?.getTime();
  const last = row?.passwordChanged ?? null;
  if (time === undefined || Number.isNaN(time)) return last;
  return last === null ? time : Math.max(time, last);
}
