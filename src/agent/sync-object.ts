/** One object now: read on its own, decided as in a full synchronization, sent, and its outcome told. */

import { type ObjectReference, runObject } from './cycle.js';
import type { CycleOptions } from './cycle-options.js';
import type { Item } from './item.js';
import { outOfScopeText } from './out-of-scope.js';
import type { Scope } from './scope.js';
import type { DirectoryObject } from './source.js';
import { type ObjectRow, Outcome, outcomeNames } from './state/rows.js';
import { rowAfterSuccess } from './unit.js';

/** What became of one object; the names of `status` are Entra Connect's where it has one. */
export interface ObjectReport {
  readonly connector: string;
  readonly guid: string | undefined;
  readonly dn: string | undefined;
  /**
   * `Success`, `FilteredByTarget`, `TargetNotExportedToDirectory`, `Error`, …: see `outcomeNames`. `NoTargetConnection`:
   * out of scope, `reason` says by what rule; `SourceConnectorNotPresent`: the directory has no such object.
   */
  readonly status: string;
  readonly reason: string | undefined;
  /** What the tenant was told of the user. */
  readonly user: 'created' | 'updated' | 'deleted' | 'unchanged';
  /** The tenant took the password. */
  readonly passwordSent: boolean;
  /** With keys for Domain Services. */
  readonly keysSent: boolean;
}

/** Rejects where the directory or the tenant cannot be asked. */
export async function syncObject(
  connector: string,
  options: CycleOptions,
  reference: ObjectReference,
): Promise<ObjectReport> {
  const { source, scope, log } = options;
  const { object, item } = await runObject(options, reference);
  const report: ObjectReport =
    object === undefined
      ? {
          connector,
          guid: 'guid' in reference ? reference.guid : undefined,
          dn: 'dn' in reference ? reference.dn : undefined,
          status: 'SourceConnectorNotPresent',
          reason: `${source.description} has no such object`,
          user: 'unchanged',
          passwordSent: false,
          keysSent: false,
        }
      : {
          connector,
          guid: object.guid,
          dn: object.dn,
          ...(item === undefined ? outside(object, scope) : outcomeOf(item, scope)),
          passwordSent: item?.acknowledged ?? false,
          keysSent: item?.acknowledged === true && item.keys?.legacy !== undefined,
        };
  // The log itself names the connector.
  log.info({ ...report, connector: undefined }, 'one object synchronized');
  return report;
}

function outcomeOf(item: Item, scope: Scope): Pick<ObjectReport, 'status' | 'reason' | 'user'> {
  const { object, decision, failure, known, provisioned } = item;
  const user =
    decision.kind === 'delete' && failure === undefined && (known?.cloudAnchor || item.wasThere)
      ? 'deleted'
      : decision.kind === 'sync' && decision.provision && provisioned
        ? known?.cloudAnchor
          ? 'updated'
          : 'created'
        : 'unchanged';
  if (failure !== undefined) return { status: outcomeNames[failure.outcome], reason: failure.reason, user };
  if (decision.kind === 'sync') return { ...rowStatus(rowAfterSuccess(item, decision.row)), user };
  if (decision.kind === 'remember' && decision.inScope && decision.row !== undefined) {
    return { ...rowStatus(decision.row), user };
  }
  return { ...outside(object, scope), user };
}

function rowStatus({ outcome }: ObjectRow): Pick<ObjectReport, 'status' | 'reason'> {
  const reasons: Partial<Record<ObjectRow['outcome'], string>> = {
    [Outcome.filteredByTarget]: 'the password must be changed at the next log-on',
    [Outcome.noPassword]: 'the account has no password',
    [Outcome.filteredByRule]: 'adminDescription keeps the password out',
    [Outcome.missingAttribute]:
      'the directory has no Kerberos keys of the user for Domain Services, which get the NT hash alone',
  };
  return { status: outcomeNames[outcome], reason: reasons[outcome] };
}

function outside(object: DirectoryObject, scope: Scope): Pick<ObjectReport, 'status' | 'reason' | 'user'> {
  const why = scope.why(object);
  const rule = why === undefined ? 'not a user' : outOfScopeText(why, object, scope);
  const reason = object.deleted ? 'the object is deleted' : `out of scope: ${rule}`;
  return { status: 'NoTargetConnection', reason, user: 'unchanged' };
}
