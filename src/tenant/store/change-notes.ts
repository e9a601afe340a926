/**
 * Triggers that note which users have changed, for the feed of Domain Services. They are there only while those are
 * enabled: without them a user or a password costs nothing more to store.
 */

import { sql } from 'kysely';
import type { Queries } from './database.js';
import type { Dialect } from './dialect.js';

/** Of users: what the feed tells of them. */
const SHOWN = [
  'user_principal_name',
  'display_name',
  'given_name',
  'surname',
  'mail',
  'account_enabled',
  'password_policies',
  'sam_account_name',
  'security_identifier',
  'dns_domain_name',
  'netbios_name',
  'deleted_at',
] as const;

// Who shows the same as before has not changed, and who is deleted has shown that already.
const changed = (differs: string) => SHOWN.map((name) => `NEW.${name} ${differs} OLD.${name}`).join(' OR ');
const note = (objectId: string) => `INSERT INTO domain_services_pending (object_id) VALUES (${objectId});`;
const noteOwner = `INSERT INTO domain_services_pending (object_id) SELECT object_id FROM users WHERE id = NEW.user_id;`;

interface Trigger {
  readonly name: string;
  readonly on: string;
  readonly when?: string;
  readonly act: string;
}
const triggers = (differs: string): readonly Trigger[] => [
  { name: 'users_noted_new', on: 'INSERT ON users', act: note('NEW.object_id') },
  {
    name: 'users_noted_changed',
    on: `UPDATE OF ${SHOWN.join(', ')} ON users`,
    when: changed(differs),
    act: note('NEW.object_id'),
  },
  { name: 'users_noted_gone', on: 'DELETE ON users', when: 'OLD.deleted_at IS NULL', act: note('OLD.object_id') },
  { name: 'windows_credentials_noted_new', on: 'INSERT ON windows_credentials', act: noteOwner },
  { name: 'windows_credentials_noted_changed', on: 'UPDATE ON windows_credentials', act: noteOwner },
];

const statements: Readonly<Record<Dialect, { readonly make: readonly string[]; readonly drop: readonly string[] }>> = {
  sqlite: {
    make: triggers('IS NOT').map(
      ({ name, on, when, act }) =>
        `CREATE TRIGGER ${name} AFTER ${on} ${when === undefined ? '' : `WHEN ${when}`} BEGIN ${act} END`,
    ),
    drop: triggers('').map(({ name }) => `DROP TRIGGER IF EXISTS ${name}`),
  },
  postgres: {
    make: triggers('IS DISTINCT FROM').flatMap(({ name, on, when, act }) => [
      `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${act} RETURN NULL; END $$`,
      `CREATE TRIGGER ${name} AFTER ${on} FOR EACH ROW ${when === undefined ? '' : `WHEN (${when})`} EXECUTE FUNCTION ${name}()`,
    ]),
    drop: triggers('').flatMap(({ name, on }) => [
      `DROP TRIGGER IF EXISTS ${name} ON ${on.slice(on.lastIndexOf(' ') + 1)}`,
      `DROP FUNCTION IF EXISTS ${name}()`,
    ]),
  },
};

/**
 * The statements that begin to note changes, where none are noted yet. On PostgreSQL the first of them waits for every
 * transaction that writes users, and those that come later wait for the end of this one: no change falls between.
 */
export const notesBegin = (dialect: Dialect): readonly string[] => statements[dialect].make;

/** The statements that end it, where it is so. */
export const notesEnd = (dialect: Dialect): readonly string[] => statements[dialect].drop;

/** Within a transaction. */
export async function runAll(queries: Queries, texts: readonly string[]): Promise<void> {
  for (const text of texts) await sql.raw(text).execute(queries);
}
