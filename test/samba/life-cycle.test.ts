/**
 * What each change of an account does, from its making to its restoring: the table of scope and life cycle, with the
 * real agent and tenant. Asserted of each: what the tenant says at sign-in and holds, and the agent's status.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CycleReport } from '#src/agent/agent.js';
import { loadAgentConfig } from '#src/agent/config.js';
import { type CreatedAgent, createAgent } from '#src/agent/create-agent.js';
import { type OutcomeCode, outcomeNames } from '#src/agent/state/rows.js';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials } from '#src/provisioning/client-credentials.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { describeDc, facts, modify } from './dc.js';
import { type DirectoryOptions, Site, secrets, upnOf } from './harness.js';

// What the tenant answers at sign-in, or where it is 50126 has in its log: AADSTS numbers.
const SIGNED_IN = 0;
const UNKNOWN = 50034;
const WRONG = 50126;
const NO_PASSWORD = 50056;
const DISABLED = 50057;
const MUST_CHANGE = 50055;

const NORMAL = 0x200;
const ACCOUNT_DISABLED = 0x2;
const SMARTCARD_REQUIRED = 0x40000;
const FEATURES = DirSyncFeature.PasswordHashSync;
const TEMPORARY_PASSWORDS = DirSyncFeature.EnableUserForcePasswordChangeOnLogon;

/** What the tenant holds of a user, deleted ones too. */
interface TenantUser {
  readonly source_anchor: string;
  readonly deleted_at: number | null;
  readonly display_name: string | null;
  readonly force_change: number | null;
  readonly last_password_change: number | null;
}

const log = pino({ level: 'silent' });

describeDc('the life of an account', () => {
  let site: Site;
  const inside = () => `OU=Life Inside,${facts().baseDn}`;
  const outside = () => `OU=Life Outside,${facts().baseDn}`;
  const scope = (more: Readonly<Record<string, unknown>> = {}) => ({ include: [inside()], ...more });
  const dnOf = (name: string, ou = inside()) => `CN=${name},${ou}`;
  const quoted = (password: string) => Buffer.from(`"${password}"`, 'utf16le').toString('base64');

  function add(name: string, password: string, lines: readonly string[] = [], objectClass = 'user'): void {
    const account = [
      `dn: ${dnOf(name)}`,
      'changetype: add',
      `objectClass: ${objectClass}`,
      `sAMAccountName: ${name}`,
      `displayName: ${name}`,
      `unicodePwd:: ${quoted(password)}`,
      ...(lines.some((line) => line.startsWith('userAccountControl')) ? [] : [`userAccountControl: ${NORMAL}`]),
    ];
    modify(`${[...account, ...lines].join('\n')}\n\n`);
  }
  function set(dn: string, attributes: Readonly<Record<string, string | undefined>>): void {
    const changes = Object.entries(attributes).map(([name, value]) => {
      const line = name === 'unicodePwd' ? `unicodePwd:: ${quoted(value!)}` : `${name}: ${value}`;
      return value === undefined ? `delete: ${name}\n-` : `replace: ${name}\n${line}\n-`;
    });
    modify(`dn: ${dn}\nchangetype: modify\n${changes.join('\n')}\n\n`);
  }
  const move = (name: string, from: string, to: string, newName = name) =>
    modify(
      `dn: CN=${name},${from}\nchangetype: modrdn\nnewrdn: CN=${newName}\ndeleteoldrdn: 1\nnewsuperior: ${to}\n\n`,
    );
  const remove = (dn: string) => modify(`dn: ${dn}\nchangetype: delete\n\n`);

  /** The agent of the configuration that was asked for last: it keeps its connection from cycle to cycle. */
  let current: { readonly config: string; readonly agent: CreatedAgent } | undefined;
  async function stopAgent(): Promise<void> {
    await current?.agent.close();
    current = undefined;
  }
  async function sync(options: DirectoryOptions = {}): Promise<CycleReport> {
    const file = site.agentConfig({ scope: scope(), ...options });
    const config = readFileSync(file, 'utf8');
    if (current?.config !== config) {
      await stopAgent();
      current = { config, agent: await createAgent(await loadAgentConfig(file), { log, env: secrets }) };
    }
    const [report] = await current.agent.agent.cycle({ signal: new AbortController().signal });
    if (report?.error !== undefined) throw new Error(`${report.error.code}: ${report.error.message}`);
    return report!;
  }
  const signIn = (name: string, password: string) => site.signIn(upnOf(name), password);

  function inTenant(name: string): TenantUser | undefined {
    const database = new Database(join(site.tenantState, 'tenant.sqlite'), { readonly: true });
    try {
      return database
        .prepare(
          `SELECT source_anchor, deleted_at, display_name, force_change, last_password_change
           FROM users LEFT JOIN credentials ON user_id = id WHERE user_principal_name = ?`,
        )
        .get(upnOf(name)) as TenantUser | undefined;
    } finally {
      database.close();
    }
  }

  /** The agent's status of a user whom the tenant has, or has had, by objectGUID. */
  function status(name: string): string | undefined {
    const user = inTenant(name);
    if (user === undefined) return undefined;
    const database = new Database(join(site.agentState, 'agent.sqlite'), { readonly: true });
    try {
      const anchor = Buffer.from(user.source_anchor, 'base64');
      const outcome = database
        .prepare(
          'SELECT outcome FROM object WHERE (guid = ? OR source_anchor = ?) AND flags & 1 ORDER BY settled DESC LIMIT 1',
        )
        .pluck()
        .get(anchor, anchor) as OutcomeCode | undefined;
      return outcome === undefined ? undefined : outcomeNames[outcome];
    } finally {
      database.close();
    }
  }

  async function setFeatures(dirSyncFeatures: number): Promise<void> {
    const { url, tokenUrl, ca } = site.tenant;
    const pem = readFileSync(ca, 'utf8');
    const credentials = createClientCredentials({
      tokenUrl,
      clientId: 'agent-1',
      clientSecret: secrets.PHSYNC_AGENT_SECRET,
      scope: 'https://graph.windows.net/.default',
      ca: pem,
    });
    const client = createProvisioningClient({
      url: `${url}/provisioningservice.svc`,
      ca: pem,
      token: (force) => credentials.token(force),
    });
    await client.setCompanyDirsyncFeatures(dirSyncFeatures);
    await client.close();
    await credentials.close();
  }

  beforeAll(async () => {
    site = await Site.start();
    for (const dn of [inside(), outside()]) modify(`dn: ${dn}\nchangetype: add\nobjectClass: organizationalUnit\n\n`);
    await sync();
  });
  afterAll(async () => {
    await stopAgent();
    await site?.stop();
    // Other tests count this domain's users.
    for (const dn of [inside(), outside()]) remove(dn);
  });

  it('created, changed, renamed', async () => {
    const name = 'life.one';
    add(name, 'Created.Passw0rd.1');
    expect(await sync()).toMatchObject({ created: 1, credentialsSent: 1, failed: 0 });
    expect(await signIn(name, 'Created.Passw0rd.1')).toBe(SIGNED_IN);
    expect(status(name)).toBe('Success');

    set(dnOf(name), { unicodePwd: 'Changed.Passw0rd.2' });
    expect(await sync()).toMatchObject({ updated: 0, credentialsSent: 1, pwdLastSetOnly: 0 });
    expect(await signIn(name, 'Created.Passw0rd.1')).toBe(WRONG);
    expect(await signIn(name, 'Changed.Passw0rd.2')).toBe(SIGNED_IN);

    const { source_anchor: anchor } = inTenant(name)!;
    move(name, inside(), inside(), 'Life Renamed');
    set(dnOf('Life Renamed'), { displayName: 'Renamed', sAMAccountName: 'life.renamed' });
    expect(await sync()).toMatchObject({ updated: 1, created: 0, deleted: 0, credentialsSent: 0 });
    expect(await signIn(name, 'Changed.Passw0rd.2')).toBe(UNKNOWN);
    expect(await signIn('life.renamed', 'Changed.Passw0rd.2')).toBe(SIGNED_IN);
    expect(inTenant('life.renamed')).toMatchObject({ source_anchor: anchor, display_name: 'Renamed' });
    expect(await sync()).toMatchObject({ seen: 0 });
  });

  it('moved out of scope and back', async () => {
    const [name, password] = ['life.moved', 'Moved.Passw0rd.1'];
    add(name, password);
    await sync();
    move(name, inside(), outside());
    expect(await sync()).toMatchObject({ deleted: 1 });
    expect(await signIn(name, password)).toBe(UNKNOWN);
    expect(status(name)).toBeUndefined();
    // What changes out there reaches nobody, and is there after the way back.
    set(dnOf(name, outside()), { unicodePwd: 'Moved.Passw0rd.2' });
    expect(await sync()).toMatchObject({ credentialsSent: 0, created: 0 });
    move(name, outside(), inside());
    expect(await sync()).toMatchObject({ created: 1, credentialsSent: 1 });
    expect(await signIn(name, password)).toBe(WRONG);
    expect(await signIn(name, 'Moved.Passw0rd.2')).toBe(SIGNED_IN);
    expect(status(name)).toBe('Success');
  });

  it('disabled, with a new password meanwhile, and enabled again', async () => {
    const [name, password] = ['life.disabled', 'Disabled.Passw0rd.1'];
    add(name, password);
    await sync();
    set(dnOf(name), { userAccountControl: String(NORMAL | ACCOUNT_DISABLED) });
    expect(await sync()).toMatchObject({ updated: 1, credentialsSent: 0, deleted: 0 });
    expect(await signIn(name, password)).toBe(DISABLED);
    set(dnOf(name), { unicodePwd: 'Disabled.Passw0rd.2' });
    expect(await sync()).toMatchObject({ credentialsSent: 1 });
    set(dnOf(name), { userAccountControl: String(NORMAL) });
    expect(await sync()).toMatchObject({ updated: 1, credentialsSent: 0 });
    expect(await signIn(name, password)).toBe(WRONG);
    expect(await signIn(name, 'Disabled.Passw0rd.2')).toBe(SIGNED_IN);
    expect(status(name)).toBe('Success');
  });

  it('deleted, and restored from its tombstone, which has kept no password: the tenant has kept it', async () => {
    const [name, password] = ['life.deleted', 'Deleted.Passw0rd.1'];
    add(name, password);
    await sync();
    const { source_anchor: anchor } = inTenant(name)!;
    remove(dnOf(name));
    expect(await sync()).toMatchObject({ deleted: 1 });
    expect(await signIn(name, password)).toBe(UNKNOWN);
    expect(status(name)).toBeUndefined();
    const bytes = Buffer.from(anchor, 'base64');
    const guid = [
      bytes.subarray(0, 4).toReversed(),
      bytes.subarray(4, 6).toReversed(),
      bytes.subarray(6, 8).toReversed(),
      bytes.subarray(8, 10),
      bytes.subarray(10),
    ]
      .map((part) => Buffer.from(part).toString('hex'))
      .join('-');
    modify(
      `dn: <GUID=${guid}>\nchangetype: modify\ndelete: isDeleted\n-\nreplace: distinguishedName\n` +
        `distinguishedName: ${dnOf(name)}\n-\n\n`,
    );
    const restored = await sync();
    expect(restored).toMatchObject({ failed: 0, created: 1, credentialsSent: 0 });
    expect(inTenant(name)).toMatchObject({ source_anchor: anchor, deleted_at: null });
    expect(await signIn(name, password)).toBe(SIGNED_IN);
    set(dnOf(name), { unicodePwd: 'Deleted.Passw0rd.2', userAccountControl: String(NORMAL) });
    await sync();
    expect(await signIn(name, 'Deleted.Passw0rd.2')).toBe(SIGNED_IN);
    expect(await signIn(name, password)).toBe(WRONG);
    expect(status(name)).toBe('Success');
  });

  it('"Password sync is only supported for the object type user in Active Directory. It isn\'t supported for the iNetOrgPerson object type."', async () => {
    add('life.inetorg', 'InetOrg.Passw0rd.1', [], 'inetOrgPerson');
    expect(await sync()).toMatchObject({ inScope: 0, created: 0, credentialsSent: 0 });
    expect(await signIn('life.inetorg', 'InetOrg.Passw0rd.1')).toBe(UNKNOWN);
    expect(inTenant('life.inetorg')).toBeUndefined();
  });

  describe('must change at next log-on', () => {
    const NEVER_CHANGED = Date.UTC(1601, 0, 1);

    it('"A new user created in Active Directory with "User must change password at next logon" flag will always be provisioned in Microsoft Entra ID with a password policy to "Force change password on next sign-in"": without password and marked; released, the password goes', async () => {
      const [name, password] = ['life.temporary', 'Temporary.Passw0rd.1'];
      add(name, password, ['pwdLastSet: 0']);
      expect(await sync()).toMatchObject({ created: 1, credentialsSent: 0, filtered: 1 });
      expect(await signIn(name, password)).toBe(NO_PASSWORD);
      expect(inTenant(name)?.last_password_change).toBe(NEVER_CHANGED);
      expect(status(name)).toBe('FilteredByTarget');
      set(dnOf(name), { pwdLastSet: '-1' });
      expect(await sync()).toMatchObject({ credentialsSent: 1, filtered: 0, pwdLastSetOnly: 0 });
      expect(await signIn(name, password)).toBe(SIGNED_IN);
      expect(inTenant(name)?.force_change).toBe(0);
      expect(status(name)).toBe('Success');
    });

    it('"If a user was created in Active Directory with "User must change password at next logon" before the feature was enabled, the user will receive an error while signing in. To remediate this issue, un-check and re-check the field"', async () => {
      const [name, password] = ['life.before', 'Before.Passw0rd.1'];
      add(name, password, ['pwdLastSet: 0']);
      await sync();
      await setFeatures(FEATURES | TEMPORARY_PASSWORDS);
      try {
        expect(await sync()).toMatchObject({ credentialsSent: 0 });
        expect(await signIn(name, password)).toBe(NO_PASSWORD);
        // Between two cycles: replication shows the 0 that was there before.
        set(dnOf(name), { pwdLastSet: '-1' });
        set(dnOf(name), { pwdLastSet: '0' });
        expect(await sync()).toMatchObject({ credentialsSent: 1 });
        expect(await signIn(name, password)).toBe(MUST_CHANGE);
        expect(inTenant(name)?.force_change).toBe(1);
      } finally {
        await setFeatures(FEATURES);
      }
    });

    it('"ForcePasswordChangeOnLogOn feature only affects admin password reset scenarios": a reset marks the password; ticking alone re-sends it, and is counted', async () => {
      const [name, password] = ['life.reset', 'Reset.Passw0rd.1'];
      add(name, password);
      await sync();
      expect(inTenant(name)?.force_change).toBe(0);
      await setFeatures(FEATURES | TEMPORARY_PASSWORDS);
      try {
        set(dnOf(name), { unicodePwd: 'Reset.Passw0rd.2', pwdLastSet: '0' });
        expect(await sync()).toMatchObject({ credentialsSent: 1, filtered: 0, pwdLastSetOnly: 0 });
        expect(await signIn(name, 'Reset.Passw0rd.2')).toBe(MUST_CHANGE);
        expect(inTenant(name)?.force_change).toBe(1);
        expect(status(name)).toBe('Success');

        set(dnOf(name), { pwdLastSet: '-1' });
        expect(await sync()).toMatchObject({ credentialsSent: 1, pwdLastSetOnly: 1 });
        expect(inTenant(name)?.force_change).toBe(0);

        set(dnOf(name), { pwdLastSet: '0' });
        expect(await sync()).toMatchObject({ credentialsSent: 1, pwdLastSetOnly: 1 });
        expect(inTenant(name)?.force_change).toBe(1);

        set(dnOf(name), { pwdLastSet: '-1' });
        set(dnOf(name), { pwdLastSet: '0' });
        expect(await sync()).toMatchObject({ credentialsSent: 1, pwdLastSetOnly: 1 });
        expect(inTenant(name)?.force_change).toBe(1);
        expect(await signIn(name, 'Reset.Passw0rd.2')).toBe(MUST_CHANGE);
        expect(await sync()).toMatchObject({ credentialsSent: 0 });
      } finally {
        await setFeatures(FEATURES);
      }
    });
  });

  it('with a smart card required: the password that was synchronized before dies', async () => {
    const [name, password] = ['life.smartcard', 'Smart.Passw0rd.1'];
    add(name, password);
    await sync();
    expect(await signIn(name, password)).toBe(SIGNED_IN);
    set(dnOf(name), { userAccountControl: String(NORMAL | SMARTCARD_REQUIRED) });
    expect(await sync()).toMatchObject({ credentialsSent: 1, failed: 0 });
    expect(await signIn(name, password)).toBe(WRONG);
    expect(status(name)).toBe('Success');
  });

  describe('expired', () => {
    const filetime = (time: number) => String((BigInt(time) + 11_644_473_600_000n) * 10_000n);
    const disabling = { connector: { disableExpiredAccounts: true } };

    it('"... an expired Active Directory account in an environment configured for password hash synchronization will still be active in Microsoft Entra ID." Unless the connector says otherwise', async () => {
      const [name, password] = ['life.expired', 'Expired.Passw0rd.1'];
      add(name, password, [`accountExpires: ${filetime(Date.UTC(2020, 0, 1))}`]);
      await sync();
      expect(await signIn(name, password)).toBe(SIGNED_IN);
      expect(await sync(disabling)).toMatchObject({ updated: 1, credentialsSent: 0 });
      expect(await signIn(name, password)).toBe(DISABLED);
      expect(await sync(disabling)).toMatchObject({ updated: 0 });
      set(dnOf(name), { accountExpires: '0' });
      expect(await sync(disabling)).toMatchObject({ updated: 1 });
      expect(await signIn(name, password)).toBe(SIGNED_IN);
      set(dnOf(name), { accountExpires: filetime(Date.UTC(2020, 0, 1)) });
      await sync(disabling);
      expect(await signIn(name, password)).toBe(DISABLED);
      // Switched off again.
      expect(await sync()).toMatchObject({ updated: 1 });
      expect(await signIn(name, password)).toBe(SIGNED_IN);
      expect(status(name)).toBe('Success');
    });

    it('by the clock, with no change in the directory', async () => {
      const [name, password] = ['life.expiring', 'Expiring.Passw0rd.1'];
      add(name, password, [`accountExpires: ${filetime(Date.now() + 3_600_000)}`]);
      await sync(disabling);
      expect(await signIn(name, password)).toBe(SIGNED_IN);
      // The agent's clock alone.
      await stopAgent();
      const config = site.agentConfig({ scope: scope(), ...disabling });
      const later = await site.run(['agent', '--config', config, '--once', '--json'], {}, ['faketime', '-f', '+2h']);
      expect(JSON.parse(later.stdout)).toMatchObject({ done: true, connectors: [{ seen: 0, updated: 1 }] });
      expect(await signIn(name, password)).toBe(DISABLED);
    });
  });

  describe('selective', () => {
    it('PHSFiltered: the user is in the tenant, the password is not sent until the mark goes', async () => {
      const [name, password] = ['life.filtered', 'Filtered.Passw0rd.1'];
      add(name, password, ['adminDescription: phsfiltered']);
      const selective = { scope: scope({ passwords: 'PHSFiltered' }) };
      expect(await sync(selective)).toMatchObject({ created: 1, failed: 0 });
      expect(await signIn(name, password)).toBe(NO_PASSWORD);
      expect(status(name)).toBe('FilteredByRule');
      set(dnOf(name), { unicodePwd: 'Filtered.Passw0rd.2' });
      expect(await sync(selective)).toMatchObject({ credentialsSent: 0, filteredByRule: 1 });
      set(dnOf(name), { adminDescription: undefined });
      expect(await sync(selective)).toMatchObject({ credentialsSent: 1 });
      expect(await signIn(name, 'Filtered.Passw0rd.2')).toBe(SIGNED_IN);
      expect(status(name)).toBe('Success');
      // Marked anew: the password that is there stays.
      set(dnOf(name), { adminDescription: 'PHSFiltered' });
      expect(await sync(selective)).toMatchObject({ credentialsSent: 0, filteredByRule: 1 });
      expect(await signIn(name, 'Filtered.Passw0rd.2')).toBe(SIGNED_IN);
      expect(status(name)).toBe('FilteredByRule');
    });

    it('PHSIncluded: passwords of those who are marked alone; the rule gone, those of the others go', async () => {
      add('life.included', 'Included.Passw0rd.1', ['adminDescription: PHSIncluded']);
      add('life.notmarked', 'NotMarked.Passw0rd.1');
      const selective = { scope: scope({ passwords: 'PHSIncluded' }) };
      expect(await sync(selective)).toMatchObject({ created: 2, credentialsSent: 1 });
      expect(await signIn('life.included', 'Included.Passw0rd.1')).toBe(SIGNED_IN);
      expect(await signIn('life.notmarked', 'NotMarked.Passw0rd.1')).toBe(NO_PASSWORD);
      expect(status('life.notmarked')).toBe('FilteredByRule');
      await sync();
      expect(await signIn('life.notmarked', 'NotMarked.Passw0rd.1')).toBe(SIGNED_IN);
    });

    it('cloudFiltered by a condition, and adminDescription User_: not in the tenant', async () => {
      add('life.contractor', 'Contractor.Passw0rd.1', ['department: CONTRACTORS north']);
      add('life.writtenback', 'Written.Passw0rd.1', ['adminDescription: user_1234']);
      const cloudFiltered = [{ attribute: 'department', startsWith: 'Contractors' }];
      const filtering = { scope: scope({ cloudFiltered }) };
      await sync(filtering);
      expect(await signIn('life.contractor', 'Contractor.Passw0rd.1')).toBe(UNKNOWN);
      expect(await signIn('life.writtenback', 'Written.Passw0rd.1')).toBe(UNKNOWN);
      set(dnOf('life.contractor'), { department: 'Sales' });
      expect(await sync(filtering)).toMatchObject({ created: 1, credentialsSent: 1 });
      expect(await signIn('life.contractor', 'Contractor.Passw0rd.1')).toBe(SIGNED_IN);
      set(dnOf('life.contractor'), { department: 'contractors south' });
      expect(await sync(filtering)).toMatchObject({ deleted: 1 });
      expect(await signIn('life.contractor', 'Contractor.Passw0rd.1')).toBe(UNKNOWN);
      await sync();
      expect(await signIn('life.contractor', 'Contractor.Passw0rd.1')).toBe(SIGNED_IN);
    });
  });

  it('its connector off and on: what changed meanwhile comes, and nothing else', async () => {
    const [name, password] = ['life.off', 'Off.Passw0rd.1'];
    add(name, password);
    await sync();
    set(dnOf(name), { unicodePwd: 'Off.Passw0rd.2' });
    await stopAgent();
    const off = await site.agentOnce({ scope: scope(), connector: { enabled: false } });
    expect(off).toMatchObject({ code: 0, report: undefined });
    expect(await signIn(name, password)).toBe(SIGNED_IN);
    expect(await sync()).toMatchObject({ seen: 1, credentialsSent: 1 });
    expect(await signIn(name, 'Off.Passw0rd.2')).toBe(SIGNED_IN);
  });

  it('its source anchor: mS-DS-ConsistencyGuid, which is not followed when it changes', async () => {
    const [name, password] = ['life.anchor', 'Anchor.Passw0rd.1'];
    const anchor = Buffer.from('0123456789abcdeffedcba9876543210', 'hex').toString('base64');
    const other = Buffer.alloc(16, 7).toString('base64');
    add(name, password, [`mS-DS-ConsistencyGuid:: ${anchor}`]);
    await sync();
    expect(inTenant(name)?.source_anchor).toBe(anchor);
    modify(
      `dn: ${dnOf(name)}\nchangetype: modify\nreplace: mS-DS-ConsistencyGuid\nmS-DS-ConsistencyGuid:: ${other}\n-\n\n`,
    );
    const report = await sync();
    expect(report).toMatchObject({ failed: 1, retryQueue: 1 });
    expect(report.firstReason).toContain(anchor);
    expect(report.firstReason).toContain('immutable');
    expect(status(name)).toBe('SourceAnchorChanged');
    // The user stays who it is, and the old password does not outlive a change.
    set(dnOf(name), { unicodePwd: 'Anchor.Passw0rd.2' });
    await sync();
    expect(await signIn(name, 'Anchor.Passw0rd.2')).toBe(SIGNED_IN);
    expect(inTenant(name)?.source_anchor).toBe(anchor);
    modify(
      `dn: ${dnOf(name)}\nchangetype: modify\nreplace: mS-DS-ConsistencyGuid\nmS-DS-ConsistencyGuid:: ${anchor}\n-\n\n`,
    );
    expect(await sync()).toMatchObject({ failed: 0, retryQueue: 0 });
    expect(status(name)).toBe('Success');
  });

  it('in staging mode and in a dry run: computed, told to nobody, and done afterwards', async () => {
    const [name, password] = ['life.staged', 'Staged.Passw0rd.1'];
    await sync();
    add(name, password);
    const staged = await sync({ file: { staging: true } });
    expect(staged).toMatchObject({ staging: true, failed: 0 });
    expect(staged.created).toBeGreaterThan(10);
    expect(await signIn(name, password)).toBe(UNKNOWN);

    // Beside a running agent, which holds the state.
    const config = site.agentConfig({ scope: scope() });
    const words = await site.run(['agent', '--config', config, '--once', '--dry-run']);
    expect(words.stderr).toBe('');
    expect(words.code).toBe(0);
    expect(words.stdout).toContain(`add ${dnOf(name)}`);
    expect(words.stdout).toContain('password sent: the tenant has no password of this user yet');
    expect(words.stdout).not.toContain(password);
    expect(words.stdout).not.toContain('PPH1_MD4');
    const json = await site.run(['agent', '--config', config, '--once', '--dry-run', '--json']);
    const document = JSON.parse(json.stdout) as { users: Record<string, unknown>[]; connectors: unknown[] };
    expect(document.users).toEqual([
      expect.objectContaining({
        dn: dnOf(name),
        operation: 'add',
        password: 'sent',
        properties: expect.objectContaining({ displayName: name, accountEnabled: true }),
      }),
    ]);
    expect(document.connectors).toEqual([
      expect.objectContaining({ add: 1, passwords: 1, delete: 0, cloudFiltered: 0 }),
    ]);
    const cloudFiltered = [{ attribute: 'sAMAccountName', equals: name }];
    const without = site.agentConfig({ scope: scope({ cloudFiltered }) });
    const left = await site.run(['agent', '--config', without, '--once', '--dry-run']);
    expect(left.stdout).toMatch(/: 0 would be added, .* 1 left out by scope\.cloudFiltered\. Nothing was sent\.\n$/);
    expect(await signIn(name, password)).toBe(UNKNOWN);
    // The real cookie is where it was.
    expect(await sync()).toMatchObject({ staging: false, seen: 1, created: 1, credentialsSent: 1 });
    expect(await signIn(name, password)).toBe(SIGNED_IN);
  });
});
