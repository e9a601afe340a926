/** Domain Services in the tenant's database: settings, certificates, and how many users' credentials are sealed to which. */

import type { Selectable } from 'kysely';
import type { FeedCertificate } from '../../provisioning/domain-services-feed.js';
import type { Queries, TenantDatabase } from '../store/database.js';
import type { DomainServicesCertificatesTable, DomainServicesTable } from '../store/tables.js';

export type ServiceRow = Selectable<DomainServicesTable>;
export type CertificateRow = Selectable<DomainServicesCertificatesTable>;

/** `lock`: batches of Windows credentials and other changes wait for the end of this transaction (PostgreSQL). */
export function readService(queries: Queries, lock?: TenantDatabase['dialect']): Promise<ServiceRow | undefined> {
  return queries
    .selectFrom('domain_services')
    .selectAll()
    .$if(lock === 'postgres', (query) => query.forUpdate())
    .executeTakeFirst();
}

/** The newest first. */
export function readCertificates(queries: Queries): Promise<CertificateRow[]> {
  return queries.selectFrom('domain_services_certificates').selectAll().orderBy('added_at', 'desc').execute();
}

/** Users whose credentials are sealed to a certificate. */
export interface SealedUsers {
  readonly users: number;
  /** Who may still be restored, and has these credentials then. */
  readonly deletedUsers: number;
}

export const nobodySealed: SealedUsers = { users: 0, deletedUsers: 0 };

/** By the certificate's thumbprint in hexadecimal. */
export async function countSealed(queries: Queries): Promise<ReadonlyMap<string, SealedUsers>> {
  const rows = await queries
    .selectFrom('windows_credentials')
    .innerJoin('users', 'users.id', 'windows_credentials.user_id')
    .select([
      'thumbprint',
      ({ fn }) => fn.countAll<number>().as('all'),
      ({ fn }) => fn.count<number>('deleted_at').as('deleted'),
    ])
    .groupBy('thumbprint')
    .execute();
  return new Map(
    rows.map(({ thumbprint, all, deleted }) => [
      Buffer.from(thumbprint).toString('hex'),
      { users: all - deleted, deletedUsers: deleted },
    ]),
  );
}

/** Of users who exist. By seeks in the index of thumbprints, not by a look at every user: it is asked for with each page of the feed. */
export async function thumbprintsInUse(queries: Queries): Promise<readonly string[]> {
  const found: string[] = [];
  for (let last: Uint8Array = Buffer.alloc(0); ; ) {
    const row = await queries
      .selectFrom('windows_credentials')
      .innerJoin('users', 'users.id', 'windows_credentials.user_id')
      .select('thumbprint')
      .where('thumbprint', '>', last)
      .where('deleted_at', 'is', null)
      .orderBy('thumbprint')
      .limit(1)
      .executeTakeFirst();
    if (row === undefined) return found;
    last = row.thumbprint;
    found.push(Buffer.from(last).toString('hex'));
  }
}

/** What the feed says of them: those of the list, and those that blobs are sealed to all the same. */
export async function feedCertificates(queries: Queries): Promise<FeedCertificate[]> {
  const rows = await queries
    .selectFrom('domain_services_certificates')
    .select(['thumbprint', 'not_after'])
    .orderBy('added_at', 'desc')
    .execute();
  const inUse = new Set(await thumbprintsInUse(queries));
  const listed = rows.map(({ thumbprint: bytes, not_after }, i) => {
    const thumbprint = Buffer.from(bytes).toString('hex');
    const notAfter = new Date(not_after).toISOString();
    return { thumbprint, notAfter, isNewest: i === 0, inUse: inUse.delete(thumbprint) };
  });
  return [...listed, ...[...inUse].map((thumbprint) => ({ thumbprint, notAfter: null, isNewest: false, inUse: true }))];
}

/** userPrincipalNames of the first few users who exist and whose credentials are sealed to the certificate. */
export async function nameSealed(queries: Queries, thumbprint: Uint8Array, limit: number): Promise<readonly string[]> {
  const rows = await queries
    .selectFrom('windows_credentials')
    .innerJoin('users', 'users.id', 'windows_credentials.user_id')
    .select('user_principal_name')
    .where('thumbprint', '=', thumbprint)
    .where('deleted_at', 'is', null)
    .orderBy('upn_key')
    .limit(limit)
    .execute();
  return rows.map(({ user_principal_name: name }) => name);
}

/** Of the DNS domains whose users are synchronized, and those of user principal names: what `name` is. */
export async function ownDomain(queries: Queries, name: string): Promise<'synchronized' | 'of names' | undefined> {
  const source = await queries
    .selectFrom('users')
    .select('id')
    .where(({ fn }) => fn<string>('lower', ['dns_domain_name']), '=', name)
    .where('deleted_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  if (source !== undefined) return 'synchronized';
  const own = await queries.selectFrom('domains').select('name').where('name', '=', name).executeTakeFirst();
  return own && 'of names';
}

/** In place of the one that has this thumbprint; in any case it is the newest then. */
export async function putCertificate(
  queries: Queries,
  certificate: Omit<CertificateRow, 'added_at'>,
  now: Date,
): Promise<void> {
  const newest = (await readCertificates(queries))[0]?.added_at ?? 0;
  const added_at = Math.max(now.getTime(), newest + 1);
  await queries
    .insertInto('domain_services_certificates')
    .values({ ...certificate, added_at })
    .onConflict((conflict) => conflict.column('thumbprint').doUpdateSet({ added_at }))
    .execute();
}
