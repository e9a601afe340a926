/** The company's features, changed in one place whichever way the change comes: over the provisioning wire, or through Graph. */

import { DirSyncFeature } from '../../provisioning/types.js';
import type { Queries, TenantDatabase } from '../store/database.js';

export interface CompanyFeatures {
  /** The wire's DirSyncFeatures. */
  readonly dirsync_features: number;
  /** Graph's features without a bit, as a JSON object of booleans. */
  readonly other_features: string;
  /** Accidental deletion prevention: disabled, enabledForCount, enabledForPercentage. */
  readonly deletion_prevention: string;
  readonly deletion_threshold: number;
}

interface StoredFeatures extends CompanyFeatures {
  readonly password_sync_since: number | null;
}

/** `lock`: of PostgreSQL, the row is held until the transaction ends. */
export function readCompanyFeatures(queries: Queries, lock?: TenantDatabase['dialect']): Promise<StoredFeatures> {
  return queries
    .selectFrom('tenant')
    .select(['dirsync_features', 'other_features', 'deletion_prevention', 'deletion_threshold', 'password_sync_since'])
    .$if(lock === 'postgres', (query) => query.forUpdate())
    .executeTakeFirstOrThrow();
}

/**
 * Within a transaction. Leaked pairs count from the time when password hash synchronization was last switched on: that
 * is kept here.
 */
export async function changeCompanyFeatures(
  queries: Queries,
  dialect: TenantDatabase['dialect'],
  { now, change }: { readonly now: Date; readonly change: (before: CompanyFeatures) => CompanyFeatures },
): Promise<{ readonly before: CompanyFeatures; readonly after: CompanyFeatures }> {
  const before = await readCompanyFeatures(queries, dialect);
  const after = change(before);
  const isOn = (after.dirsync_features & DirSyncFeature.PasswordHashSync) !== 0;
  await queries
    .updateTable('tenant')
    .set({ ...after, password_sync_since: isOn ? (before.password_sync_since ?? now.getTime()) : null })
    .execute();
  return { before, after };
}

const TEMPORARY =
  'userForcePasswordChangeOnLogonEnabled is on while passwordWritebackEnabled is off: who has a temporary password ' +
  'cannot change it at sign-in, but on premises only';

/** Temporary passwords without a way back on premises: told when a change brings it about. */
export function warningOf(before: CompanyFeatures, after: CompanyFeatures): string | undefined {
  return isRisky(after) && !isRisky(before) ? TEMPORARY : undefined;
}

const isRisky = ({ dirsync_features: features }: CompanyFeatures): boolean =>
  (features & DirSyncFeature.EnableUserForcePasswordChangeOnLogon) !== 0 &&
  (features & DirSyncFeature.PasswordWriteBack) === 0;
