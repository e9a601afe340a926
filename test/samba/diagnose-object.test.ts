/** `phsync diagnose --dn` on a real system: what keeps one object from being synchronized, and what would be sent of it. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDc, facts, modify, special } from './dc.js';
import { DiagnosisSite, directoryOf, type Fault, named } from './diagnosis.js';

describeDc('phsync diagnose --dn', () => {
  let at: DiagnosisSite;
  beforeAll(async () => {
    at = await DiagnosisSite.start();
  });
  afterAll(() => at?.stop());

  const dnOf = (kind: string) => special(kind).dn;
  it('finds nothing at an object with which nothing is wrong', async () => {
    const found = await at.diagnose(() => undefined, '--dn', dnOf('plain'));
    expect(found.checks.map(({ id, status }) => `${id} ${status}`)).toEqual(
      ['object', 'scope', 'tenant', 'password', 'object-retry', 'account', 'results'].map((id) => `${id} ok`),
    );
    expect(found.code).toBe(0);
    const [password, results] = ['password', 'results'].map((id) => found.checks.find((check) => check.id === id)!);
    expect(password!.finding).toMatch(/^nothing to send: the tenant has the newest, that of \d{4}-.*, version \d+$/);
    expect(results!.facts.results).toEqual([expect.objectContaining({ status: 'Success' })]);
  });

  /** As FAULTS, of one object. */
  const OBJECT_FAULTS: readonly (readonly [...Fault, dn: () => string])[] = [
    [
      'an object that the directory does not have',
      ['object'],
      /dc1\.phs\.test .*has no object CN=nobody/,
      /Check the distinguished name/,
      () => undefined,
      () => `CN=nobody,${facts().baseDn}`,
    ],
    [
      'a user who must change the password',
      ['warning:password'],
      /FilteredByTarget/,
      /EnableUserForcePasswordChangeOnLogon/,
      () => undefined,
      () => dnOf('must-change'),
    ],
    [
      'a user without a password',
      ['warning:password'],
      /no password/,
      /Set one/,
      () => undefined,
      () => dnOf('no-password'),
    ],
    ['a user who is disabled', ['warning:account'], /disabled in/, /Enable/, () => undefined, () => dnOf('disabled')],
    [
      'a user whose account has expired',
      ['warning:account'],
      /expired on 2020-01-01.*can still sign in/,
      /disableExpiredAccounts: true/,
      () => undefined,
      () => dnOf('expired'),
    ],
    [
      'an object of another class',
      ['scope'],
      /class inetOrgPerson/,
      /only objects of the class user/,
      () => undefined,
      () => dnOf('inetOrgPerson'),
    ],
    [
      "one of the system's accounts",
      ['scope'],
      /system's own/,
      /never synchronized/,
      () => undefined,
      () => `CN=Administrator,CN=Users,${facts().baseDn}`,
    ],
    [
      'a user whose OU has gone out of the scope',
      ['scope', 'warning:tenant'],
      /still in the tenant .*deleted there at the next cycle/,
      /sync-object/,
      ({ config }) => {
        config.connectors[0]!.scope = { exclude: [`OU=Special,${facts().baseDn}`] };
      },
      () => dnOf('plain'),
    ],
    [
      'a user whom a condition keeps out',
      ['scope', 'warning:tenant'],
      /still in the tenant/,
      /sync-object/,
      ({ config }) => {
        config.connectors[0]!.scope = {
          cloudFiltered: [{ attribute: 'sAMAccountName', equals: special('plain').name }],
        };
      },
      () => dnOf('plain'),
    ],
    [
      "the agent's own account",
      ['warning:scope'],
      /in scope, though it is the account that the agent logs on with/,
      /sAMAccountName/,
      () => undefined,
      () => dnOf('sync-account'),
    ],
    [
      'a user whose password is left out by adminDescription',
      ['warning:password'],
      /adminDescription keeps the password out \(scope\.passwords: PHSIncluded\)/,
      /Set adminDescription of the user to PHSIncluded/,
      ({ config }) => {
        config.connectors[0]!.scope = { passwords: 'PHSIncluded' };
      },
      () => dnOf('plain'),
    ],
    [
      'a user of a connector that is off',
      ['warning:connector-enabled'],
      /disabled/,
      /enabled: true/,
      ({ config }) => {
        config.connectors[0]!.enabled = false;
      },
      () => dnOf('plain'),
    ],
    [
      'a user in staging mode',
      ['warning:staging'],
      /nothing is sent/,
      /staging: false/,
      ({ config }) => {
        config.staging = true;
      },
      () => dnOf('plain'),
    ],
    [
      'a user while the domain controller is down',
      ['object'],
      /ECONNREFUSED/,
      /without --dn/,
      ({ config }) => {
        directoryOf(config).address = '127.255.1.1';
      },
      () => dnOf('plain'),
    ],
  ];

  it.each(OBJECT_FAULTS)('--dn names %s (%j)', (...[fault, checks, finding, advice, plan, dn]) =>
    at.expectFault([fault, checks, finding, advice, plan], '--dn', dn()),
  );

  it('--dn follows an object from before its first export to its end', async () => {
    const { baseDn, dnsDomain } = facts();
    const dn = `CN=phs probe,OU=Special,${baseDn}`;
    const moved = `CN=phs probe,OU=Bulk,${baseDn}`;
    const password = (text: string) => Buffer.from(`"${text}"`, 'utf16le').toString('base64');
    const look = async (name = dn) => {
      const found = await at.diagnose(() => undefined, '--dn', name);
      const of = (id: string) => found.checks.find((check) => check.id === id);
      return { ids: named(found), of };
    };
    modify(
      `dn: ${dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: phs.probe\nuserAccountControl: 512\n` +
        `userPrincipalName: phs.probe@elsewhere.test\nunicodePwd:: ${password('Probe.Passw0rd.1')}\n\n`,
    );
    let name = dn;
    try {
      const unseen = await look();
      expect(unseen.ids).toEqual(['tenant']);
      expect(unseen.of('tenant')!.finding).toMatch(/^not exported yet: the agent has not seen the object/);
      expect(unseen.of('password')!.finding).toMatch(/^will be sent: that of .*, version \d+$/);

      await at.site.agentOnce();
      const refused = await look();
      expect(refused.ids).toEqual(['tenant', 'warning:object-retry']);
      expect(refused.of('tenant')!.finding).toMatch(/not exported .*elsewhere\.test is not a domain of this tenant/);
      expect(refused.of('tenant')!.advice).toMatch(/userPrincipalName of a domain of the tenant's/);
      expect(refused.of('object-retry')!.finding).toMatch(/^waits since .*1 failure, next try /);

      modify(
        `dn: ${dn}\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: phs.probe@${dnsDomain}\n-\n\n`,
      );
      await at.site.agentOnce();
      expect((await look()).ids).toEqual([]);

      modify(`dn: ${dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${password('Probe.Passw0rd.2')}\n-\n\n`);
      const changed = await look();
      expect(changed.ids).toEqual([]);
      expect(changed.of('password')!.facts.send).toBe(true);
      await at.site.agentOnce();
      const sent = await look();
      expect(sent.of('password')!.facts.send).toBe(false);
      // The newest first: two passwords that the tenant took, and before them the user whom it did not.
      expect((sent.of('results')!.facts.results as { status: string }[]).map(({ status }) => status)).toEqual([
        'Success',
        'Success',
        'TargetNotExportedToDirectory',
      ]);

      modify(
        `dn: ${dn}\nchangetype: modrdn\nnewrdn: CN=phs probe\ndeleteoldrdn: 1\nnewsuperior: OU=Bulk,${baseDn}\n\n`,
      );
      name = moved;
      const renamed = await look();
      expect(renamed.ids).toEqual(['object']);
      expect(renamed.of('object')!.finding).toBe(`${dn} was renamed or moved: it is ${moved} now`);
      expect((await look(moved)).of('object')!.status).toBe('ok');
    } finally {
      modify(`dn: ${name}\nchangetype: delete\n\n`);
    }
    const gone = await look();
    expect(gone.ids).toEqual(['object']);
    expect(gone.of('object')!.finding).toBe(`${dn} was deleted from the directory`);
    await at.site.agentOnce();
  });

  it('--dn refuses a name outside of all connectors', async () => {
    const { file } = await at.plant(() => undefined);
    const run = await at.site.run(['diagnose', '--config', file, '--dn', 'CN=Ann,DC=other,DC=test', '--json']);
    expect([run.code, JSON.parse(run.stdout).error.code]).toEqual([2, 'usage-dn']);
  });
});
