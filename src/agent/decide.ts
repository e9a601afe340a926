/** What one replicated object asks for, given what the agent remembers of it. Pure: no clock, no I/O. */

import { guidFromText } from '../protocol/dtyp/guid.js';
import { decidePassword, type PasswordDecision } from './decide-password.js';
import type { Decision, DecisionContext, Peer, Refusal } from './decision.js';
import type { DirectoryObject } from './source.js';
import { type ObjectRow, Outcome, RowFlag } from './state/rows.js';
import { accountExpiry, dnDigestOf, fingerprintOf, isDisabled, sourceAnchorOf } from './user-properties.js';

const PASS: Decision = { kind: 'pass', inScope: false };
const UNCHANGED: Decision = { kind: 'pass', inScope: true };
const FETCH: Decision = { kind: 'fetch' };

export function decide(object: DirectoryObject, row: ObjectRow | undefined, context: DecisionContext): Decision {
  if (object.deleted) return removal(object, row, undefined, context.recovering, context);
  if (object.objectClass !== undefined) return decideWhole(object, row, context);
  // Without a RID it is no account; a read object without a class is one that we may not see.
  if (object.rid === 0 || context.fetched) return PASS;
  if (row === undefined) return FETCH;
  if ((row.flags & RowFlag.inScope) === 0) {
    const misplaced = (row.flags & RowFlag.misplaced) !== 0;
    // In the retry queue it may be for a change that could not be read.
    const mayHaveChanged = describesUser(object) || context.force;
    if (misplaced ? context.scope.placed(object.dn) : mayHaveChanged) return FETCH;
    return removal(object, row, row, misplaced && context.recovering, context);
  }
  if (!context.scope.placed(object.dn)) {
    return removal(object, row, { ...OUTSIDE, flags: RowFlag.misplaced }, false, context);
  }
  if (context.force || describesUser(object) || row.cloudAnchor === null || row.dnDigest !== dnDigestOf(object.dn)) {
    return FETCH;
  }
  const accountExpires = accountExpiry(object, row);
  if (expiredFlag(accountExpires, context) !== (row.flags & RowFlag.expired)) return FETCH;
  const after = accountExpires === row.accountExpires ? row : { ...row, accountExpires };
  const password = decidePassword(object, row, after, context, undefined);
  return password.kind === 'fetch' ? FETCH : combine(row, false, password, undefined);
}

function decideWhole(object: DirectoryObject, row: ObjectRow | undefined, context: DecisionContext): Decision {
  const { scope, domain } = context;
  const why = scope.why(object);
  if (why === 'nameless' && !context.fetched) return FETCH;
  if (why !== undefined) {
    // The DN alone keeps them out, and another DN, which shows in no attribute, may bring them in.
    const misplaced = why === 'organizational-unit' || why === 'conflict';
    const after = misplaced ? { ...OUTSIDE, flags: RowFlag.misplaced } : OUTSIDE;
    const mayBeThere = context.recovering && why !== 'class' && why !== 'system-account';
    // Contacts, containers and the like can never have a password: their changes are told apart without memory.
    return removal(object, row, object.rid === 0 ? undefined : after, mayBeThere, context);
  }
  const anchor = anchorFor(object, row);
  const peer = context.peer?.(anchor.bytes, object.guid);
  const accountExpires = accountExpiry(object, row);
  const expired = expiredFlag(accountExpires, context);
  const disabled = isDisabled(object) ? RowFlag.disabled : 0;
  const passwordOff = scope.sendsPassword(object) ? 0 : RowFlag.passwordOff;
  const kept = (row?.flags ?? 0) & (RowFlag.mustChange | RowFlag.withheld | RowFlag.forced);
  const changed = anchor.refusal === undefined ? 0 : RowFlag.anchorChanged;
  const fingerprint = fingerprintOf(object, domain, disabled === 0 && expired === 0);
  const after: ObjectRow = {
    cloudAnchor: row?.cloudAnchor ?? null,
    flags: kept | RowFlag.inScope | expired | disabled | passwordOff | changed,
    fingerprint,
    dnDigest: dnDigestOf(object.dn),
    passwordVersion: row?.passwordVersion ?? null,
    passwordChanged: row?.passwordChanged ?? null,
    outcome: row?.outcome ?? Outcome.none,
    sourceAnchor: anchor.bytes,
    accountExpires,
    keysVersion: row?.keysVersion ?? null,
  };
  if (peer !== undefined && (peer.own || (disabled !== 0 && !peer.disabled))) return standAside(after, row, peer);
  // What is looked at now and then for the anchor's sake was sent before.
  const again = context.full || (context.force && (changed === 0 || ((row?.flags ?? 0) & changed) === 0));
  const provision = again || row === undefined || row.cloudAnchor === null || row.fingerprint !== fingerprint;
  const password = decidePassword(object, row, after, again ? context : { ...context, force: false }, peer);
  return password.kind === 'fetch' ? FETCH : combine(row, provision, password, anchor.refusal);
}

function combine(
  row: ObjectRow | undefined,
  provision: boolean,
  password: Exclude<PasswordDecision, { kind: 'fetch' }>,
  anchorRefusal: Refusal | undefined,
): Decision {
  const { row: next, send } = password;
  const refusal = anchorRefusal ?? password.refusal;
  if (provision || send !== undefined) {
    const credential = send !== undefined;
    const { forceChange, pwdLastSetOnly } = send ?? NOTHING_SENT;
    return { kind: 'sync', provision, credential, forceChange, pwdLastSetOnly, row: next, refusal };
  }
  if (refusal === undefined && same(next, row)) return UNCHANGED;
  return { kind: 'remember', row: next, inScope: true, refusal };
}

const NOTHING_SENT = { forceChange: false, pwdLastSetOnly: false };

/**
 * The source anchor: mS-DS-ConsistencyGuid where it is set, else objectGUID (`bytes` null). One that the tenant was
 * told stays: Entra's sourceAnchor is immutable.
 */
function anchorFor(
  object: DirectoryObject,
  row: ObjectRow | undefined,
): { readonly bytes: Uint8Array | null; readonly refusal: Refusal | undefined } {
  const { consistencyGuid } = object;
  const bytes =
    consistencyGuid === undefined ||
    consistencyGuid.length === 0 ||
    sameBytes(consistencyGuid, guidFromText(object.guid))
      ? null
      : consistencyGuid;
  if (row === undefined || row.cloudAnchor === null || sameBytes(bytes, row.sourceAnchor)) {
    return { bytes, refusal: undefined };
  }
  const text = (anchor: Uint8Array | null) => sourceAnchorOf(anchor ?? guidFromText(object.guid));
  return {
    bytes: row.sourceAnchor,
    refusal: {
      outcome: Outcome.anchorChanged,
      code: 'source-anchor-changed',
      reason:
        `mS-DS-ConsistencyGuid makes the source anchor ${text(bytes)}, and the tenant knows the user as ` +
        `${text(row.sourceAnchor)}: a source anchor is immutable and the change is not followed`,
      lasting: true,
    },
  };
}

/** The tenant's user is somebody else's: another object of this directory, or an enabled account of another's. */
function standAside(after: ObjectRow, row: ObjectRow | undefined, peer: Peer): Decision {
  if (peer.own) {
    const refusal: Refusal = {
      outcome: Outcome.error,
      code: 'source-anchor-taken',
      reason: `another object of this directory has the source anchor ${sourceAnchorOf(after.sourceAnchor ?? peer.guid)}`,
      lasting: true,
    };
    return { kind: 'remember', row: { ...after, cloudAnchor: null, fingerprint: null }, inScope: true, refusal };
  }
  const { cloudAnchor } = peer;
  const aside = { ...after, cloudAnchor, fingerprint: null, outcome: Outcome.heldElsewhere };
  return same(aside, row) ? UNCHANGED : { kind: 'remember', row: aside, inScope: true };
}

function expiredFlag(accountExpires: number | null, { disableExpired, now }: DecisionContext): number {
  return disableExpired && accountExpires !== null && accountExpires <= now ? RowFlag.expired : 0;
}

/**
 * The object is no (longer a) user of the tenant's. `after`: what to remember of it; `mayBeThere`: delete it in the
 * tenant even where the state does not know it. Whom another connector still holds stays, and is that one's.
 */
function removal(
  object: DirectoryObject,
  row: ObjectRow | undefined,
  after: ObjectRow | undefined,
  mayBeThere: boolean,
  context: DecisionContext,
): Decision {
  const wasInScope = row !== undefined && (row.cloudAnchor !== null || (row.flags & RowFlag.inScope) !== 0);
  if (wasInScope || mayBeThere) {
    const handOver = context.peer?.(row?.sourceAnchor ?? null, object.guid);
    if (handOver !== undefined) return { kind: 'remember', row: after, inScope: false, handOver };
    return { kind: 'delete', row: after };
  }
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
  keysVersion: null,
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
    object.isCriticalSystemObject !== undefined ||
    object.consistencyGuid !== undefined ||
    object.adminDescription !== undefined ||
    object.attributes !== undefined
  );
}

function same(a: ObjectRow | undefined, b: ObjectRow | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a === b ||
    (a.cloudAnchor === b.cloudAnchor &&
      a.flags === b.flags &&
      a.dnDigest === b.dnDigest &&
      a.passwordVersion === b.passwordVersion &&
      a.passwordChanged === b.passwordChanged &&
      a.outcome === b.outcome &&
      a.fingerprint === b.fingerprint &&
      a.accountExpires === b.accountExpires &&
      a.keysVersion === b.keysVersion &&
      sameBytes(a.sourceAnchor, b.sourceAnchor))
  );
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === b || (a !== null && b !== null && Buffer.compare(a, b) === 0);
}
