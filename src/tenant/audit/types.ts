/** The audit log's entries: every administrative act, with who, what, on whom and how it ended; never a secret. */

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
  /** On disk when it resolves: an act whose entry cannot be written is not done. */
  record(entry: AuditEntry): Promise<void>;
}
