/**
 * NT hashes and Kerberos keys of one real domain in another one: what Samba's database of the first keeps is written into
 * the second's, and people log on there with the password of the first, by programs that know nothing of it.
 */

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { helperProgram } from '#src/domain-services/samba/helper-process.js';
import { SambaWriter } from '#src/domain-services/samba/samba-writer.js';
import type {
  AppliedChange,
  ManagedChange,
  ManagedSecrets,
  ManagedUser,
  Outcome,
} from '#src/domain-services/writer.js';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import { type DcUser, describeDc, facts, setPasswords, users } from './dc.js';
import { type Enctype, LogOn } from './log-on.js';
import { Look, type StoredSecrets } from './look.js';
import { OwnDc } from './own-dc.js';

const AES256: Enctype = 'aes256-cts-hmac-sha1-96';
const AES128: Enctype = 'aes128-cts-hmac-sha1-96';
const RC4: Enctype = 'arcfour-hmac';
const REALM = 'MANAGED.TEST';

let managed: OwnDc;
let logOn: LogOn;
let writer: SambaWriter;
/** What Samba keeps in the first domain, and in the managed one. */
let here: Look;
let there: Look;

const firstSecrets = async (name: string): Promise<StoredSecrets> => (await here.secrets([name])).get(name)!;

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

const secretsOf = ({ ntHash, supplementalCredentials, pwdLastSet }: StoredSecrets): ManagedSecrets => ({
  ntHash: Buffer.from(ntHash!, 'hex'),
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

interface Vector {
  readonly name: string;
  readonly hex: string;
}

/** MS-DTYP 2.3.4.2: the first three fields in little-endian order. */
function guidBytes(guid: string): Buffer {
  const [a, b, c, d, e] = guid.split('-').map((part) => Buffer.from(part, 'hex'));
  return Buffer.concat([a!.reverse(), b!.reverse(), c!.reverse(), d!, e!]);
}
const guidFilter = (guid: string) => guidBytes(guid).toString('hex').replace(/../g, '\\$&');

/** Another run of the program on the same domain controller. */
async function anotherWriter() {
  const other = new SambaWriter({ smbConf: join(managed.directory, 'smb.conf'), log: pino({ level: 'silent' }) });
  await other.open();
  return { writer: other, [Symbol.asyncDispose]: () => other.close() };
}

/** Processes of writers, the latest last. */
const helpers = () =>
  execFileSync('pgrep', ['-P', String(process.pid), '-f', 'samba_writer'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number)
    .sort((a, b) => a - b);

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
  let people: DcUser[] = [];

  beforeAll(async () => {
    managed = await OwnDc.start({ realm: REALM, host: 'mdc1' });
    // Samba's own number, which dc/start takes away: former passwords count.
    managed.modify(
      `dn: ${managed.facts.baseDn}\nchangetype: modify\nreplace: pwdHistoryLength\npwdHistoryLength: 24\n\n`,
    );
    logOn = new LogOn(managed.facts);
    here = new Look(facts().directory);
    there = new Look(managed.directory);
    writer = new SambaWriter({ smbConf: join(managed.directory, 'smb.conf'), log: pino({ level: 'silent' }) });
    await writer.open();
    const kinds = ['plain', 'unicode', 'long'];
    people = users().filter(({ kind, name }) => kinds.includes(kind) || /^u000000[1-5]$/.test(name));
  });
  afterAll(async () => {
    // Other tests know them by the passwords of the manifest.
    setPasswords(people.map(({ dn, password }) => ({ dn, password: password! })));
    here?.close();
    there?.close();
    await writer?.close();
    await managed?.close();
  });

  it('lets people log on with the password of the first domain, in every way', async () => {
    const secrets = await here.secrets(people.map(({ name }) => name));
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

  it('has nobody change a password here, where the next change of the first domain would undo it', async () => {
    const { name, password } = people[0]!;
    expect(await logOn.changePassword(nameHere(name), password!, 'Another.Passw0rd.3')).toBe('refused');
  });

  it('has an old password fail everywhere once the new one came, and takes no older one afterwards', async () => {
    const [, , , person] = people;
    const { name, dn, password } = person!;
    const before = await firstSecrets(name);
    await applied(change(userOf(name), secretsOf(before)));
    expect(await everyWay(name, password!)).toEqual(all('in'));
    setPasswords([{ dn, password: 'Changed.Passw0rd.2' }]);
    const after = await firstSecrets(name);
    expect((await applied(change(userOf(name), secretsOf(after)))).password).toBe('written');
    // Samba lets the password before the present one log on by NTLM for an hour, where it is in the history.
    expect(await everyWay(name, password!)).toEqual(all('wrong password'));
    expect(await everyWay(name, 'Changed.Passw0rd.2')).toEqual(all('in'));
    // A replay.
    expect((await applied(change(userOf(name), secretsOf(before)))).password).toBe('older');
    expect(await everyWay(name, 'Changed.Passw0rd.2')).toEqual(all('in'));
    expect(await logOn.kinit(nameHere(name), password!, AES256)).toBe('wrong password');
  });

  it('writes what is there already not again: the version of the keys stays', async () => {
    const { name } = people[0]!;
    const secrets = secretsOf(await firstSecrets(name));
    await applied(change(userOf(name), secrets));
    const version = (await there.secrets([nameHere(name)])).get(nameHere(name))!.keyVersion;
    expect(await applied(change(userOf(name), secrets))).toEqual({
      result: 'unchanged',
      samAccountName: nameHere(name),
      password: 'unchanged',
      notes: [],
    });
    expect((await there.secrets([nameHere(name)])).get(nameHere(name))!.keyVersion).toBe(version);
  });

  it('takes the Kerberos keys of an earlier password away where the next comes without', async () => {
    const { name, password } = people[0]!;
    const secrets = secretsOf(await firstSecrets(name));
    await applied(change(userOf(name), secretsOf(await firstSecrets(name))));
    expect(await logOn.kinit(nameHere(name), password!, AES256)).toBe('in');
    const later = { ...secrets, kerberosKeys: undefined, changedAt: secrets.changedAt + 10_000_000n };
    expect((await applied(change(userOf(name), later))).password).toBe('written');
    const ways = { rc4: 'in', ntlm: 'in', ldap: 'in' };
    expect(await everyWay(name, password!)).toMatchObject({ ...ways, aes256: 'no such key', aes128: 'no such key' });
  });

  it('has AES alone log on where the NT hash is a random one, as with SyncNtlmPasswords switched off', async () => {
    const { name, password } = people[1]!;
    const secrets = { ...secretsOf(await firstSecrets(name)), ntHash: randomBytes(16) };
    // At the same time of change: a full synchronization after the setting was switched.
    expect((await applied(change(userOf(name), secrets))).password).toBe('written');
    expect(await everyWay(name, password!)).toEqual({
      aes256: 'in',
      aes128: 'in',
      rc4: 'wrong password',
      ntlm: 'wrong password',
      ldap: 'wrong password',
    });
  });

  it('makes a user without a password who cannot log on with any, not with an empty one either', async () => {
    expect(await applied(change(userOf('nobody')))).toEqual({
      result: 'created',
      samAccountName: nameHere('nobody'),
      notes: [],
    });
    for (const password of ['', 'anything']) {
      expect(await logOn.ntlm(nameHere('nobody'), password)).not.toBe('in');
    }
    expect(await logOn.kinit(nameHere('nobody'), 'anything', RC4)).not.toBe('in');
    expect(await logOn.kinit(nameHere('nobody'), 'anything', AES256)).not.toBe('in');
    expect(await logOn.ldap(`nobody@${facts().dnsDomain}`, 'anything')).toBe('wrong password');
  });

  it('has the attributes of the account follow', async () => {
    const sid = 'S-1-5-21-111-222-333-4444';
    await applied(change(userOf('changing', { enabled: false, passwordNeverExpires: false, securityIdentifier: sid })));
    const filter = `(mS-DS-ConsistencyGuid=${guidFilter(objectId('changing'))})`;
    const names = [
      'sAMAccountName',
      'userAccountControl',
      'sIDHistory',
      'userPrincipalName',
      'displayName',
      'givenName',
      'sn',
      'mail',
      'adminDescription',
    ];
    expect(await there.find(filter, ...names)).toEqual([
      {
        dn: ['CN=Person changing,OU=AADDC Users,DC=managed,DC=test'],
        sAMAccountName: ['m.changing'],
        userAccountControl: [String(0x200 | 0x2)],
        sIDHistory: [sid],
        userPrincipalName: [`changing@${facts().dnsDomain}`],
        displayName: ['Person changing'],
        givenName: ['Person'],
        sn: ['changing'],
        mail: ['changing@mail.test'],
        adminDescription: [`User_${objectId('changing')}`],
      },
    ]);
    const changed = userOf('changing', {
      samAccountNames: ['m.changed'],
      commonNames: ['Umbenannt, "Person" <ö> +;#=\\'],
      userPrincipalName: `changed@${facts().dnsDomain}`,
      displayName: 'Umbenannt',
      givenName: undefined,
      surname: 'Neu',
      securityIdentifier: undefined,
    });
    expect(await applied(change(changed))).toEqual({
      result: 'updated',
      samAccountName: 'm.changed',
      changed: [
        ...['userPrincipalName', 'displayName', 'givenName', 'sn', 'sAMAccountName'],
        ...['enabled', 'passwordNeverExpires', 'cn'],
      ],
      notes: [],
    });
    const [entry] = await there.find(filter, ...names, 'cn');
    expect(entry).toMatchObject({
      cn: ['Umbenannt, "Person" <ö> +;#=\\'],
      sAMAccountName: ['m.changed'],
      userAccountControl: [String(0x200 | 0x10000)],
      userPrincipalName: [`changed@${facts().dnsDomain}`],
      sn: ['Neu'],
      // Where somebody has rights by it, it stays.
      sIDHistory: [sid],
    });
    expect(entry).not.toHaveProperty('givenName');
    expect(await applied(change(changed))).toMatchObject({ result: 'unchanged' });
  });

  it('refuses what is too large for the helper, of one user alone', async () => {
    const huge = randomBytes(64 * 1024 + 1);
    const secrets = { ntHash: randomBytes(16), kerberosKeys: undefined, changedAt: 133_000_000_000_000_000n };
    const outcomes = await apply(
      change(userOf('large-name', { displayName: 'x'.repeat(300_000) }), secrets),
      change(userOf('large-keys'), { ...secrets, kerberosKeys: huge }),
      change(userOf('no-keys'), { ...secrets, kerberosKeys: Buffer.alloc(0) }),
      change(userOf('small'), secrets),
    );
    expect(outcomes).toEqual([
      { error: { code: 'too-large', message: expect.stringMatching(/^the account has 3\d{5} bytes/) } },
      expect.objectContaining({
        result: 'created',
        passwordError: expect.objectContaining({ code: 'keys-too-large' }),
      }),
      expect.objectContaining({
        result: 'created',
        passwordError: expect.objectContaining({ code: 'keys-too-large' }),
      }),
      expect.objectContaining({ result: 'created', samAccountName: nameHere('small'), password: 'written' }),
    ]);
    expect(outcomes[1]).not.toHaveProperty('password');
    const keys = await there.secrets([nameHere('large-keys'), nameHere('small')]);
    expect(keys.get(nameHere('small'))!.ntHash).toBe(secrets.ntHash.toString('hex'));
    expect(keys.get(nameHere('large-keys'))?.ntHash ?? null).not.toBe(secrets.ntHash.toString('hex'));
    // Nothing at all that can be sent.
    expect(await apply(change(userOf('large-name', { displayName: 'x'.repeat(300_000) })))).toMatchObject([
      { error: { code: 'too-large' } },
    ]);
  });

  it('says of a disabled account that it is disabled, with the right password', async () => {
    const { name, password } = people[2]!;
    const secrets = secretsOf(await firstSecrets(name));
    await applied(change(userOf(name, { enabled: false }), secrets));
    const answers = await everyWay(name, password!);
    expect(answers).toMatchObject({ aes256: 'disabled', aes128: 'disabled', rc4: 'disabled', ntlm: 'disabled' });
    expect(answers.ldap).not.toBe('in');
    await applied(change(userOf(name), secrets));
    expect(await everyWay(name, password!)).toEqual(all('in'));
  });

  it("makes another name where one is somebody else's, and leaves that account alone", async () => {
    const twins = ['twin-a', 'twin-b'].map((name) =>
      userOf(name, { samAccountNames: ['m.twin', `m.twin-${name.slice(-1)}`], commonNames: ['Twin', `Twin ${name}`] }),
    );
    const outcomes = await apply(...twins.map((user) => change(user)));
    expect(outcomes.map((each) => (each as AppliedChange).samAccountName)).toEqual(['m.twin', 'm.twin-b']);
    // Names of the domain itself.
    const user = userOf('krbtgt', { samAccountNames: ['krbtgt', 'Domain Admins', 'mdc1$', 'm.free'] });
    expect(await applied(change(user))).toMatchObject({ result: 'created', samAccountName: 'm.free' });
    const [refused] = await apply(change(userOf('taken', { samAccountNames: ['krbtgt'] })));
    expect(refused).toMatchObject({ error: { code: 'names-taken', message: expect.stringContaining('krbtgt') } });
  });

  it('has two people swap their userPrincipalNames, whoever comes first', async () => {
    const named = (name: string, local: string) => userOf(name, { userPrincipalName: `${local}@swap.test` });
    await apply(change(named('swap-a', 'a')), change(named('swap-b', 'b')));
    const outcomes = await apply(change(named('swap-a', 'b')), change(named('swap-b', 'a')));
    expect(outcomes).toMatchObject([{ result: 'updated', displaced: [objectId('swap-b')] }, { result: 'updated' }]);
    for (const [name, upn] of [
      ['swap-a', 'b@swap.test'],
      ['swap-b', 'a@swap.test'],
    ]) {
      const [entry] = await there.find(`(sAMAccountName=m.${name})`, 'userPrincipalName');
      expect(entry!.userPrincipalName).toEqual([upn]);
    }
    // Of an account that another made nothing is taken.
    const dn = `CN=Own,CN=Users,${managed.facts.baseDn}`;
    managed.modify(
      `dn: ${dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: own\nuserPrincipalName: own@swap.test\n\n`,
    );
    const [refused] = await apply(change(named('swap-a', 'own')));
    expect(refused).toMatchObject({ error: { code: 'ldb', message: expect.stringContaining('own@swap.test') } });
    expect((await there.find('(sAMAccountName=own)', 'userPrincipalName'))[0]).toMatchObject({
      userPrincipalName: ['own@swap.test'],
    });
  });

  it("gives the name before the domain's own to whoever has it as userPrincipalName", async () => {
    const { dnsDomain } = managed.facts;
    const kim = (name: string, domain: string) =>
      userOf(name, { samAccountNames: ['kim', `kim-${name}`], userPrincipalName: `kim@${domain}` });
    expect(await applied(change(kim('other', 'elsewhere.test')))).toMatchObject({ samAccountName: 'kim' });
    expect(await applied(change(kim('real', dnsDomain)))).toMatchObject({
      result: 'created',
      samAccountName: 'kim',
      displaced: [objectId('other')],
    });
    expect(await applied(change(kim('other', 'elsewhere.test')))).toMatchObject({ samAccountName: 'kim-other' });
    // Implied by a userPrincipalName alone.
    await applied(change(userOf('lee', { userPrincipalName: `lee@${dnsDomain}` })));
    const third = userOf('third', { samAccountNames: ['lee', 'lee-third'] });
    expect(await applied(change(third))).toMatchObject({ result: 'created', samAccountName: 'lee-third' });
    // A domain controller's name without its $ is one that a KDC may take for it.
    const likeDc = userOf('like-dc', { samAccountNames: ['mdc1', 'm.like-dc'] });
    expect(await applied(change(likeDc))).toMatchObject({ samAccountName: 'm.like-dc' });
  });

  it('gives no SID to two accounts', async () => {
    const securityIdentifier = 'S-1-5-21-111-222-333-5555';
    const [one, two] = ['one-sid', 'two-sids'].map((name) => userOf(name, { securityIdentifier }));
    expect(await applied(change(one!))).toMatchObject({ notes: [] });
    expect(await applied(change(one!))).toMatchObject({ result: 'unchanged', notes: [] });
    expect(await applied(change(two!))).toMatchObject({ result: 'created', notes: ['sid-left-out'] });
    expect(await applied(change(two!))).toMatchObject({ result: 'unchanged', notes: ['sid-left-out'] });
  });

  it('takes no SID of this domain, of its built-in groups, or that is none, for sIDHistory', async () => {
    const { domainSid } = managed.facts;
    const sids = [
      `${domainSid}-1103`,
      'S-1-5-21-1-2-3-512',
      'S-1-5-32-544',
      'S-1-5-18',
      'nonsense',
      'S-1-5-21-1-2-3-4-5000',
    ];
    for (const [i, securityIdentifier] of sids.entries()) {
      const outcome = await applied(change(userOf(`sid${i}`, { securityIdentifier })));
      expect(outcome, securityIdentifier).toMatchObject({ result: 'created', notes: ['sid-left-out'] });
      expect((await there.find(`(sAMAccountName=m.sid${i})`, 'sIDHistory'))[0]).not.toHaveProperty('sIDHistory');
    }
  });

  it('deletes whom it made, and nobody else', async () => {
    await applied(change(userOf('leaving')));
    const deleted: ManagedChange = { kind: 'deleted', objectId: objectId('leaving') };
    expect(await applied(deleted)).toEqual({ result: 'deleted', notes: [] });
    expect(await applied(deleted)).toEqual({ result: 'absent', notes: [] });
    expect(await there.find('(sAMAccountName=m.leaving)')).toEqual([]);
    // Whoever has the anchor alone was made by another.
    const dn = `CN=Foreign,CN=Users,${managed.facts.baseDn}`;
    const anchor = Buffer.from(guidBytes(objectId('foreign'))).toString('base64');
    managed.modify(
      `dn: ${dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: foreign\nmS-DS-ConsistencyGuid:: ${anchor}\n\n`,
    );
    expect(await applied({ kind: 'deleted', objectId: objectId('foreign') })).toEqual({ result: 'absent', notes: [] });
    expect(await there.find('(sAMAccountName=foreign)')).toHaveLength(1);
  });

  it('finds again whom it made just before it was cut off, and makes nobody twice', async () => {
    const user = userOf('cut-off');
    await applied(change(user));
    // Knows of nobody: a helper that was started before that user was made would not.
    await using other = await anotherWriter();
    const { users: known } = await other.writer.open();
    expect(known).toContain(user.objectId);
    await applied(change(userOf('made-meanwhile')));
    const [outcome] = await other.writer.apply([change(userOf('made-meanwhile'))]);
    expect(outcome).toMatchObject({ result: 'created', samAccountName: nameHere('made-meanwhile') });
    const filter = `(mS-DS-ConsistencyGuid=${guidFilter(objectId('made-meanwhile'))})`;
    expect(await there.find(filter)).toHaveLength(1);
  });

  it('does nothing in a rehearsal but say what it would do', async () => {
    const outcomes = await writer.apply([change(userOf('rehearsed')), change(userOf('rehearsed'))], { dryRun: true });
    expect(outcomes).toMatchObject([{ result: 'created' }, { result: 'unchanged' }]);
    expect(await there.find('(sAMAccountName=m.rehearsed)')).toEqual([]);
    expect(await applied(change(userOf('rehearsed')))).toMatchObject({ result: 'created' });
  });

  it('writes the others of a batch in which one cannot be written', async () => {
    const long = 'x'.repeat(2000);
    const [one, bad, two] = await apply(
      change(userOf('good-1')),
      change(userOf('bad', { userPrincipalName: long })),
      change(userOf('good-2')),
    );
    expect([one, two]).toMatchObject([{ result: 'created' }, { result: 'created' }]);
    expect(bad).toMatchObject({ error: { code: 'ldb' } });
    expect(await there.find('(sAMAccountName=m.bad)')).toEqual([]);
  });

  it('answers in the order of the changes, and applies them in it, where several of a batch cannot be written', async () => {
    const bad = (name: string) => change(userOf(name, { userPrincipalName: 'x'.repeat(2000) }));
    const good = (name: string, more: Partial<ManagedUser> = {}) => change(userOf(name, more));
    const outcomes = await apply(
      good('several-1'),
      bad('several-2'),
      good('several-3'),
      good('several-1', { displayName: 'later' }),
      bad('several-5'),
      { kind: 'deleted', objectId: objectId('several-3') },
      good('several-7'),
    );
    expect(outcomes).toMatchObject([
      { result: 'created', samAccountName: 'm.several-1' },
      { error: { code: 'ldb' } },
      { result: 'created', samAccountName: 'm.several-3' },
      { result: 'updated', changed: ['displayName'] },
      { error: { code: 'ldb' } },
      { result: 'deleted' },
      { result: 'created', samAccountName: 'm.several-7' },
    ]);
    expect(await there.find('(sAMAccountName=m.several-*)', 'displayName')).toMatchObject([
      { displayName: ['later'] },
      { displayName: ['Person several-7'] },
    ]);
  });

  it('gives an account the rights of any other in its place, but for the password', async () => {
    const { name } = people[0]!;
    await applied(change(userOf(name), secretsOf(await firstSecrets(name))));
    await applied(change(userOf('no-password-yet')));
    const dn = `CN=Made by hand,OU=AADDC Users,${managed.facts.baseDn}`;
    managed.modify(`dn: ${dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: byhand\n\n`);
    const descriptor = async (account: string) => {
      const [entry] = await there.find(`(sAMAccountName=${account})`, 'nTSecurityDescriptor');
      return entry!.nTSecurityDescriptor![0]!;
    };
    const byHand = await descriptor('byhand');
    const cannotChange = ['WD', 'PS'].map((who) => `(OD;;CR;ab721a53-1e2f-11d0-9819-00aa0040529b;;${who})`).join('');
    const expected = byHand.replace('D:AI', `D:AI${cannotChange}`);
    expect(expected).not.toBe(byHand);
    expect(await descriptor(nameHere(name))).toBe(expected);
    expect(await descriptor(nameHere('no-password-yet'))).toBe(expected);
  });

  it('stores the keys of every published blob that Windows wrote, where they can be used', async () => {
    const blobs = (JSON.parse(readFileSync(new URL('../vectors/suppcred.json', import.meta.url), 'utf8')) as Vector[])
      .map(({ name, hex }) => ({ name, keys: keepKerberosKeys(Buffer.from(hex, 'hex')) }))
      .filter(({ keys }) => keys !== undefined);
    expect(blobs.length).toBeGreaterThanOrEqual(5);
    for (const [i, { name, keys }] of blobs.entries()) {
      const secrets = {
        ntHash: Buffer.alloc(16, i),
        kerberosKeys: Buffer.from(keys!),
        changedAt: 134_000_000_000_000_000n,
      };
      const outcome = await applied(change(userOf(`vector${i}`), secrets));
      expect(outcome, name).toMatchObject({ password: 'written' });
      expect(await applied(change(userOf(`vector${i}`), secrets)), name).toMatchObject({ password: 'unchanged' });
    }
  });

  it('refuses keys that are none, makes the account all the same, and quotes nothing', async () => {
    const { name } = people[0]!;
    const good = secretsOf(await firstSecrets(name));
    const cases = [Buffer.alloc(111), good.kerberosKeys!.subarray(0, 900), randomBytes(500)];
    for (const [i, kerberosKeys] of cases.entries()) {
      const outcome = await applied(change(userOf(`keyless${i}`), { ...good, kerberosKeys }));
      expect(outcome).toMatchObject({ result: 'created', passwordError: { code: 'keys-malformed' } });
      expect(outcome.password).toBeUndefined();
      expect(JSON.stringify(outcome)).not.toMatch(/[0-9a-f]{24}/i);
    }
  });

  it('has neither secrets nor environment in the list of processes', async () => {
    const [helper] = helpers();
    const line = readFileSync(`/proc/${helper}/cmdline`, 'utf8').split('\0');
    expect(line.slice(1)).toEqual(['-I', '-B', helperProgram(), join(managed.directory, 'smb.conf'), '']);
    const environment = readFileSync(`/proc/${helper}/environ`, 'utf8')
      .split('\0')
      .map((each) => each.split('=')[0]);
    expect(environment.sort()).toEqual(['', 'LANG', 'PATH']);
    expect(readFileSync(`/proc/${helper}/limits`, 'utf8')).toMatch(/Max core file size +0 +0/);
    // Nor has it written anything beside its own modules.
    expect(readdirSync(helperProgram()).filter((name) => !name.endsWith('.py'))).toEqual([]);
  });

  it('finishes what it has in hand where a terminal interrupts the whole group of processes', async () => {
    await using other = await anotherWriter();
    const helper = helpers().at(-1)!;
    process.kill(helper, 'SIGINT');
    process.kill(helper, 'SIGHUP');
    expect(await other.writer.apply([change(userOf('interrupted'))])).toMatchObject([{ result: 'created' }]);
  });

  it('says so where its helper was killed, and opens again', async () => {
    await using other = await anotherWriter();
    process.kill(helpers().at(-1)!, 'SIGKILL');
    await expect(other.writer.apply([change(userOf('killed'))])).rejects.toMatchObject({
      code: 'managed-domain-helper',
      message: expect.stringContaining('SIGKILL'),
    });
    await other.writer.open();
    expect(await other.writer.apply([change(userOf('killed'))])).toMatchObject([{ result: 'created' }]);
  });

  it('refuses what is no domain controller, and a Python without Samba', async () => {
    const log = pino({ level: 'silent' });
    const none = new SambaWriter({ smbConf: '/dev/null', log });
    await expect(none.open()).rejects.toMatchObject({ code: 'managed-domain-not-a-dc' });
    await none.close();
    const python = new SambaWriter({ python: '/nonexistent/python3', log });
    await expect(python.open()).rejects.toMatchObject({
      code: 'managed-domain-helper',
      message: expect.stringContaining('managedDomain.python is /nonexistent/python3: no such file'),
    });
    await python.close();
  });

  it('says that it is for root, where the database is, and has Samba print nothing', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'phsync-nobody.'));
    try {
      // What nobody may read: a checkout and a domain's directory may be closed to others.
      chmodSync(directory, 0o755);
      const smbConf = join(directory, 'smb.conf');
      const python = join(directory, 'python');
      copyFileSync(join(managed.directory, 'smb.conf'), smbConf);
      cpSync(helperProgram(), join(directory, 'helper'), { recursive: true });
      const command = `exec setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 -I -B ${directory}/helper "$4"`;
      writeFileSync(python, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
      const lines: string[] = [];
      const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
      const nobody = new SambaWriter({ smbConf, python, log });
      await expect(nobody.open()).rejects.toMatchObject({
        code: 'managed-domain-not-root',
        message: expect.stringMatching(/sam\.ldb may not be opened by this user: run as root$/),
      });
      await nobody.close();
      expect(lines).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('does not write into a database that was put back from a backup meanwhile', async () => {
    await managed.stop();
    await managed.backUp();
    await applied(change(userOf('after-backup')));
    await managed.restore();
    await expect(apply(change(userOf('after-backup')))).rejects.toMatchObject({
      code: 'managed-domain-database-replaced',
    });
    const before = managed.facts.invocationId;
    const { users: known, invocationId } = await writer.open();
    expect(invocationId).not.toBe(before);
    expect(known).not.toContain(objectId('after-backup'));
    // Samba's own processes need not run for it.
    expect(await applied(change(userOf('after-backup')))).toMatchObject({ result: 'created' });
  });
});
