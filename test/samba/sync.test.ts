/** From the domain controller to the sign-in: agent and tenant as processes, 2,000 users and every special account. */

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { type DcUser, describeDc, facts, modify, setPasswords, special, users } from './dc.js';
import { Site, upnOf } from './harness.js';

/** Of the special accounts, those that are no users for Entra. */
const OUTSIDE = ['inetOrgPerson', 'computer'];
/** Users of whom no password can be in the tenant. */
const WITHOUT_CREDENTIAL = ['must-change', 'no-password'];

const WRONG_PASSWORD = 50126;
const UNKNOWN_USER = 50034;
const NO_PASSWORD = 50056;
const DISABLED = 50057;

describeDc('the first synchronization', () => {
  let site: Site;
  let first: Awaited<ReturnType<Site['agentOnce']>>;
  const inScope = () => users().filter((user) => !OUTSIDE.includes(user.kind));
  const withCredential = () => inScope().filter((user) => !WITHOUT_CREDENTIAL.includes(user.kind));
  const people = (list: readonly DcUser[], password: (user: DcUser) => string) =>
    list.map((user) => ({ upn: upnOf(user.name), password: password(user) }));

  beforeAll(async () => {
    site = await Site.start();
    first = await site.agentOnce();
  });
  afterAll(() => site?.stop());

  const tenantDatabase = () => new Database(join(site.tenantState, 'tenant.sqlite'), { readonly: true });
  const credentials = (): Map<string, string> => {
    const db = tenantDatabase();
    const rows = db
      .prepare('SELECT sam_account_name AS name, hex(salt) AS salt FROM credentials JOIN users ON users.id = user_id')
      .all() as { name: string; salt: string }[];
    db.close();
    return new Map(rows.map(({ name, salt }) => [name, salt]));
  };

  it('succeeds, with the account that has the two permissions and no others', () => {
    expect(first.error).toBeUndefined();
    expect(first.code).toBe(0);
    expect(first.done).toBe(true);
    expect(first.report).toMatchObject({
      inScope: inScope().length,
      created: inScope().length,
      credentialsSent: withCredential().length,
      filtered: 1,
      failed: 0,
      deleted: 0,
      retryQueue: 0,
    });
    expect(first.report.seen).toBeGreaterThan(inScope().length);
  });

  it('makes these users in the tenant and no others: no inetOrgPerson, computer, deleted or built-in account', () => {
    const db = tenantDatabase();
    const names = db.prepare('SELECT sam_account_name FROM users').pluck().all() as string[];
    db.close();
    expect(new Set(names)).toEqual(new Set(inScope().map((user) => user.name)));
    expect(names).toHaveLength(inScope().length);
    expect(new Set(credentials().keys())).toEqual(new Set(withCredential().map((user) => user.name)));
  });

  it('lets everybody sign in with the right password', async () => {
    const list = withCredential().filter((user) => user.kind !== 'disabled');
    expect(list.length).toBeGreaterThanOrEqual(2000);
    expect(list.map((user) => user.kind)).toEqual(expect.arrayContaining(['unicode', 'long', 'expired', 'plain']));
    const codes = await site.signInAll(people(list, (user) => user.password!));
    expect(list.filter((_, i) => codes[i] !== 0).map((user, i) => [user.name, codes[i]])).toEqual([]);
  });

  it('lets nobody sign in with another password', async () => {
    const list = withCredential();
    // Everybody's neighbour's, and for some a slip of the own.
    const neighbour = new Map(list.map((user, i) => [user.name, list[(i + 1) % list.length]!.password!]));
    const codes = await site.signInAll(people(list, (user) => neighbour.get(user.name)!));
    expect(new Set(codes)).toEqual(new Set([WRONG_PASSWORD]));
    const some = list.filter((user) => user.kind !== 'bulk');
    for (const slip of [
      (password: string) => password.slice(0, -1),
      (password: string) => `${password} `,
      (password: string) => (password === password.toUpperCase() ? password.toLowerCase() : password.toUpperCase()),
    ]) {
      expect(new Set(await site.signInAll(people(some, (user) => slip(user.password!))))).toEqual(
        new Set([WRONG_PASSWORD]),
      );
    }
    // An NT hash is no password.
    expect(await site.signIn(upnOf('phs.plain'), special('plain').ntHash!)).toBe(WRONG_PASSWORD);
  });

  it.each(['phs.inetorg', 'PHSWS01$', 'PHSWS01', 'phs.deleted', 'krbtgt', 'Administrator', 'Guest', 'DC1$'])(
    'does not know %s',
    async (name) => {
      const password = users().find((user) => user.name === name)?.password ?? facts().adminPassword;
      expect(await site.signIn(upnOf(name), password)).toBe(UNKNOWN_USER);
    },
  );

  it('tells a disabled account from a wrong password', async () => {
    const user = special('disabled');
    expect(await site.signIn(upnOf(user.name), user.password!)).toBe(DISABLED);
    expect(await site.signIn(upnOf(user.name), 'not-it')).toBe(WRONG_PASSWORD);
  });

  it('holds back a temporary password: FilteredByTarget', async () => {
    const user = special('must-change');
    expect(await site.signIn(upnOf(user.name), user.password!)).toBe(NO_PASSWORD);
    const db = new Database(join(site.agentState, 'agent.sqlite'), { readonly: true });
    const outcome = db.prepare('SELECT outcome FROM object WHERE guid = ?').pluck().get(guidFromText(user.objectGUID));
    db.close();
    // Outcome.filteredByTarget; the number is on disk and so does not change.
    expect(outcome).toBe(2);
  });

  it('has no password for an account without one', async () => {
    expect(await site.signIn(upnOf(special('no-password').name), '').catch((error: Error) => error.message)).toMatch(
      /900144/,
    );
    expect(await site.signIn(upnOf(special('no-password').name), 'anything')).toBe(NO_PASSWORD);
  });

  it('sends nothing when nothing changed', async () => {
    const before = credentials();
    const again = await site.agentOnce();
    expect(again.code).toBe(0);
    expect(again.report).toMatchObject({ credentialsSent: 0, created: 0, updated: 0, deleted: 0, failed: 0 });
    expect(credentials()).toEqual(before);
  });

  it('sends exactly the ten passwords that change', async () => {
    const changed = users()
      .filter((user) => user.kind === 'bulk')
      .filter((_, i) => i % 190 === 7)
      .slice(0, 10);
    expect(changed).toHaveLength(10);
    const next = (user: DcUser) => `Nächstes-${user.name}`;
    const before = credentials();
    try {
      setPasswords(changed.map((user) => ({ dn: user.dn, password: next(user) })));
      const run = await site.agentOnce();
      expect(run.code).toBe(0);
      expect(run.report).toMatchObject({ credentialsSent: 10, created: 0, deleted: 0, failed: 0, retryQueue: 0 });
      const after = credentials();
      expect(
        [...after]
          .filter(([name, salt]) => before.get(name) !== salt)
          .map(([name]) => name)
          .sort(),
      ).toEqual(changed.map((user) => user.name).sort());
      expect(await site.signInAll(people(changed, next))).toEqual(new Array(10).fill(0));
      expect(await site.signInAll(people(changed, (user) => user.password!))).toEqual(
        new Array(10).fill(WRONG_PASSWORD),
      );
      expect(await site.signIn(upnOf('phs.plain'), special('plain').password!)).toBe(0);
    } finally {
      setPasswords(changed.map((user) => ({ dn: user.dn, password: user.password! })));
    }
  });

  it('follows an account from its creation to its deletion', async () => {
    const dn = `CN=phs.follow,CN=Users,${facts().baseDn}`;
    const password = (text: string) => `unicodePwd:: ${Buffer.from(`"${text}"`, 'utf16le').toString('base64')}\n`;
    const change = (attribute: string, value: string | number) =>
      `dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n-\n\n`;
    const upn = upnOf('phs.follow');
    modify(
      `dn: ${dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: phs.follow\nuserPrincipalName: ${upn}\n` +
        `userAccountControl: 512\n${password('Temporary.1')}\n`,
    );
    try {
      modify(change('pwdLastSet', 0));
      expect((await site.agentOnce()).report).toMatchObject({ created: 1, filtered: 1 });
      expect(await site.signIn(upn, 'Temporary.1')).toBe(NO_PASSWORD);

      modify(`dn: ${dn}\nchangetype: modify\nreplace: unicodePwd\n${password('Own.Choice.1')}-\n\n`);
      expect((await site.agentOnce()).report).toMatchObject({ created: 0 });
      expect(await site.signIn(upn, 'Own.Choice.1')).toBe(0);

      modify(change('userAccountControl', 514));
      expect((await site.agentOnce()).report).toMatchObject({ updated: 1, credentialsSent: 0 });
      expect(await site.signIn(upn, 'Own.Choice.1')).toBe(DISABLED);

      modify(change('userAccountControl', 512));
      await site.agentOnce();
      expect(await site.signIn(upn, 'Own.Choice.1')).toBe(0);
    } finally {
      modify(`dn: ${dn}\nchangetype: delete\n\n`);
    }
    expect((await site.agentOnce()).report).toMatchObject({ deleted: 1, failed: 0 });
    expect(await site.signIn(upn, 'Own.Choice.1')).toBe(UNKNOWN_USER);
  });

  it('sends everything again with --full, and every password still fits', async () => {
    const run = await site.agentOnce({ args: ['--full'] });
    expect(run.code).toBe(0);
    // Those whose password changed back above are among them.
    expect(run.report).toMatchObject({ credentialsSent: withCredential().length, created: 0, failed: 0 });
    const sample = withCredential().filter((user, i) => user.kind !== 'disabled' && i % 10 === 0);
    expect(new Set(await site.signInAll(people(sample, (user) => user.password!)))).toEqual(new Set([0]));
  });
});

describeDc('a synchronization with SPNEGO and OU rules', () => {
  it('takes what lies in the included OU and not in the excluded one', async () => {
    const site = await Site.start();
    try {
      const run = await site.agentOnce({
        mechanism: 'negotiate',
        scope: { include: [`OU=Special,${facts().baseDn}`] },
      });
      expect(run.error).toBeUndefined();
      expect(run.report.created).toBe(
        users().filter((user) => user.kind !== 'bulk' && !OUTSIDE.includes(user.kind)).length,
      );
      const { name, password } = special('unicode');
      expect(await site.signIn(upnOf(name), password!)).toBe(0);
      expect(await site.signIn(upnOf('u0000001'), 'any')).toBe(UNKNOWN_USER);
      // An OU that is not there: nobody of those synchronized is taken out for it.
      const dn = `OU=Speciall,${facts().baseDn}`;
      const mistyped = await site.agentOnce({ scope: { include: [dn] } });
      expect(mistyped.code).toBe(3);
      expect(JSON.stringify(mistyped)).toContain('scope-unknown');
      expect(JSON.stringify(mistyped)).toContain(dn);
      expect(await site.signIn(upnOf(name), password!)).toBe(0);
    } finally {
      await site.stop();
    }
  });
});
