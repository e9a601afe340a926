/** Events about the users of a unit: 605 and 606 (retry queue), 620 (not worth trying), 656 and 657 (request, result). */

import type { SyncCredentialsChangeItem, SyncCredentialsChangeResult } from '../provisioning/types.js';
import { CredentialResult } from '../provisioning/types.js';
import type { EventSink } from './events/event.js';
import { anchorOf, type Item } from './item.js';

/** What recording a unit did to the retry queue. */
export interface QueueChange {
  /** `gaveUp`: it stays, and is tried seldom from now on. */
  readonly kind: 'entered' | 'left' | 'gaveUp';
  readonly item: Item;
}

/** Objects that event 620 names; the others it counts. */
const NAMED = 10;

/** After the transaction that made them. */
export function tellQueueChanges(changes: readonly QueueChange[], events: EventSink): void {
  if (changes.length === 0) return;
  const gone = changes.filter(({ kind }) => kind === 'gaveUp');
  if (gone.length > 0) {
    const named = gone.slice(0, NAMED).map(({ item }) => `${nameOf(item)} (${item.failure?.code})`);
    events.emit(620, { count: gone.length, objects: named.join('; '), reason: gone[0]!.item.failure?.reason });
  }
  const moved = changes.filter(({ kind }) => kind !== 'gaveUp');
  if (moved.length === 0) return;
  const users = events.forUsers(moved.length);
  if (users !== undefined) {
    for (const { kind, item } of moved) {
      const who = { anchor: anchorOf(item), dn: item.object.dn };
      if (kind === 'left') users.emit(606, who);
      else users.emit(605, { ...who, code: item.failure?.code, reason: item.failure?.reason });
    }
    return;
  }
  const entered = moved.filter(({ kind }) => kind === 'entered');
  if (entered.length > 0) {
    const { failure } = entered[0]!.item;
    events.emit(605, { count: entered.length, code: failure?.code, reason: failure?.reason });
  }
  if (moved.length > entered.length) events.emit(606, { count: moved.length - entered.length });
}

function nameOf(item: Item): string {
  const { object } = item;
  return object.dn === '' ? anchorOf(item) : object.dn;
}

/** 656 and 657 of users whose password was sent: one credential and one result an item. */
export function tellCredentials(
  sent: readonly Item[],
  credentials: readonly SyncCredentialsChangeItem[],
  results: readonly SyncCredentialsChangeResult[],
  events: EventSink,
): void {
  const users = events.forUsers(sent.length);
  if (users === undefined) return;
  for (const [i, { object, keys }] of sent.entries()) {
    const { sourceAnchor, changeDate, forcePasswordChangeOnLogon } = credentials[i]!;
    const { windowsLegacyCredentials: legacy, windowsSupplementalCredentials: supplemental } = credentials[i]!;
    const domainServices = legacy && (supplemental ? 'NT hash, Kerberos keys' : 'NT hash');
    const { result, extendedErrorInformation } = results[i]!;
    const settled = result === CredentialResult.success || result === CredentialResult.olderChange;
    // The password itself was taken.
    const done = settled || result === CredentialResult.invalidWindowsCredentials;
    const said = `${result}${extendedErrorInformation ? `: ${extendedErrorInformation}` : ''}`;
    const who = { anchor: sourceAnchor, dn: object.dn };
    users.emit(656, { ...who, changeDate: changeDate.toISOString(), domainServices });
    users.emit(657, {
      ...who,
      pwdChangeOnLogon: forcePasswordChangeOnLogon,
      result: done ? 'Success' : 'Failed',
      missingAttribute: keys?.keysMissing ? 'supplementalCredentials' : undefined,
      extendedError: settled ? keys?.failure?.reason : said,
    });
  }
}
