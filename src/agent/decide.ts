/** What one replicated object asks for, given what the agent remembers of it. Pure: no clock, no I/O. */

import type { Scope } from './scope.js';
import type { DirectoryObject } from './source.js';
import { type ObjectRow, Outcome, RowFlag } from './state/rows.js';
import { type Domain, dnDigestOf, fingerprintOf } from './user-properties.js';

export interface DecisionContext {
  readonly scope: Scope;
  readonly domain: Domain;
  /** Send user and password even where the tenant acknowledged both: a full synchronization, or a retry. */
  readonly force: boolean;
  /**
   * The last cycle was cut off, or the object waits in the retry queue: the tenant may hold the user, though the state
   * knows nothing of it yet.
   */
  readonly recovering: boolean;
  /** The object was read on its own and is whole; asking again would give no more. */
  readonly fetched: boolean;
}

export type Decision =
  /** Nothing to do and nothing to remember. */
  | { readonly kind: 'pass'; readonly inScope: boolean }
  /** The page has only a part of what is needed: read the object on its own. */
  | { readonly kind: 'fetch' }
  /** `row`: to be stored as it is; undefined: to be forgotten. */
  | { readonly kind: 'remember'; readonly row: ObjectRow | undefined; readonly inScope: boolean }
  | { readonly kind: 'delete'; readonly row: ObjectRow | undefined }
  /** `row` is what holds once all of it was acknowledged. */
  | { readonly kind: 'sync'; readonly provision: boolean; readonly credential: boolean; readonly row: ObjectRow };

const PASS: Decision = { kind: 'pass', inScope: false };
const UNCHANGED: Decision = { kind: 'pass', inScope: true };
const FETCH: Decision = { kind: 'fetch' };

export function decide(object: DirectoryObject, row: ObjectRow | undefined, context: DecisionContext): Decision {
  if (object.deleted) return removal(row, undefined, context.recovering);
  if (object.objectClass !== undefined) return decideWhole(object, row, context);
  // Without a RID it is no account; a read object without a class is one that we may not see.
  if (object.rid === 0 || context.fetched) return PASS;
  if (row === undefined) return FETCH;
  if ((row.flags & RowFlag.inScope) === 0) {
    const misplaced = (row.flags & RowFlag.misplaced) !== 0;
    if (misplaced ? context.scope.placed(object.dn) : describesUser(object)) return FETCH;
    return removal(row, row, misplaced && context.recovering);
  }
  if (!context.scope.placed(object.dn)) {
    return removal(row, { ...OUTSIDE, flags: RowFlag.misplaced }, false);
  }
  if (context.force || describesUser(object) || row.cloudAnchor === null || row.dnDigest !== dnDigestOf(object.dn)) {
    return FETCH;
  }
  return withPassword(object, row, row, false, context);
}

function decideWhole(object: DirectoryObject, row: ObjectRow | undefined, context: DecisionContext): Decision {
  const why = context.scope.why(object);
  if (why === 'nameless' && !context.fetched) return FETCH;
  if (why !== undefined) {
    // The DN alone keeps them out, and another DN, which shows in no attribute, may bring them in.
    const misplaced = why === 'organizational-unit' || why === 'conflict';
    const after = misplaced ? { ...OUTSIDE, flags: RowFlag.misplaced } : OUTSIDE;
    const mayBeThere = context.recovering && why !== 'class' && why !== 'system-account';
    // Contacts, containers and the like can never have a password: their changes are told apart without memory.
    return removal(row, object.rid === 0 ? undefined : after, mayBeThere);
  }
  const fingerprint = fingerprintOf(object, context.domain);
  const provision = context.force || row === undefined || row.cloudAnchor === null || row.fingerprint !== fingerprint;
  const after: ObjectRow = {
    cloudAnchor: row?.cloudAnchor ?? null,
    flags: ((row?.flags ?? 0) & RowFlag.mustChange) | RowFlag.inScope,
    fingerprint,
    dnDigest: dnDigestOf(object.dn),
    passwordVersion: row?.passwordVersion ?? null,
    passwordChanged: row?.passwordChanged ?? null,
    outcome: row?.outcome ?? Outcome.none,
    sourceAnchor: row?.sourceAnchor ?? null,
    accountExpires: row?.accountExpires ?? null,
  };
  return withPassword(object, row, after, provision, context);
}

/** `after` is the row with everything but the password decided. */
function withPassword(
  object: DirectoryObject,
  row: ObjectRow | undefined,
  after: ObjectRow,
  provision: boolean,
  context: DecisionContext,
): Decision {
  let { flags } = after;
  if (object.pwdLastSet !== undefined) {
    flags = object.pwdLastSet === 0n ? flags | RowFlag.mustChange : flags & ~RowFlag.mustChange;
  }
  const mustChange = (flags & RowFlag.mustChange) !== 0;
  const done = (outcome: ObjectRow['outcome'], credential: boolean): Decision => {
    const changed = flags !== after.flags || outcome !== after.outcome;
    const next = changed ? { ...after, flags, outcome } : after;
    if (provision || credential) return { kind: 'sync', provision, credential, row: next };
    return same(next, row) ? UNCHANGED : { kind: 'remember', row: next, inScope: true };
  };
  if (object.unicodePwd === undefined) {
    // The flag was taken back without a new password: the one that was held back may go now.
    if (!mustChange && after.outcome === Outcome.filteredByTarget && !context.fetched) return FETCH;
    return done(after.outcome, false);
  }
  if (object.unicodePwd.length === 0) return done(Outcome.noPassword, false);
  if (object.pwdLastSet === undefined && row === undefined && !context.fetched) return FETCH;
  if (mustChange) return done(Outcome.filteredByTarget, false);
  if (!context.force && !isNewer(object, row)) return done(Outcome.success, false);
  const credentialRow: ObjectRow = {
    ...after,
    flags,
    passwordVersion: object.passwordVersion ?? null,
    passwordChanged: timeToSend(object, row),
    outcome: Outcome.success,
  };
  return { kind: 'sync', provision, credential: true, row: credentialRow };
}

/** The DC's order: version, then originating time. Without metadata nothing can be said, and the password is sent. */
function isNewer(object: DirectoryObject, row: ObjectRow | undefined): boolean {
  const { passwordVersion: version, passwordChanged: changed } = object;
  if (row === undefined || row.passwordVersion === null || version === undefined) return true;
  if (version !== row.passwordVersion) return version > row.passwordVersion;
  return changed === undefined || row.passwordChanged === null || changed.getTime() > row.passwordChanged;
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

/**
 * The object is no (longer a) user of the tenant's. `after`: what to remember of it; `mayBeThere`: delete it in the
 * tenant even where the state does not know it.
 */
function removal(row: ObjectRow | undefined, after: ObjectRow | undefined, mayBeThere: boolean): Decision {
  const wasInScope = row !== undefined && (row.cloudAnchor !== null || (row.flags & RowFlag.inScope) !== 0);
  if (wasInScope || mayBeThere) return { kind: 'delete', row: after };
  return same(row, after) ? PASS : { kind: 'remember', row: after, inScope: false };
}

/** An object outside is judged anew whenever it comes: its place and password need no memory. */
const OUTSIDE: ObjectRow = {
  cloudAnchor: null,
  flags: 0,
  fingerprint: null,
  dnDigest: 0,
  passwordVersion: null,
  passwordChanged: null,
  outcome: Outcome.none,
  sourceAnchor: null,
  accountExpires: null,
};

/** True where the page carries anything that `userProperties` sends or the scope asks for. */
function describesUser(object: DirectoryObject): boolean {
  return (
    object.sAMAccountName !== undefined ||
    object.userPrincipalName !== undefined ||
    object.displayName !== undefined ||
    object.givenName !== undefined ||
    object.sn !== undefined ||
    object.mail !== undefined ||
    object.userAccountControl !== undefined ||
    object.isCriticalSystemObject !== undefined
  );
}

function same(a: ObjectRow | undefined, b: ObjectRow | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.cloudAnchor === b.cloudAnchor &&
    a.flags === b.flags &&
    a.dnDigest === b.dnDigest &&
    a.passwordVersion === b.passwordVersion &&
    a.passwordChanged === b.passwordChanged &&
    a.outcome === b.outcome &&
    a.fingerprint === b.fingerprint
  );
}
