/** Switches a tenant's DirSyncFeatures, as its operators do. */

import { changeCompanyFeatures } from '#src/tenant/policies/company-features.js';
import type { TenantStore } from '#src/tenant/store/store.js';

export async function setFeatures({ database }: Pick<TenantStore, 'database'>, features: number, now = new Date()) {
  await database.transaction((queries) =>
    changeCompanyFeatures(queries, database.dialect, {
      now,
      change: (before) => ({
        other_features: before.other_features,
        deletion_prevention: before.deletion_prevention,
        deletion_threshold: before.deletion_threshold,
        dirsync_features: features,
      }),
    }),
  );
}
