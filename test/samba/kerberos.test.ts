/** Kerberos against a real domain controller that speaks no NTLM: whole synchronizations, and every way to be refused. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DrsAuth } from '#src/agent/sources/drs-security.js';
import { createDrsSource } from '#src/agent/sources/drs-source.js';
import type { PhsyncError } from '#src/hasher/errors.js';
import { describeWithTools } from '../native/tools.js';
import { type DcUser, describeDc, users } from './dc.js';
import { type DirectoryOptions, Site, upnOf } from './harness.js';
import { OwnDc } from './own-dc.js';
import { TroubledDc } from './proxy.js';

const PASSWORD = 'Sync.Passw0rd.1';
const RC4_ALONE = ['permitted_enctypes = arcfour-hmac', 'allow_rc4 = true'];
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';

const TOOLS = { kinit: 'krb5-user', faketime: 'faketime' };
const describeKerberos = (name: string, body: () => void): void =>
  describeDc(name, () => describeWithTools('with the tools of MIT krb5', TOOLS, body));

describeKerberos('Kerberos, with a domain controller on which NTLM is switched off', () => {
  let dc: OwnDc;
  let folder: string;
  let keytab: string;
  let everybody: readonly DcUser[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'phsync-kerberos-'));
    dc = await OwnDc.start({ realm: 'KRB.TEST', domain: 'KRB', users: 10, smbConf: ['ntlm auth = disabled'] });
    keytab = exportKeytab('phs.sync');
    everybody = dc.users.filter(({ kind }) => kind === 'bulk');
  });
  afterAll(async () => {
    await dc?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    delete process.env.KRB5_CONFIG;
  });

  function exportKeytab(user: string): string {
    const file = join(folder, `${user}.keytab`);
    const { smbConf, realm } = dc.facts as { smbConf?: string; realm: string };
    const options = [`--principal=${user}@${realm}`, '-s', smbConf ?? join(dc.directory, 'smb.conf')];
    execFileSync('samba-tool', ['domain', 'exportkeytab', file, ...options], { stdio: 'pipe' });
    return file;
  }

  /** A cache with a ticket, as kinit writes it. */
  function credentialCache(name: string, ...options: string[]): string {
    const file = join(folder, name);
    const env = { ...process.env, KRB5_CONFIG: dc.facts.krb5Config };
    execFileSync('kinit', ['-c', file, ...options, `phs.sync@${dc.facts.realm}`], { input: `${PASSWORD}\n`, env });
    return file;
  }

  /** krb5.conf of an administrator. */
  function krb5Conf(name: string, libdefaults: readonly string[], kdc?: string): string {
    const file = join(folder, name);
    const realm = kdc === undefined ? '' : `[realms]\n${dc.facts.realm} = {\nkdc = ${kdc}\n}\n`;
    writeFileSync(file, `[libdefaults]\n${libdefaults.join('\n')}\n${realm}`);
    return file;
  }

  /** Loaders find this first, and refuse it. */
  function withoutKerberos(): string {
    const path = mkdtempSync(join(folder, 'lib-'));
    writeFileSync(join(path, 'libkrb5.so.3'), '');
    return path;
  }

  function domainPolicy(attribute: string, value: string): void {
    dc.modify(`dn: ${dc.facts.baseDn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n-\n`);
  }

  /** Puts pwdLastSet to 2019, past Samba's own checks, which let nobody set a time. */
  function setPasswordAge(dn: string): void {
    const program = `import sys
from samba import param
from samba.auth import system_session
from samba.samdb import SamDB
lp = param.LoadParm()
lp.load(sys.argv[1] + "/smb.conf")
sam = SamDB(url=sys.argv[1] + "/private/sam.ldb", session_info=system_session(), lp=lp)
sam.modify_ldif(sys.argv[2], ["local_oid:1.3.6.1.4.1.7165.4.3.12:0"])`;
    const ldif = `dn: ${dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 132000000000000000\n-\n`;
    execFileSync('/usr/bin/python3', ['-c', program, dc.directory, ldif], { stdio: 'pipe' });
  }

  const auth = (more: Readonly<Record<string, unknown>>): DirectoryOptions => ({
    dc,
    more: { auth: { user: 'phs.sync', ...more } },
  });
  const password = { password: { env: 'PHSYNC_AD_PASSWORD' } };

  describe('a whole synchronization', () => {
    let site: Site;
    beforeAll(async () => {
      site = await Site.start([dc.facts.dnsDomain]);
    });
    afterAll(() => site?.stop());

    it('cannot be had with NTLM', async () => {
      for (const mechanism of ['ntlm', 'negotiate'] as const) {
        // Without Kerberos there is nothing else in SPNEGO.
        const env: Record<string, string> = mechanism === 'negotiate' ? { LD_LIBRARY_PATH: withoutKerberos() } : {};
        const run = await site.agentOnce({ ...auth({ mechanism, ...password }), env });
        expect(run.error?.code, mechanism).toBe('dc-logon-failed');
      }
    });

    it.each([
      ['a password', () => ({ mechanism: 'kerberos', ...password })],
      ['a keytab', () => ({ mechanism: 'kerberos', keytab })],
      [
        'a credential cache',
        () => ({ mechanism: 'kerberos', credentialCache: credentialCache('cc'), user: undefined }),
      ],
      ['SPNEGO and a password', () => ({ mechanism: 'negotiate', ...password })],
      ['SPNEGO and a keytab', () => ({ mechanism: 'negotiate', keytab })],
      [
        'SPNEGO and a credential cache',
        () => ({ mechanism: 'negotiate', credentialCache: credentialCache('cc-spnego') }),
      ],
    ])('works with %s: everybody signs in with the password of now', async (what, options) => {
      // Everybody gets a new password, so that each run has all of them to bring.
      const changed = everybody.map((user) => ({ ...user, password: `${what} ${user.name}` }));
      dc.setPasswords(changed);
      const run = await site.agentOnce(auth(options()));
      expect(run.error).toBeUndefined();
      expect(run.code).toBe(0);
      expect(run.stderr).not.toContain('kerberos-fell-back');
      expect(run.report.credentialsSent).toBeGreaterThanOrEqual(everybody.length);
      const people = changed.map(({ name, password: text }) => ({
        upn: upnOf(name, dc.facts.dnsDomain),
        password: text,
      }));
      expect(new Set(await site.signInAll(people))).toEqual(new Set([0]));
    });
  });

  type Open = Partial<DrsAuth> & { readonly server?: string; readonly address?: string | undefined };

  /** The agent's source, in this process. */
  function open({ server = dc.facts.dnsHostName, address = dc.facts.host, ...auth }: Open, pageSize = 1000) {
    return createDrsSource({
      server,
      address,
      domain: dc.facts.dnsDomain,
      auth: { mechanism: 'kerberos', user: 'phs.sync', ...auth },
      pageSize,
    });
  }
  const as = (kind: string) => {
    const { name, password: text } = dc.special(kind);
    return { user: name, password: text! };
  };

  describe('a logon is refused', () => {
    /** The message of the error, which has this code and says nothing of a password. */
    async function refused(code: string, options: Open): Promise<string> {
      const error = await open(options).then(
        async (source) => {
          await source.close();
          throw new Error(`${code} expected, but the logon succeeded`);
        },
        (reason: unknown) => reason as PhsyncError,
      );
      expect(error).toMatchObject({ code });
      expect(error.message).toContain(options.server ?? dc.facts.dnsHostName);
      if (options.password !== undefined) expect(inspect(error, { depth: 9 })).not.toContain(options.password);
      return error.message;
    }

    it.each(['kerberos', 'negotiate'] as const)('with a wrong password (%s)', async (mechanism) => {
      const message = await refused('dc-logon-wrong-password', { mechanism, password: 'Wrong.Passw0rd' });
      expect(message).toMatch(/phs\.sync: the password is wrong/);
    });

    it('with an unknown user', async () => {
      expect(await refused('dc-logon-unknown-user', { user: 'phs.nobody', password: PASSWORD })).toContain(
        'phs.nobody',
      );
    });

    it('with a user principal name that nobody has', async () => {
      await refused('dc-logon-unknown-user', { user: 'phs.sync@other.test', password: PASSWORD });
    });

    it.each([
      ['must-change', 'dc-logon-password-expired'],
      ['disabled', 'dc-logon-account-disabled'],
      ['expired', 'dc-logon-account-expired'],
    ])('with an account that is %s', async (kind, code) => {
      await refused(code, as(kind));
    });

    it('with a password that is older than the domain allows', async () => {
      domainPolicy('maxPwdAge', '-1728000000000');
      try {
        setPasswordAge(dc.special('plain').dn);
        expect(await refused('dc-logon-password-expired', as('plain'))).toMatch(/expired or must be changed/);
      } finally {
        domainPolicy('maxPwdAge', '0');
      }
    });

    it('with an account that is locked out, which Samba calls revoked', async () => {
      domainPolicy('lockoutThreshold', '1');
      try {
        await refused('dc-logon-wrong-password', { ...as('unicode'), password: 'Wrong.Passw0rd' });
        expect(await refused('dc-logon-account-revoked', as('unicode'))).toMatch(/locked out/);
      } finally {
        domainPolicy('lockoutThreshold', '0');
      }
    });

    it("with a name that is not the domain controller's", async () => {
      const message = await refused('dc-spn-unknown', { server: 'dc9.krb.test', password: PASSWORD });
      expect(message).toMatch(/ldap\/dc9\.krb\.test/);
    });

    it('with an address in place of a name', async () => {
      const { host } = dc.facts;
      expect(await refused('dc-spn-unknown', { server: host, password: PASSWORD })).toMatch(/by name/);
    });

    it('without a KDC', async () => {
      const proxy = await TroubledDc.start();
      try {
        // Of the domain controller that all tests share; port 88 is not among what the proxy serves.
        const message = await refused('dc-kdc-unreachable', { address: proxy.address, password: PASSWORD });
        expect(message).toMatch(/port 88/);
      } finally {
        proxy.close();
      }
    });

    it("with a KDC that the administrator's krb5.conf names wrongly", async () => {
      process.env.KRB5_CONFIG = krb5Conf('elsewhere.conf', [], '127.255.1.1');
      await refused('dc-kdc-unreachable', { password: PASSWORD });
    });

    it('without a ticket in the credential cache', async () => {
      expect(await refused('dc-ticket-missing', { credentialCache: join(folder, 'nothing') })).toMatch(/kinit/);
    });

    it("with somebody else's ticket in the credential cache", async () => {
      const other = { user: 'phs.plain', credentialCache: credentialCache('cc-other') };
      expect(await refused('dc-ticket-missing', other)).toMatch(
        /phs\.sync@KRB\.TEST's, and not phs\.plain@KRB\.TEST's/,
      );
    });

    it('with a ticket that has expired', async () => {
      const cache = credentialCache('cc-short', '-l', '1s');
      await sleep(1500);
      await refused('dc-ticket-expired', { credentialCache: cache });
    });

    it('with a keytab that is not there, or has no key of the account', async () => {
      await refused('dc-keytab-unusable', { keytab: join(folder, 'nothing') });
      expect(await refused('dc-keytab-unusable', { keytab, user: 'phs.plain' })).toMatch(/klist -k/);
    });

    it('with a keytab from before the password was changed', async () => {
      const { name, dn } = dc.special('long');
      const old = exportKeytab(name);
      dc.setPasswords([{ dn, password: 'Another.1' }]);
      expect(await refused('dc-logon-wrong-password', { user: name, keytab: old })).toMatch(/keytab's key/);
    });

    it('where there is RC4 alone', async () => {
      process.env.KRB5_CONFIG = krb5Conf('rc4.conf', RC4_ALONE);
      expect(await refused('dc-rc4-refused', { password: PASSWORD })).toMatch(/allowRc4/);
    });
  });

  describe('the connection', () => {
    async function keyLengths(options: Open): Promise<number[]> {
      const source = await open(options);
      try {
        const lengths: number[] = [];
        for await (const { sessionKeys } of source.pages(undefined)) {
          lengths.push(...sessionKeys.map((key) => key.length));
        }
        return lengths;
      } finally {
        await source.close();
      }
    }

    it.each(['phs.sync', 'KRB\\phs.sync', 'phs.sync@krb.test', 'PHS.Sync'])(
      'has a session key of AES-256 (%s)',
      async (user) => {
        expect(await keyLengths({ user, password: PASSWORD })).toEqual([32]);
        expect(await keyLengths({ mechanism: 'negotiate', user, password: PASSWORD })).toEqual([32]);
      },
    );

    it('has one of RC4 where that is asked for', async () => {
      process.env.KRB5_CONFIG = krb5Conf('rc4.conf', RC4_ALONE);
      for (const mechanism of ['kerberos', 'negotiate'] as const) {
        expect(await keyLengths({ mechanism, password: PASSWORD, allowRc4: true })).toEqual([16]);
      }
    });

    it('has fresh tickets in the cycle after the old ones have expired', async () => {
      process.env.KRB5_CONFIG = krb5Conf('short.conf', ['ticket_lifetime = 3m']);
      const source = await open({ password: PASSWORD });
      const cycle = async () => {
        for await (const { sessionKeys } of source.pages(undefined)) return sessionKeys.length;
        return 0;
      };
      try {
        expect(await cycle()).toBe(1);
        expect(await cycle()).toBe(1);
        // Samba's KDC takes no ticket of less than two minutes (CVE-2022-2031): our own clock is put on, and no other.
        vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 200_000 });
        expect(await cycle()).toBe(2);
      } finally {
        vi.useRealTimers();
        await source.close();
      }
    });
  });

  describe('an agent', () => {
    let site: Site;
    beforeAll(async () => {
      site = await Site.start([dc.facts.dnsDomain]);
    });
    afterAll(() => site?.stop());

    async function failing(code: string, more: Readonly<Record<string, unknown>>, env: Record<string, string>) {
      const run = await site.agentOnce({ ...auth({ mechanism: 'kerberos', ...more }), env });
      expect(run.error, run.stderr).toMatchObject({ code });
      expect(run.code).toBe(3);
      expect(`${run.stdout}${run.stderr}`).not.toContain(PASSWORD);
      return run.error!.message;
    }
    const clock = (offset: string) => ({ LD_PRELOAD: FAKETIME, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' });

    it('whose clock is wrong says by how much', async () => {
      const ahead = await failing('dc-clock-skew', password, clock('+20m'));
      expect(ahead).toMatch(/its clock is (11\d\d|120\d) s behind this machine's/);
      const behind = await failing('dc-clock-skew', { keytab }, clock('-20m'));
      expect(behind).toMatch(/its clock is (11\d\d|120\d) s ahead of this machine's/);
      await failing('dc-clock-skew', { credentialCache: credentialCache('cc-skew') }, clock('+20m'));
    });

    it('without the libraries names the package', async () => {
      const message = await failing('dc-kerberos-missing', password, { LD_LIBRARY_PATH: withoutKerberos() });
      expect(message).toMatch(/libkrb5\.so\.3.*libgssapi-krb5-2/);
    });
  });
});

describeKerberos('SPNEGO where Kerberos cannot be had', () => {
  it('falls back to NTLM, and says so', async () => {
    const site = await Site.start();
    const folder = mkdtempSync(join(site.directory, 'lib-'));
    writeFileSync(join(folder, 'libkrb5.so.3'), '');
    try {
      const run = await site.agentOnce({ mechanism: 'negotiate', env: { LD_LIBRARY_PATH: folder } });
      expect(run.error).toBeUndefined();
      expect(run.stderr).toMatch(/"code":"kerberos-fell-back".*libgssapi-krb5-2/);
      // A whole synchronization by NTLM inside SPNEGO.
      const everybody = users().filter(({ kind }) => kind === 'bulk');
      expect(run.report.credentialsSent).toBeGreaterThanOrEqual(everybody.length);
      const people = everybody.map(({ name, password: text }) => ({ upn: upnOf(name), password: text! }));
      expect(new Set(await site.signInAll(people.slice(0, 100)))).toEqual(new Set([0]));
      const wrong = await site.agentOnce({ mechanism: 'negotiate', password: 'Wrong.Passw0rd' });
      // Asked once more with NTLM, the account would be two wrong passwords nearer to its lockout.
      expect(wrong.error?.code).toBe('dc-logon-wrong-password');
    } finally {
      await site.stop();
    }
  });
});
