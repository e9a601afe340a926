/** The row of `domain_services` that says where a connector stands with Domain Services. */

import type Database from 'better-sqlite3';
import { NEVER_ON, type Standing } from '../domain-services/standing.js';

type Row = { readonly [Name in keyof Standing]: Standing[Name] extends boolean ? number : Standing[Name] };

export function readStanding(db: Database.Database, connector: number): Standing {
  const row = db
    .prepare(
      `SELECT name, since, ntlm, kerberos, thumbprint, subject, valid_to AS validTo, code, reason, epoch,
        full_at AS fullAt
       FROM domain_services WHERE connector = ?`,
    )
    .get(connector) as Row | undefined;
  return row === undefined ? NEVER_ON : { ...row, ntlm: row.ntlm === 1, kerberos: row.kerberos === 1 };
}

export function writeStanding(db: Database.Database, connector: number, standing: Standing): void {
  const { ntlm, kerberos } = standing;
  db.prepare(
    `INSERT OR REPLACE INTO domain_services (connector, name, since, ntlm, kerberos, thumbprint, subject, valid_to, code,
      reason, epoch, full_at)
     VALUES (@connector, @name, @since, @ntlm, @kerberos, @thumbprint, @subject, @validTo, @code, @reason,
      @epoch, @fullAt)`,
  ).run({ ...standing, connector, ntlm: ntlm ? 1 : 0, kerberos: kerberos ? 1 : 0 });
}
