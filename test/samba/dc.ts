/** The domain controller that the tests run against: its facts, its accounts, and changes to them. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, inject, it } from 'vitest';

/** What `dc/start` says of the DC. */
export interface DcFacts {
  readonly directory: string;
  readonly pid: number;
  readonly host: string;
  readonly dnsHostName: string;
  readonly realm: string;
  readonly dnsDomain: string;
  readonly netbiosDomain: string;
  readonly adminUser: string;
  readonly adminPassword: string;
  readonly baseDn: string;
  readonly domainSid: string;
  readonly domainGuid: string;
  readonly ntdsGuid: string;
  readonly invocationId: string;
  readonly drsuapiPort: number;
  readonly samrPort: number;
  readonly krb5Config: string;
}

/** One account of the manifest that `dc/add-users` writes. */
export interface DcUser {
  readonly name: string;
  readonly kind: string;
  readonly dn: string;
  readonly objectGUID: string;
  readonly objectSid: string;
  readonly userAccountControl: number;
  readonly password: string | null;
  /** 32 hex digits; null: the account has no password. */
  readonly ntHash: string | null;
}

const scripts = join(dirname(fileURLToPath(import.meta.url)), 'dc');
const directory = inject('sambaDirectory');
const missing = inject('sambaMissing');

function need(): string {
  if (directory === undefined) throw new Error(`no domain controller: ${missing?.why}`);
  return directory;
}

/**
 * A `describe` that is skipped, with the reason in its name, where no domain controller can run; with CI=true, or
 * where one did not come up, it fails instead.
 */
export const describeDc = (name: string, body: () => void): void => {
  if (directory !== undefined) describe(name, body);
  else if (missing?.isFailure) describe(name, () => it('has a domain controller', need));
  else describe.skip(`${name} (no domain controller: ${missing?.why})`, body);
};

export const facts = (): DcFacts => JSON.parse(readFileSync(join(need(), 'facts.json'), 'utf8'));

export const users = (directory = need()): DcUser[] =>
  readFileSync(join(directory, 'users.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

/** The account of a special kind: `plain`, `disabled`, `must-change`, …, as `dc/add_users.py` lists them. */
export function special(kind: string): DcUser {
  const user = users().find((each) => each.kind === kind);
  if (user === undefined) throw new Error(`no account of the kind ${kind}`);
  return user;
}

/** Applies LDIF over LDAP as the administrator; `directory`: of another domain controller, see own-dc.ts. */
export function modify(ldif: string, directory = need()): void {
  const { status, stderr } = spawnSync(join(scripts, 'modify.py'), [directory], { input: ldif, encoding: 'utf8' });
  if (status !== 0) throw new Error(`modify.py failed (exit ${status}): ${stderr}`);
}

/** Sets passwords in the DC, as an administrator's tool does. */
export function setPasswords(
  changes: Iterable<{ readonly dn: string; readonly password: string }>,
  directory = need(),
): void {
  modify(
    [...changes]
      .map(({ dn, password }) => {
        const value = Buffer.from(`"${password}"`, 'utf16le').toString('base64');
        return `dn: ${dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${value}\n-\n\n`;
      })
      .join(''),
    directory,
  );
}
