/**
 * The source document's sentences on what becomes of synchronized passwords in the tenant, where they cross the wire: the
 * real agent on a real domain, a real tenant whose clock the tests move. Temporary passwords, account expiration and
 * iNetOrgPerson are in life-cycle.test.ts.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { CycleReport } from '#src/agent/agent.js';
import { loadAgentConfig } from '#src/agent/config.js';
import { type CreatedAgent, createAgent } from '#src/agent/create-agent.js';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { setFeatures } from '../tenant/features.js';
import { AGENT, startTestTenant, type TestTenant, testHasher } from '../tenant/harness.js';
import { describeDc, facts, modify, setPasswords, special } from './dc.js';
import { secrets } from './harness.js';

const [WRONG, EXPIRED] = [50126, 50055];
const NO_EXPIRY = 'DisablePasswordExpiration';
const OFF = DirSyncFeature.PasswordHashSync;
const ON = OFF | DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers;
const DAY = 24 * 60 * 60 * 1000;

describeDc('the rules of synchronized passwords', () => {
  let directory: string;
  let hasher: Hasher;
  let tenant: TestTenant;
  let agent: CreatedAgent;
  /** Of the tenant's clock, from the domain's. */
  let ahead = 0;
  const ou = () => `OU=Rules,${facts().baseDn}`;
  const dnOf = (name: string) => `CN=${name},${ou()}`;
  const upnOf = (name: string) => `${name}@${facts().dnsDomain}`;

  function add(name: string, password: string): void {
    const quoted = Buffer.from(`"${password}"`, 'utf16le').toString('base64');
    modify(
      `dn: ${dnOf(name)}\nchangetype: add\nobjectClass: user\nsAMAccountName: ${name}\nuserPrincipalName: ${upnOf(name)}\n` +
        `unicodePwd:: ${quoted}\nuserAccountControl: 512\n\n`,
    );
  }
  const setPassword = (name: string, password: string) => setPasswords([{ dn: dnOf(name), password }]);
  const policy = (values: Readonly<Record<string, string>>) =>
    modify(
      `dn: ${facts().baseDn}\nchangetype: modify\n${Object.entries(values)
        .map(([name, value]) => `replace: ${name}\n${name}: ${value}\n-`)
        .join('\n')}\n\n`,
    );
  async function sync(full = false): Promise<CycleReport> {
    const [report] = await agent.agent.cycle({ signal: new AbortController().signal, full });
    if (report?.error !== undefined) throw new Error(`${report.error.code}: ${report.error.message}`);
    return report!;
  }
  async function signIn(name: string, password: string): Promise<number> {
    const { status, json } = await tenant.signIn(upnOf(name), password);
    return status === 200 ? 0 : json.error_codes[0];
  }
  const user = async (name: string) => (await tenant.store.findSignInUser(upnOf(name)))!;
  const policies = async (name: string) => (await user(name)).passwordPolicies;
  async function withFeatures(features: number, work: () => Promise<void>): Promise<void> {
    await setFeatures(tenant.store, features);
    try {
      await work();
    } finally {
      await setFeatures(tenant.store, OFF);
    }
  }
  async function daysLater(days: number, work: () => Promise<void>): Promise<void> {
    ahead = days * DAY;
    try {
      await work();
    } finally {
      ahead = 0;
    }
  }

  beforeAll(async () => {
    const { dnsHostName, dnsDomain, host } = facts();
    directory = mkdtempSync(join(facts().directory, 'rules.'));
    modify(`dn: ${ou()}\nchangetype: add\nobjectClass: organizationalUnit\n\n`);
    hasher = testHasher();
    tenant = await startTestTenant({
      stateDir: join(directory, 'tenant-state'),
      hasher,
      now: () => new Date(Date.now() + ahead),
      config: { domains: [{ name: dnsDomain }] },
    });
    const config = join(directory, 'agent.yaml');
    writeFileSync(
      config,
      stringify({
        stateDir: './agent-state',
        tenant: {
          url: tenant.provisioningUrl,
          ca: tenant.caPath,
          auth: { clientId: AGENT.clientId, clientSecret: { env: 'PHSYNC_AGENT_SECRET' } },
        },
        connectors: [
          {
            name: dnsDomain,
            directory: {
              type: 'drs',
              server: dnsHostName,
              address: host,
              domain: dnsDomain,
              auth: { mechanism: 'ntlm', user: special('sync-account').name, password: { env: 'PHSYNC_AD_PASSWORD' } },
            },
            scope: { include: [ou()] },
          },
        ],
      }),
    );
    agent = await createAgent(await loadAgentConfig(config), {
      log: pino({ level: 'silent' }),
      env: { ...secrets, PHSYNC_AGENT_SECRET: AGENT.secret },
    });
  });
  afterAll(async () => {
    await agent?.close();
    await tenant?.close();
    await hasher?.close();
    // Other tests count this domain's users.
    modify(`dn: ${ou()}\nchangetype: delete\n\n`);
    rmSync(directory, { recursive: true, force: true });
  });

  it('"An administrator can manually reset your password directly in Microsoft Entra ID ... If you change your on-premises password again, the new password is synchronized to the cloud, and it overrides the manually updated password."', async () => {
    const name = 'rules.reset';
    add(name, 'OnPremises.1');
    await sync();
    expect(await signIn(name, 'OnPremises.1')).toBe(0);
    const { objectId } = await user(name);
    const reset = { objectId, newPassword: 'Cl0ud.Secret.Words', forceChangeNextSignIn: false, actor: 'admin' };
    expect(await tenant.passwords.reset(reset)).toEqual({ status: 'changed' });
    expect([await signIn(name, 'OnPremises.1'), await signIn(name, 'Cl0ud.Secret.Words')]).toEqual([WRONG, 0]);
    // A full synchronization sends the on-premises one again: it is older.
    await sync(true);
    expect([await signIn(name, 'OnPremises.1'), await signIn(name, 'Cl0ud.Secret.Words')]).toEqual([WRONG, 0]);
    // Replication's times are whole seconds, the administrator's are not.
    await setTimeout(1100 - (Date.now() % 1000));
    setPassword(name, 'OnPremises.2');
    expect(await sync()).toMatchObject({ credentialsSent: 1, failed: 0 });
    expect([await signIn(name, 'Cl0ud.Secret.Words'), await signIn(name, 'OnPremises.2')]).toEqual([WRONG, 0]);
  });

  it('"the password complexity policies in your on-premises Active Directory instance override complexity policies in the cloud for synchronized users."', async () => {
    policy({ minPwdLength: '0', minPwdAge: '0', pwdProperties: '0', pwdHistoryLength: '0' });
    const name = 'rules.simple';
    for (const password of ['x', 'password', name, 'ñ🐎']) {
      if (password === 'x') add(name, password);
      else setPassword(name, password);
      expect(await sync()).toMatchObject({ credentialsSent: 1, failed: 0 });
      expect(await signIn(name, password)).toBe(0);
    }
  });

  it('"You can continue to sign in to your cloud services by using a synchronized password that is expired in your on-premises environment. Your cloud password is updated the next time you change the password in the on-premises environment."', async () => {
    const name = 'rules.expired';
    add(name, 'Expired.Passw0rd.1');
    await sync();
    // Passwords of the domain last a day (in FILETIME's units, below zero: the least that Samba heeds), and two days go by
    // for the tenant, which is told nothing of the one and does not ask for the other.
    policy({ maxPwdAge: '-864000000000' });
    try {
      expect(await sync()).toMatchObject({ failed: 0 });
      await daysLater(2, async () => expect(await signIn(name, 'Expired.Passw0rd.1')).toBe(0));
    } finally {
      policy({ maxPwdAge: '0' });
    }
    setPassword(name, 'Expired.Passw0rd.2');
    await sync();
    expect([await signIn(name, 'Expired.Passw0rd.1'), await signIn(name, 'Expired.Passw0rd.2')]).toEqual([WRONG, 0]);
  });

  describe('"CloudPasswordPolicyForPasswordSyncedUsersEnabled"', () => {
    it('disabled: "updates the PasswordPolicies attribute of synchronized users to "DisablePasswordExpiration" ... every time a user\'s password is synchronized"; enabled: "removed from PasswordPolicies during the next password hash sync for each user, upon their next password change in on-premises AD"', async () => {
      const name = 'rules.policy';
      add(name, 'Policy.Passw0rd.1');
      await sync();
      expect(await policies(name)).toBe(NO_EXPIRY);
      await daysLater(1000, async () => expect(await signIn(name, 'Policy.Passw0rd.1')).toBe(0));
      await withFeatures(ON, async () => {
        await sync(true);
        expect(await policies(name)).toBe(NO_EXPIRY);
        setPassword(name, 'Policy.Passw0rd.2');
        await sync();
        expect(await policies(name)).toBe('None');
        expect(await signIn(name, 'Policy.Passw0rd.2')).toBe(0);
        await daysLater(89, async () => expect(await signIn(name, 'Policy.Passw0rd.2')).toBe(0));
        await daysLater(91, async () => expect(await signIn(name, 'Policy.Passw0rd.2')).toBe(EXPIRED));
      });
      setPassword(name, 'Policy.Passw0rd.3');
      await sync();
      expect(await policies(name)).toBe(NO_EXPIRY);
    });

    it('"After the CloudPasswordPolicyForPasswordSyncedUsersEnabled feature is enabled, new users are provisioned without a PasswordPolicies value."', async () => {
      await withFeatures(ON, async () => {
        add('rules.new', 'New.Passw0rd.1');
        await sync();
        expect(await policies('rules.new')).toBeNull();
        await daysLater(91, async () => expect(await signIn('rules.new', 'New.Passw0rd.1')).toBe(EXPIRED));
      });
    });
  });

  it('"Your current cloud service session isn\'t immediately affected by a synchronized password change that occurs, while you\'re signed in, to a cloud service. However, when the cloud service requires you to authenticate again, you need to provide your new password."', async () => {
    const name = 'rules.session';
    add(name, 'Session.Passw0rd.1');
    await sync();
    const { json } = await tenant.signIn(upnOf(name), 'Session.Passw0rd.1', { scope: 'openid offline_access' });
    expect(typeof json.refresh_token).toBe('string');
    setPassword(name, 'Session.Passw0rd.2');
    expect(await sync()).toMatchObject({ credentialsSent: 1 });
    const refreshed = await tenant.token({
      grant_type: 'refresh_token',
      client_id: 'app',
      refresh_token: json.refresh_token,
    });
    expect(refreshed.status).toBe(200);
    expect([await signIn(name, 'Session.Passw0rd.1'), await signIn(name, 'Session.Passw0rd.2')]).toEqual([WRONG, 0]);
  });
});
