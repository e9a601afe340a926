/** The feed of users and their sealed credentials for a managed domain: everything first, then what has changed. */

import { type FeedChange, FeedError, type FeedPage, type FeedUser } from '../../provisioning/domain-services-feed.js';
import type { Queries, TenantDatabase } from '../store/database.js';
import { readDigestKey } from '../store/digest-key.js';
import { type PersonRow, personColumns, sidOf } from '../store/user-row.js';
import { Cookies, type Position } from './cookie.js';
import { feedCertificates, readService, type ServiceRow } from './repository.js';
import { numberChanges } from './sequence.js';
import { settingsOf } from './settings.js';

/** Why there is no page; `code` is one of FeedError. */
export class FeedRefusal extends Error {
  override readonly name = 'FeedRefusal';

  constructor(
    readonly status: 409 | 410,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const ANEW = 'begin anew without a cookie';

export class Feed {
  readonly #database: TenantDatabase;
  readonly #now: () => Date;
  #cookies: Cookies | undefined;

  constructor({ database, now }: { readonly database: TenantDatabase; readonly now: () => Date }) {
    this.#database = database;
    this.#now = now;
  }

  /** At most `limit` changes behind the cookie; without one, from the beginning. @throws FeedRefusal */
  async page(cookie: string | undefined, limit: number): Promise<FeedPage> {
    const cookies = await this.#openCookies();
    await numberChanges(this.#database, this.#now());
    const service = await this.#database.run((queries) => readService(queries));
    if (service?.enabled !== 1) {
      throw new FeedRefusal(409, FeedError.disabled, 'Domain Services are not enabled in this tenant');
    }
    const position = cookie === undefined ? beginningOf(service) : positionOf(cookies, cookie, service);
    const [{ value, next, more }, certificates] = await this.#database.run(async (queries) => [
      await read(queries, position, limit),
      await feedCertificates(queries),
    ]);
    return {
      value,
      cookie: cookies.write(next),
      more,
      domain: { name: service.domain_name, securitySettings: settingsOf(service.security_settings), certificates },
    };
  }

  async #openCookies(): Promise<Cookies> {
    this.#cookies ??= new Cookies(await readDigestKey(this.#database));
    return this.#cookies;
  }
}

/** Changes from now on count, and all users are read first: who changes meanwhile is told once more. */
const beginningOf = ({ epoch, sequence }: ServiceRow): Position => ({ epoch, sequence, after: 0 });

function positionOf(cookies: Cookies, cookie: string, { epoch, sequence, forgotten }: ServiceRow): Position {
  const position = cookies.read(cookie);
  if (position === undefined) {
    throw new FeedRefusal(410, FeedError.cookieUnknown, `the cookie is not of this tenant's database: ${ANEW}`);
  }
  if (position.epoch !== epoch) {
    const words = 'since the cookie Domain Services were switched off and on, or the tenant was restored';
    throw new FeedRefusal(410, FeedError.resyncRequired, `${words}: ${ANEW}`);
  }
  if (position.sequence > sequence) {
    throw new FeedRefusal(410, FeedError.cookieAhead, `the tenant's database is older than the cookie: ${ANEW}`);
  }
  if (position.sequence < forgotten) {
    throw new FeedRefusal(410, FeedError.resyncRequired, `deletions since the cookie are forgotten: ${ANEW}`);
  }
  return position;
}

interface Reading {
  readonly value: FeedChange[];
  readonly next: Position;
  readonly more: boolean;
}

const read = (queries: Queries, position: Position, limit: number): Promise<Reading> =>
  position.after === undefined
    ? readChanges(queries, position, limit)
    : readAll(queries, { ...position, after: position.after }, limit);

const USER = [
  ...personColumns.map((column) => `users.${column}` as const),
  'users.password_policies',
  'users.sam_account_name',
  'users.security_identifier',
  'users.dns_domain_name',
  'users.netbios_name',
  'users.deleted_at',
] as const;
const CREDENTIALS = [
  'windows_credentials.change_date',
  'windows_credentials.legacy',
  'windows_credentials.supplemental',
  'windows_credentials.legacy_digest',
  'windows_credentials.supplemental_digest',
] as const;

async function readAll(
  queries: Queries,
  position: Position & { readonly after: number },
  limit: number,
): Promise<Reading> {
  const rows = await queries
    .selectFrom('users')
    .leftJoin('windows_credentials', 'windows_credentials.user_id', 'users.id')
    .select('users.id')
    .select(USER)
    .select(CREDENTIALS)
    .where('users.id', '>', position.after)
    .where('users.deleted_at', 'is', null)
    .orderBy('users.id')
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  const more = rows.length > limit;
  return { value: page.map(userOf), next: { ...position, after: more ? page.at(-1)!.id : undefined }, more };
}

async function readChanges(queries: Queries, position: Position, limit: number): Promise<Reading> {
  const rows = await queries
    .selectFrom('domain_services_feed')
    .leftJoin('users', 'users.object_id', 'domain_services_feed.object_id')
    .leftJoin('windows_credentials', 'windows_credentials.user_id', 'users.id')
    .select(['domain_services_feed.object_id as id', 'domain_services_feed.sequence'])
    .select(USER)
    .select(CREDENTIALS)
    .where('domain_services_feed.sequence', '>', position.sequence)
    .orderBy('domain_services_feed.sequence')
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  return {
    value: page.map(({ id, ...row }) =>
      row.object_id === null || row.deleted_at !== null ? { id, deleted: true } : userOf(row as UserRow),
    ),
    next: { ...position, sequence: page.at(-1)?.sequence ?? position.sequence },
    more: rows.length > limit,
  };
}

interface UserRow extends PersonRow {
  readonly password_policies: string | null;
  readonly sam_account_name: string | null;
  readonly security_identifier: Uint8Array | null;
  readonly dns_domain_name: string | null;
  readonly netbios_name: string | null;
  readonly change_date: number | null;
  readonly legacy: Uint8Array | null;
  readonly supplemental: Uint8Array | null;
  readonly legacy_digest: Uint8Array | null;
  readonly supplemental_digest: Uint8Array | null;
}

const base64 = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('base64'));

function userOf(row: UserRow): FeedUser {
  const { user_principal_name: name, change_date: changeDate } = row;
  return {
    id: row.object_id,
    userPrincipalName: name,
    displayName: row.display_name,
    givenName: row.given_name,
    surname: row.surname,
    mail: row.mail,
    // The provisioning wire brings none.
    mailNickname: name.slice(0, name.lastIndexOf('@')),
    accountEnabled: row.account_enabled === 1,
    passwordPolicies: row.password_policies,
    onPremisesSamAccountName: row.sam_account_name,
    onPremisesSecurityIdentifier: sidOf(row.security_identifier),
    onPremisesDomainName: row.dns_domain_name,
    onPremisesNetBiosName: row.netbios_name,
    credentials:
      changeDate === null
        ? null
        : {
            changeDate: new Date(changeDate).toISOString(),
            windowsLegacyCredentials: base64(row.legacy),
            windowsSupplementalCredentials: base64(row.supplemental),
            windowsLegacyCredentialsSha256: base64(row.legacy_digest),
            windowsSupplementalCredentialsSha256: base64(row.supplemental_digest),
          },
  };
}
