/** The audit log's entries: every administrative act, with who, what, on whom and how it ended; never a secret. */

import type { Queries } from '../store/database.js';

export interface AuditEntry {
  readonly actor: { readonly kind: 'app' | 'user' | 'system'; readonly id: string };
  /** Entra's activityDisplayName where it has one: `Reset user password`, `Update domain`, `Set DirSync feature`. */
  readonly activity: string;
  readonly category:
    | 'UserManagement'
    | 'DirectoryManagement'
    | 'GroupManagement'
    | 'Policy'
    | 'ApplicationManagement'
    | 'Risk';
  readonly target: { readonly kind: string; readonly id: string; readonly name?: string | undefined };
  readonly result: 'success' | 'failure';
  readonly reason?: string | undefined;
  /** Changed properties, old and new. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly correlationId?: string | undefined;
}

export interface AuditLog {
  /**
   * On disk when it resolves: an act whose entry cannot be written is not done. With `within`, the transaction of the act
   * itself, both are on disk when that is, or neither. (Without it, an entry must not be awaited inside a transaction:
   * SQLite has one writer.)
   */
  record(entry: AuditEntry, within?: Queries): Promise<void>;
}
