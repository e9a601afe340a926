/** A unit of work: objects of one page, no two of the same GUID, on their way through hasher and tenant. */

import type { OpenAndDeriveBatchResult } from '../hasher/types.js';
import { DIGEST_SIZE, EnvelopeStatus, type Hasher, SALT_SIZE } from '../hasher/types.js';
import type { LegacySealer } from '../provisioning/legacy-sealer.js';
import {
  type AzureADSyncObject,
  CredentialResult,
  type SyncCredentialsChangeItem,
  type SyncOperation,
} from '../provisioning/types.js';
import { refusedKeys, sealKeys, withoutKeys } from './domain-services/seal-unit.js';
import type { WantedKeys } from './domain-services/standing.js';
import type { EventSink } from './events/event.js';
import { anchorOf, type Item } from './item.js';
import type { Link } from './link.js';
import type { ConnectorState } from './state/connector-state.js';
import { type CycleCounts, type ObjectRow, Outcome, type RetryFailure, RowFlag } from './state/rows.js';
import { type QueueChange, tellCredentials } from './unit-events.js';
import { type Domain, userProperties } from './user-properties.js';

export interface Unit {
  readonly items: readonly Item[];
  readonly sessionKeys: readonly Uint8Array[];
}

/** Opens the envelopes and derives the credentials of all items that send one; undefined where none does. */
export async function deriveUnit(unit: Unit, hasher: Hasher): Promise<OpenAndDeriveBatchResult | undefined> {
  const items = unit.items.filter(sendsCredential);
  if (items.length === 0) return undefined;
  return hasher.openAndDeriveBatch({
    sessionKeys: unit.sessionKeys,
    envelopes: items.map(({ object }) => object.unicodePwd!),
    rids: Uint32Array.from(items, ({ object }) => object.rid),
  });
}

/** Seals the keys of all items that send a password. */
export async function sealUnit(unit: Unit, sealer: () => LegacySealer, wanted: WantedKeys | undefined): Promise<void> {
  if (wanted === undefined) return;
  const items = unit.items.filter(sendsCredential);
  if (items.length === 0) return;
  if (wanted.kind === 'later') {
    for (const item of items) item.keys = withoutKeys(wanted.failure);
    return;
  }
  const objects = items.map(({ object }) => object);
  const keys = await sealKeys(objects, unit.sessionKeys, sealer(), wanted.offer);
  for (const [i, item] of items.entries()) item.keys = keys[i];
}

/** Makes, changes and deletes the unit's users in the tenant. */
export async function provisionUnit(unit: Unit, link: Link, domain: Domain): Promise<void> {
  const items = unit.items.filter(
    ({ decision }) => decision.kind === 'delete' || (decision.kind === 'sync' && decision.provision),
  );
  if (items.length === 0) return;
  const results = await link.provisionObjects(items.map((item) => syncObject(item, domain)));
  for (const [i, item] of items.entries()) {
    const { resultCode, resultErrorDescription, cloudAnchor } = results[i]!;
    if (resultCode === 'Success') {
      item.provisioned = true;
      if (item.decision.kind !== 'sync') {
        item.wasThere = cloudAnchor !== undefined;
        continue;
      }
      item.cloudAnchor = cloudAnchor ?? item.cloudAnchor;
      if (item.cloudAnchor !== null) continue;
      item.failure = {
        outcome: Outcome.targetNotExported,
        reason: 'the tenant took the user and named no CloudAnchor',
        code: 'tenant-no-anchor',
        lasting: false,
      };
    } else {
      const text = resultErrorDescription === undefined ? '' : `: ${resultErrorDescription}`;
      item.failure = {
        outcome: Outcome.targetNotExported,
        reason: `the tenant did not take the user: ${resultCode}${text}`,
        code: `tenant-${resultCode}`,
        lasting: true,
      };
    }
  }
}

/** Sends the derived credentials of all users that the tenant has. `now` stands in where the DC gave no time. */
export async function sendUnit(
  unit: Unit,
  derived: OpenAndDeriveBatchResult | undefined,
  link: Link,
  now: Date,
  events: EventSink,
): Promise<void> {
  if (derived === undefined) return;
  const items: Item[] = [];
  const credentials: SyncCredentialsChangeItem[] = [];
  // Two conversions a unit, then slices, where `formatCredential` would convert twice a user.
  const salts = hex(derived.salts);
  const digests = hex(derived.digests);
  let i = -1;
  for (const item of unit.items) {
    if (!sendsCredential(item)) continue;
    i++;
    const status = derived.status[i]!;
    // A user of whom only the new properties were refused still gets the password.
    if (item.cloudAnchor === null) continue;
    if (status !== EnvelopeStatus.ok) {
      item.failure = { outcome: Outcome.error, ...envelopeFailure(status), lasting: true };
      continue;
    }
    const salt = salts.slice(2 * SALT_SIZE * i, 2 * SALT_SIZE * (i + 1));
    const digest = digests.slice(2 * DIGEST_SIZE * i, 2 * DIGEST_SIZE * (i + 1));
    items.push(item);
    credentials.push({
      changeDate: changeDateOf(item) ?? now,
      cloudAnchor: item.cloudAnchor,
      credentialData: `v1;PPH1_MD4,${salt},${derived.iterations},${digest};`,
      forcePasswordChangeOnLogon: item.decision.kind === 'sync' && item.decision.forceChange,
      sourceAnchor: anchorOf(item),
      windowsLegacyCredentials: item.keys?.legacy,
      windowsSupplementalCredentials: item.keys?.supplemental,
    });
  }
  if (items.length === 0) return;
  const results = await link.provisionCredentials(credentials);
  tellCredentials(items, credentials, results, events);
  for (const [at, item] of items.entries()) {
    const { result, extendedErrorInformation } = results[at]!;
    const text = extendedErrorInformation === undefined ? '' : `: ${extendedErrorInformation}`;
    const keysRefused = result === CredentialResult.invalidWindowsCredentials;
    if (keysRefused) item.keys = refusedKeys(text);
    // An older change than the tenant's is settled: the newer one is there.
    item.acknowledged = keysRefused || result === CredentialResult.success || result === CredentialResult.olderChange;
    if (item.acknowledged) {
      const failure = item.keys?.failure;
      if (failure !== undefined) item.failure ??= { outcome: Outcome.error, ...failure };
      continue;
    }
    const unknown = result === CredentialResult.anchorNotFound;
    item.failure = {
      outcome: unknown ? Outcome.targetNotExported : Outcome.error,
      reason:
        result === CredentialResult.refusedAlone
          ? `the tenant did not take the password${text}`
          : `the tenant did not take the password: result ${result}${text}`,
      code: result === CredentialResult.refusedAlone ? 'tenant-fault' : `tenant-${result}`,
      lasting: result === CredentialResult.invalidCredential || result === CredentialResult.refusedAlone,
    };
    if (unknown) {
      // At the next try the tenant shall first make the user whom it says it does not know.
      item.cloudAnchor = null;
      item.provisioned = false;
    }
  }
}

/**
 * The directory's times are whole seconds, and the tenant orders by time alone: the version stands in the milliseconds,
 * so that a request which arrives late, after the answer was given up, never undoes a newer change of the same second.
 */
function changeDateOf({ decision, known }: Item): Date | undefined {
  const row = decision.kind === 'sync' ? decision.row : undefined;
  if (row === undefined || row.passwordChanged === null) return undefined;
  const { passwordChanged: time, passwordVersion: version } = row;
  if (version === null) return new Date(time);
  const last = known?.passwordChanged === time ? known.passwordVersion : null;
  // Past 999, or with a domain controller that was restored: then the next second.
  const isBehind = last !== null && last !== version && last % 1000 >= version % 1000;
  return new Date(time + (version % 1000) + (isBehind ? 1000 : 0));
}

/**
 * Told of each object whose outcome is written down, inside the same transaction: `item.known` is the row before, `row`
 * the one after (undefined: forgotten), `item.failure` says why it went to the retry queue, `item.acknowledged` whether
 * the tenant has the password. Called for every user of a first synchronization: cheap, or it shows.
 */
export type OutcomeHook = (item: Item, row: ObjectRow | undefined, now: number) => void;

/**
 * Writes down what became of each item; runs inside a transaction. Returns what that did to the retry queue, to be told
 * after it.
 */
export function recordUnit(
  unit: Unit,
  state: ConnectorState,
  counts: CycleCounts,
  now: number,
  onOutcome?: OutcomeHook,
): QueueChange[] {
  const changes: QueueChange[] = [];
  for (const item of unit.items) {
    const { decision, known, guid, failure } = item;
    if (decision.kind === 'sync' || (decision.kind !== 'delete' && decision.inScope)) counts.inScope++;
    if (item.acknowledged) {
      counts.credentialsSent++;
      if (decision.kind === 'sync' && decision.pwdLastSetOnly) counts.pwdLastSetOnly++;
      if (item.keys?.legacy !== undefined) counts.sealed++;
      if (item.keys?.keysMissing) counts.keysMissing++;
    }
    if (decision.kind === 'sync' && decision.provision && item.provisioned) {
      if (known?.cloudAnchor) counts.updated++;
      else counts.created++;
    }
    if (failure !== undefined) {
      counts.failed++;
      const row = rowAfterFailure(item);
      // Before the queue, where the reason of the result that is replaced stands until now.
      if (row !== undefined) state.put(guid, row, now);
      const { attempts, gaveUp } = state.retryQueue.put(guid, failure, now);
      if (attempts === 1) changes.push({ kind: 'entered', item });
      if (gaveUp) changes.push({ kind: 'gaveUp', item });
      onOutcome?.(item, row, now);
      continue;
    }
    switch (decision.kind) {
      case 'pass':
        if (decision.inScope) counts[withoutCredential(known)]++;
        // A pass at whose end the unseen are deleted must find that this one was seen.
        if (known !== undefined && state.sweeping) state.touch(guid, now);
        break;
      case 'remember':
        if (decision.inScope) counts[withoutCredential(decision.row)]++;
        if (decision.handOver !== undefined) state.handOver(decision.handOver, HANDED_OVER, now);
        write(state, item, decision.row, now);
        onOutcome?.(item, decision.row, now);
        break;
      case 'delete':
        // What makes up for a cycle that was cut off deletes also whom the tenant may never have had.
        if (known?.cloudAnchor || item.wasThere) counts.deleted++;
        write(state, item, decision.row, now);
        onOutcome?.(item, decision.row, now);
        break;
      case 'sync': {
        if (!decision.credential) counts[withoutCredential(decision.row)]++;
        const row = rowAfterSuccess(item, decision.row);
        state.put(guid, row, now);
        onOutcome?.(item, row, now);
        break;
      }
    }
    if (state.retryQueue.remove(guid)) changes.push({ kind: 'left', item });
  }
  return changes;
}

/** Why an object in scope sends no password. `none`: it came whole, and there was no password in it. */
function withoutCredential(row: ObjectRow | undefined): 'filtered' | 'filteredByRule' | 'noPassword' | 'skipped' {
  if (row?.outcome === Outcome.filteredByTarget) return 'filtered';
  if (row?.outcome === Outcome.filteredByRule) return 'filteredByRule';
  return row?.outcome === Outcome.noPassword || row?.outcome === Outcome.none ? 'noPassword' : 'skipped';
}

function write(state: ConnectorState, { guid, known }: Item, row: ObjectRow | undefined, now: number) {
  if (row !== undefined) state.put(guid, row, now);
  else if (known !== undefined) state.drop(guid);
}

const HANDED_OVER: RetryFailure = {
  code: 'handed-over',
  reason: 'another connector no longer has the account of this source anchor: the user is sent again from here',
  lasting: false,
};

/** What holds once the tenant has all of the item. */
export function rowAfterSuccess({ cloudAnchor, keys }: Item, row: ObjectRow): ObjectRow {
  const isMissing = keys?.keysMissing === true && row.outcome === Outcome.success;
  return { ...row, cloudAnchor, outcome: isMissing ? Outcome.missingAttribute : row.outcome };
}

/** Keeps what was acknowledged, before or now; a user who could not be deleted keeps the row that says so. */
function rowAfterFailure({ decision, known, failure, cloudAnchor, provisioned, acknowledged, keys }: Item) {
  if (decision.kind === 'remember') return decision.row && { ...decision.row, outcome: failure!.outcome };
  if (decision.kind !== 'sync') return known;
  const { row, credential } = decision;
  const password = acknowledged ? row : known;
  let flags = row.flags & ~(RowFlag.forced | RowFlag.expired);
  flags |= (password?.flags ?? 0) & RowFlag.forced;
  flags |= ((provisioned ? row : known)?.flags ?? 0) & RowFlag.expired;
  if (credential && !acknowledged) flags |= RowFlag.withheld;
  return {
    cloudAnchor,
    flags,
    fingerprint: provisioned ? row.fingerprint : null,
    dnDigest: row.dnDigest,
    passwordVersion: password?.passwordVersion ?? null,
    passwordChanged: password?.passwordChanged ?? null,
    outcome: failure!.outcome,
    sourceAnchor: row.sourceAnchor,
    accountExpires: row.accountExpires,
    keysVersion: acknowledged && keys?.failure !== undefined ? null : (password?.keysVersion ?? null),
  };
}

function sendsCredential({ decision }: Item): boolean {
  return decision.kind === 'sync' && decision.credential;
}

function syncObject(item: Item, domain: Domain): AzureADSyncObject {
  const { object, known, decision } = item;
  const sourceAnchor = anchorOf(item);
  if (decision.kind !== 'sync') {
    const propertyValues = new Map([['SourceAnchor', sourceAnchor]]);
    if (known?.cloudAnchor) propertyValues.set('CloudAnchor', known.cloudAnchor);
    return { syncObjectType: 'User', syncOperation: 'Delete', propertyValues };
  }
  const syncOperation: SyncOperation = known?.cloudAnchor ? 'Set' : 'Add';
  const enabled = (decision.row.flags & (RowFlag.disabled | RowFlag.expired)) === 0;
  const propertyValues = userProperties(object, sourceAnchor, domain, enabled);
  return { syncObjectType: 'User', syncOperation, propertyValues };
}

function envelopeFailure(status: number): Pick<RetryFailure, 'reason' | 'code'> {
  switch (status) {
    case EnvelopeStatus.length:
      return {
        code: 'envelope-length',
        reason: 'the encrypted unicodePwd has not the length of an ENCRYPTED_PAYLOAD with one hash',
      };
    case EnvelopeStatus.checksum:
      return {
        code: 'envelope-checksum',
        reason: 'the encrypted unicodePwd opens with none of the session keys (CRC-32 differs)',
      };
    case EnvelopeStatus.rid:
      return { code: 'envelope-rid', reason: 'the object has no RID, which unicodePwd is encrypted with' };
    default:
      return { code: 'envelope', reason: `the encrypted unicodePwd was refused (status ${status})` };
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
