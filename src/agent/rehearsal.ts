/** A dry run: what a cycle would send, user by user, found out on a copy of the state while an agent may be running. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../hasher/errors.js';
import type { PropertyValue } from '../provisioning/types.js';
import { sqlite } from '../state/sqlite.js';
import type { ConnectorConfig } from './config.js';
import { anchorOf, type Item } from './item.js';
import { isOwnAccount } from './own-account.js';
import type { DirectoryObject } from './source.js';
import { type ObjectRow, Outcome, outcomeNames, RowFlag } from './state/rows.js';
import { DATABASE_FILE } from './state/store.js';
import { userProperties } from './user-properties.js';

/** What would be sent of one user. */
export interface PlannedChange {
  readonly connector: string;
  readonly dn: string;
  readonly objectGuid: string;
  readonly sourceAnchor: string;
  /** `none`: the user stays as the tenant has it, or is not there. */
  readonly operation: 'add' | 'set' | 'delete' | 'none';
  /**
   * What the tenant would be told: of a user who is added all properties, of one who is changed those that changed, as
   * far as replication says which.
   */
  readonly properties: Readonly<Record<string, string | boolean | null>>;
  readonly password: 'sent' | 'not sent';
  /** With the password: the user must change it at the next sign-in. */
  readonly forcePasswordChangeOnLogon: boolean;
  /** With the password, for Domain Services; `kerberosMissing`: the NT hash alone, since the directory has no more. */
  readonly domainServices: 'not sent' | 'ntHash' | 'ntHash, kerberos' | 'ntHash, kerberosMissing';
  /** Why the password is sent, or why not. */
  readonly why: string;
}

/**
 * Copies the state into a directory of its own, which the caller deletes with `dispose`. Reads only, and waits for no
 * running agent. No state yet: the copy is empty, as the agent's would be.
 * @throws PhsyncError `state-unreadable`, `store-sqlite`
 */
export function copyState(stateDir: string): { readonly stateDir: string; dispose(): void } {
  const copy = mkdtempSync(join(tmpdir(), 'phsync-dry-run.'));
  const dispose = () => rmSync(copy, { recursive: true, force: true });
  const file = join(stateDir, DATABASE_FILE);
  if (!existsSync(file)) return { stateDir: copy, dispose };
  const SqliteDatabase = sqlite();
  let database: Database.Database | undefined;
  try {
    database = new SqliteDatabase(file, { readonly: true, fileMustExist: true });
    // One snapshot: a backup page by page would begin anew whenever a running agent writes.
    database.prepare('VACUUM INTO ?').run(join(copy, DATABASE_FILE));
    return { stateDir: copy, dispose };
  } catch (cause) {
    dispose();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('state-unreadable', `cannot copy the state in ${file}: ${reason}`, {
      cause,
      facts: { file },
    });
  } finally {
    database?.close();
  }
}

const OWN = '; it is the account that the agent logs on with: leave it out (scope.cloudFiltered)';

/** Undefined: nothing would be sent, and nothing is held back either. `row`: what the state would hold then. */
export function plannedChange(
  connector: ConnectorConfig,
  item: Item,
  row: ObjectRow | undefined,
): PlannedChange | undefined {
  const { decision, object, known } = item;
  const who = { connector: connector.name, dn: object.dn, objectGuid: object.guid, sourceAnchor: anchorOf(item) };
  const nothing = {
    properties: {},
    password: 'not sent',
    forcePasswordChangeOnLogon: false,
    domainServices: 'not sent',
  } as const;
  switch (decision.kind) {
    case 'pass':
      return undefined;
    case 'delete':
      return { ...who, ...nothing, operation: 'delete', why: 'the user is deleted' };
    case 'remember': {
      if (item.failure !== undefined) return { ...who, ...nothing, operation: 'none', why: item.failure.reason };
      if (decision.handOver !== undefined) {
        return { ...who, ...nothing, operation: 'none', why: 'another connector has the user' };
      }
      return decision.inScope ? { ...who, ...nothing, operation: 'none', why: whyNot(row) } : undefined;
    }
    case 'sync': {
      const ofOwn = isOwnAccount(connector, object) ? OWN : '';
      const properties = decision.provision ? propertiesOf(connector, item) : {};
      return {
        ...who,
        operation: decision.provision ? (known?.cloudAnchor ? 'set' : 'add') : 'none',
        properties,
        password: decision.credential ? 'sent' : 'not sent',
        forcePasswordChangeOnLogon: decision.forceChange,
        domainServices: keysOf(item),
        why: `${decision.credential ? whySent(item) : (item.failure?.reason ?? whyNot(row))}${ofOwn}`,
      };
    }
  }
}

function keysOf({ keys, decision }: Item): PlannedChange['domainServices'] {
  if (keys?.legacy === undefined || decision.kind !== 'sync' || !decision.credential) return 'not sent';
  if (keys.supplemental !== undefined) return 'ntHash, kerberos';
  return keys.keysMissing ? 'ntHash, kerberosMissing' : 'ntHash';
}

function whySent({ decision, known, object }: Item): string {
  if (decision.kind === 'sync' && decision.pwdLastSetOnly) return 'the password is the same, pwdLastSet has changed';
  if (known === undefined || (known.passwordVersion === null && known.passwordChanged === null)) {
    return 'the tenant has no password of this user yet';
  }
  if (object.passwordVersion === known.passwordVersion) return 'sent again: a full synchronization, or a retry';
  const when = object.passwordChanged === undefined ? '' : ` at ${object.passwordChanged.toISOString()}`;
  return `it was changed${when}`;
}

function whyNot(row: ObjectRow | undefined): string {
  switch (row?.outcome) {
    case Outcome.filteredByTarget:
      return `${outcomeNames[row.outcome]}: it must be changed at the next log-on, and the tenant's feature for such passwords is off`;
    case Outcome.filteredByRule:
      return `${outcomeNames[row.outcome]}: adminDescription leaves it out`;
    case Outcome.noPassword:
      return `${outcomeNames[row.outcome]}: the account has none`;
    case Outcome.heldElsewhere:
      return `${outcomeNames[row.outcome]}: this account is disabled, and another connector's is the user`;
    default:
      return 'the tenant has it already';
  }
}

/** The same for all users of a directory, or repeated above. */
const SAID_ELSEWHERE: ReadonlySet<string> = new Set(['SourceAnchor', 'cloudMastered', 'dnsDomainName', 'netBiosName']);

function propertiesOf(connector: ConnectorConfig, item: Item): Record<string, string | boolean | null> {
  const { object, shown, known, decision } = item;
  const flags = decision.kind === 'sync' ? decision.row.flags : 0;
  const enabled = (flags & (RowFlag.disabled | RowFlag.expired)) === 0;
  const domain = { dnsName: connector.directory.domain, netbiosName: undefined };
  const all = [...userProperties(object, anchorOf(item), domain, enabled)].filter(
    ([name]) => !SAID_ELSEWHERE.has(name),
  );
  // Of a change replication shows what changed; of a whole object it cannot be told what the tenant knew.
  const changed = known?.cloudAnchor && shown.objectClass === undefined ? changedProperties(shown) : undefined;
  return Object.fromEntries(
    all
      .filter(([name, value]) => (changed === undefined ? value !== null : changed.has(name)))
      .map(([name, value]) => [name, printable(value, object)]),
  );
}

function changedProperties(shown: DirectoryObject): ReadonlySet<string> {
  const names = new Set<string>();
  if (shown.renamed) names.add('onPremisesDistinguishedName');
  for (const [field, property] of PROPERTY_OF) if (shown[field] !== undefined) names.add(property);
  return names;
}

const PROPERTY_OF: readonly (readonly [keyof DirectoryObject, string])[] = [
  ['userPrincipalName', 'userPrincipalName'],
  ['sAMAccountName', 'onPremisesSamAccountName'],
  ['displayName', 'displayName'],
  ['givenName', 'givenName'],
  ['sn', 'surname'],
  ['mail', 'mail'],
  ['userAccountControl', 'accountEnabled'],
  ['accountExpires', 'accountEnabled'],
  ['pwdLastSet', 'lastPasswordChangeTimestamp'],
];

function printable(value: PropertyValue, { sid }: DirectoryObject): string | boolean | null {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  return value instanceof Uint8Array ? (sid ?? null) : String(value);
}
