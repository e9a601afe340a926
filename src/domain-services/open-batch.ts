/** From the feed's changes to what a writer takes: secrets are opened, batch by batch, and wiped after each. */

import { setImmediate as turn } from 'node:timers/promises';
import { PhsyncError } from '../hasher/errors.js';
import type { Unwrap } from '../provisioning/ad-auth-info.js';
import type { FeedChange } from '../provisioning/domain-services-feed.js';
import { desiredUser, isUnchecked, openSecrets, wipe } from './desired.js';
import type { ManagedChange } from './writer.js';

export interface OpenedChange {
  readonly change: ManagedChange;
  /** Why the change goes without the secrets that it has. */
  readonly unopened?: { readonly code: string; readonly message: string };
  /** Of the password, in the first domain. */
  readonly changeDate?: string | undefined;
  /** Its blobs came without digests to check them by. */
  readonly isUnchecked: boolean;
}

export interface OpenedBatch {
  readonly changes: readonly FeedChange[];
  readonly opened: readonly OpenedChange[];
}

/**
 * A transaction of the domain controller each, for which it is kept from all else that writes: some 0.2 s where all are new.
 * What a transaction costs of itself (its indexes, the disk) is shared by so many.
 */
const BATCH = 200;
/** After so many private operations (of a third of a millisecond each, RSA-2048) others have their turn. */
const AT_ONCE = 8;

/**
 * The changes in their order, in batches. While whoever asks works on a batch, the next one is opened: the private
 * operations take this process's time, writing the domain controller's. A batch's secrets are wiped when the next one is
 * asked for, or when no other is wanted. @throws PhsyncError where a key cannot be used now (`domain-services-key-unavailable`)
 */
export async function* openedBatches(
  changes: readonly FeedChange[],
  unwrap: Unwrap,
): AsyncGenerator<OpenedBatch, void, undefined> {
  const begin = (at: number) => {
    const batch = changes.slice(at, at + BATCH);
    const opening = openAll(batch, unwrap);
    // What fails is thrown in its turn.
    opening.catch(() => {});
    return { batch, opening };
  };
  let next = changes.length === 0 ? undefined : begin(0);
  try {
    for (let at = BATCH; next !== undefined; at += BATCH) {
      const { batch, opening } = next;
      next = undefined;
      const opened = await opening;
      try {
        next = at < changes.length ? begin(at) : undefined;
        yield { changes: batch, opened };
      } finally {
        wipeAll(opened);
      }
    }
  } finally {
    // Nobody wants it any more.
    if (next !== undefined) wipeAll(await next.opening.catch(() => []));
  }
}

async function openAll(changes: readonly FeedChange[], unwrap: Unwrap): Promise<readonly OpenedChange[]> {
  const opened: OpenedChange[] = [];
  try {
    for (const [i, change] of changes.entries()) {
      opened.push(await openOne(change, unwrap));
      if (i % AT_ONCE === AT_ONCE - 1) await turn();
    }
  } catch (error) {
    wipeAll(opened);
    throw error;
  }
  return opened;
}

async function openOne(change: FeedChange, unwrap: Unwrap): Promise<OpenedChange> {
  if ('deleted' in change) {
    return { change: { kind: 'deleted', objectId: change.id.toLowerCase() }, isUnchecked: false };
  }
  const user = desiredUser(change);
  const unchecked = isUnchecked(change);
  try {
    const secrets = await openSecrets(change, unwrap);
    const { changeDate } = change.credentials ?? {};
    return { change: { kind: 'user', user, secrets }, changeDate, isUnchecked: unchecked };
  } catch (error) {
    if (!(error instanceof PhsyncError) || !error.code.startsWith('ad-auth-info-')) throw error;
    const { code, message } = error;
    return {
      change: { kind: 'user', user, secrets: undefined },
      unopened: { code, message },
      isUnchecked: unchecked,
    };
  }
}

function wipeAll(opened: readonly OpenedChange[]): void {
  for (const { change } of opened) if (change.kind === 'user') wipe(change.secrets);
}
