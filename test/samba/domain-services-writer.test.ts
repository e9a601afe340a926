/**
 * NT hashes and Kerberos keys of one real domain in another one: what Samba's database of the first keeps is written into
 * the second's, and people log on there with the password of the first, by programs that know nothing of it.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SambaWriter } from '#src/domain-services/samba/samba-writer.js';
import type {
  AppliedChange,
  ManagedChange,
  ManagedSecrets,
  ManagedUser,
  Outcome,
} from '#src/domain-services/writer.js';
import { type DcUser, describeDc, facts, setPasswords, users } from './dc.js';
import { type Enctype, LogOn } from './log-on.js';
import { OwnDc } from './own-dc.js';

const here = dirname(fileURLToPath(import.meta.url));
const AES256: Enctype = 'aes256-cts-hmac-sha1-96';
const AES128: Enctype = 'aes128-cts-hmac-sha1-96';
const RC4: Enctype = 'arcfour-hmac';
const REALM = 'MANAGED.TEST';

let managed: OwnDc;
let logOn: LogOn;
let writer: SambaWriter;

interface Stored {
  readonly name: string;
  readonly ntHash: string;
  readonly supplementalCredentials: string | null;
  readonly pwdLastSet: string;
  readonly keyVersion: number;
}

/** What a DC keeps of these accounts, by Samba's own library. */
function stored(names: readonly string[], directory = facts().directory): Map<string, Stored> {
  const text = execFileSync(join(here, 'dc', 'secrets.py'), [directory, ...names], { encoding: 'utf8' });
  const rows = text
    .trim()
    .split('\n')
    .map((line): Stored => JSON.parse(line));
  return new Map(rows.map((row) => [row.name, row]));
}

/** As the tenant would give one; the same for the same name. */
function objectId(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

/** Another one than in the first domain, whose special accounts are in this one, too. */
const nameHere = (name: string) => `m.${name}`;

function userOf(name: string, more: Partial<ManagedUser> = {}): ManagedUser {
  return {
    objectId: objectId(name),
    samAccountNames: [nameHere(name), `m-${objectId(name).slice(0, 8)}`],
    commonNames: [`Person ${name}`, `Person ${name} (${objectId(name).slice(0, 8)})`],
    userPrincipalName: `${name}@${facts().dnsDomain}`,
    displayName: `Person ${name}`,
    givenName: 'Person',
    surname: name,
    mail: `${name}@mail.test`,
    enabled: true,
    passwordNeverExpires: true,
    securityIdentifier: users().find((user) => user.name === name)?.objectSid,
    ...more,
  };
}

const secretsOf = ({ ntHash, supplementalCredentials, pwdLastSet }: Stored): ManagedSecrets => ({
  ntHash: Buffer.from(ntHash, 'hex'),
  kerberosKeys: supplementalCredentials === null ? undefined : Buffer.from(supplementalCredentials, 'hex'),
  changedAt: BigInt(pwdLastSet),
});

const change = (user: ManagedUser, secrets?: ManagedSecrets): ManagedChange => ({ kind: 'user', user, secrets });

async function apply(...changes: ManagedChange[]): Promise<readonly Outcome[]> {
  return writer.apply(changes);
}

/** The one outcome, which must not be a refusal. */
async function applied(one: ManagedChange): Promise<AppliedChange> {
  const [outcome] = await apply(one);
  expect(outcome).not.toHaveProperty('error');
  return outcome as AppliedChange;
}

/** An account's attributes in the managed domain, by ldbsearch's library. */
function attributes(filter: string, ...names: string[]): Record<string, string[]>[] {
  const program = [
    'import sys, json, ldb',
    'from samba import param',
    'from samba.auth import system_session',
    'from samba.samdb import SamDB',
    'lp = param.LoadParm(); lp.load(sys.argv[1] + "/smb.conf")',
    'sam = SamDB(session_info=system_session(), lp=lp)',
    'for e in sam.search(sam.domain_dn(), ldb.SCOPE_SUBTREE, sys.argv[2], attrs=sys.argv[3:]):',
    '    print(json.dumps({"dn": [str(e.dn)], **{k: [sam.schema_format_value(k, v).decode() for v in e[k]] for k in e if k != "dn"}}))',
  ].join('\n');
  const text = execFileSync('/usr/bin/python3', ['-c', program, managed.directory, filter, ...names], {
    encoding: 'utf8',
  });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** The log-ons of one person, by name of the way. */
async function everyWay(name: string, password: string, userPrincipalName = `${name}@${facts().dnsDomain}`) {
  const [aes256, aes128, rc4, ntlm, ldap] = await Promise.all([
    logOn.kinit(nameHere(name), password, AES256),
    logOn.kinit(nameHere(name), password, AES128),
    logOn.kinit(nameHere(name), password, RC4),
    logOn.ntlm(nameHere(name), password),
    logOn.ldap(userPrincipalName, password),
  ]);
  return { aes256, aes128, rc4, ntlm, ldap };
}
const all = (answer: string) => ({ aes256: answer, aes128: answer, rc4: answer, ntlm: answer, ldap: answer });

describeDc('the writer into a Samba domain', () => {
  let people: DcUser[];

  beforeAll(async () => {
    managed = await OwnDc.start({ realm: REALM, host: 'mdc1' });
    logOn = new LogOn(managed.facts);
    writer = new SambaWriter({ smbConf: join(managed.directory, 'smb.conf'), log: pino({ level: 'silent' }) });
    await writer.open();
    const kinds = ['plain', 'unicode', 'long'];
    people = users().filter(({ kind, name }) => kinds.includes(kind) || /^u000000[1-5]$/.test(name));
  });
  afterAll(async () => {
    await writer?.close();
    await managed?.close();
  });

  it('lets people log on with the password of the first domain, in every way', async () => {
    const secrets = stored(people.map(({ name }) => name));
    const outcomes = await apply(...people.map(({ name }) => change(userOf(name), secretsOf(secrets.get(name)!))));
    expect(outcomes).toEqual(
      people.map(({ name }) => ({ result: 'created', samAccountName: nameHere(name), password: 'written', notes: [] })),
    );
    for (const { name, password } of people) {
      expect(await everyWay(name, password!), name).toEqual(all('in'));
      expect(await everyWay(name, `${password}x`), name).toEqual(all('wrong password'));
    }
  });

  it("has the KDC name the first domain's salt", async () => {
    const { name, password } = people[0]!;
    const { realm } = facts();
    expect(await logOn.etypeInfo(nameHere(name), password!, AES256)).toContain(
      `etype aes256-cts, salt "${realm}${name}"`,
    );
  });
});
