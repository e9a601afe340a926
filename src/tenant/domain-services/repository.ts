/** Domain Services in the tenant's database: settings, certificates, and how many users' credentials are sealed to which. */

import type { Selectable } from 'kysely';
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

/** Users by the certificate that their credentials are sealed to, in hexadecimal. */
export async function countSealed(queries: Queries): Promise<ReadonlyMap<string, number>> {
  const rows = await queries
    .selectFrom('windows_credentials')
    .select(['thumbprint', ({ fn }) => fn.countAll<number>().as('users')])
    .groupBy('thumbprint')
    .execute();
  return new Map(rows.map(({ thumbprint, users }) => [Buffer.from(thumbprint).toString('hex'), users]));
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
