/** The checks that look at one thing each, and the forms that a diagnosis takes. */

import { describe, expect, it } from 'vitest';
import { agentConfigSchema } from '#src/agent/config.js';
import { type CheckResult, durationText, failure, ok, skipped, warning } from '#src/agent/diagnosis/check.js';
import { generalizedTime, judgeSkew } from '#src/agent/diagnosis/clock-skew.js';
import { domainDn, grantCommands } from '#src/agent/diagnosis/grant.js';
import { connectorOf } from '#src/agent/diagnosis/object.js';
import type { ObjectUnderTest } from '#src/agent/diagnosis/object-under-test.js';
import { checkScope } from '#src/agent/diagnosis/object-user.js';
import { checkGssapi, checkNode } from '#src/agent/diagnosis/runtime.js';
import { diagnosisText, tally } from '#src/agent/diagnosis/text.js';
import { createScope } from '#src/agent/scope.js';
import { parseConfig } from '#src/config/load-config.js';

const MINUTE = 60_000;

describe('the clock', () => {
  it.each([
    [0, 'ok'],
    [59, 'ok'],
    [-61, 'warning'],
    [299, 'warning'],
    [-301, 'error'],
  ])('%d seconds off: %s', (seconds, status) => {
    const result = judgeSkew('dc-clock', 1_000_000 + seconds * 1000, 1_000_000, 'dc1');
    expect([result.status, result.facts.skewSeconds]).toEqual([status, seconds]);
    if (status !== 'ok') expect(result.finding).toContain(seconds > 0 ? 'ahead of' : 'behind');
  });

  it('reads the times of LDAP', () => {
    expect(generalizedTime('20261122070625.0Z')).toBe(Date.UTC(2026, 10, 22, 7, 6, 25));
    expect(generalizedTime('20261122070625Z')).toBe(Date.UTC(2026, 10, 22, 7, 6, 25));
    expect(generalizedTime('')).toBeUndefined();
    expect(generalizedTime('2026-11-22')).toBeUndefined();
  });

  it('tells spans in the unit that fits', () => {
    expect([45_000, 89 * MINUTE, -12 * MINUTE, 3 * 60 * MINUTE, 72 * 60 * MINUTE].map(durationText)).toEqual([
      '45 seconds',
      '89 minutes',
      '12 minutes',
      '3 hours',
      '3 days',
    ]);
  });
});

describe('Node.js', () => {
  it.each([
    ['18.20.4', 'error'],
    ['20.18.3', 'error'],
    ['20.19.0', 'ok'],
    ['24.1.0', 'ok'],
  ])('%s: %s', (version, status) => {
    expect(checkNode(version).status).toBe(status);
  });
});

const config = (connectors: string) =>
  parseConfig(
    `{ stateDir: ./s, tenant: { url: 'https://t/p.svc', auth: { clientId: a, clientSecret: { env: S } } }, connectors: ${connectors} }`,
    '/etc/phsync/agent.yaml',
    agentConfigSchema,
  );
const drs = (name: string, domain: string, auth: string, enabled = true) =>
  `{ name: ${name}, enabled: ${enabled}, directory: { type: drs, server: dc1.${domain}, domain: ${domain}, auth: ${auth} } }`;
const NTLM = '{ user: u, password: { env: P } }';

describe('the Kerberos library', () => {
  const missing = () => 'libgssapi_krb5.so.2 is not there';
  it('is missed only by who asks for it', () => {
    const of = (auth: string, whyNot: () => string | undefined = missing) =>
      checkGssapi(config(`[${drs('a', 'phs.test', auth)}]`), whyNot)?.status;
    expect(of(NTLM)).toBeUndefined();
    expect(of('{ mechanism: negotiate, user: u, password: { env: P } }')).toBe('warning');
    expect(of('{ mechanism: kerberos, user: u, password: { env: P } }')).toBe('error');
    expect(of('{ mechanism: kerberos, user: u, password: { env: P } }', () => undefined)).toBe('ok');
  });
});

describe('the commands that grant the rights', () => {
  it.each([
    ['phs.sync', undefined, 'PHS\\phs.sync'],
    ['phs.sync', 'CONTOSO', 'CONTOSO\\phs.sync'],
    ['CORP\\phs.sync', undefined, 'CORP\\phs.sync'],
    ['phs.sync@phs.test', 'PHS', 'phs.sync@phs.test'],
  ])('name %s (NetBIOS %s) as %s', (account, netbios, trustee) => {
    const { dsacls, sambaTool } = grantCommands(account, 'phs.test', netbios);
    expect(dsacls).toEqual([
      `dsacls "DC=phs,DC=test" /G "${trustee}:CA;Replicating Directory Changes"`,
      `dsacls "DC=phs,DC=test" /G "${trustee}:CA;Replicating Directory Changes All"`,
    ]);
    const [warning, command] = trustee.includes('@') ? sambaTool : [undefined, ...sambaTool];
    expect(command).toContain('samba-tool user show phs.sync ');
    // Its first part may be no sAMAccountName.
    if (trustee.includes('@'))
      expect(warning).toBe('# phs.sync is to be the sAMAccountName: write it there if it is another one.');
  });

  it('quote what a shell would read', () => {
    expect(grantCommands("o'hara; id", 'phs.test', 'PHS').sambaTool[0]).toContain(`user show 'o'\\''hara; id' --attr`);
    expect(domainDn('a.phs.test')).toBe('DC=a,DC=phs,DC=test');
  });
});

describe("the scope of the agent's own account", () => {
  const [own] = config(`[${drs('a', 'phs.test', NTLM)}]`).connectors;
  const of = (name: string, cloudFiltered: { attribute: 'sAMAccountName'; equals: string }[]) => {
    const object = { dn: `CN=${name},DC=phs,DC=test`, objectClass: 'user', rid: 1104, sAMAccountName: name };
    const connector = { ...own!, scope: { ...own!.scope, cloudFiltered } };
    return checkScope({ object, connector } as unknown as ObjectUnderTest, createScope(connector.scope));
  };
  const out = (equals: string) => ({ attribute: 'sAMAccountName' as const, equals });

  it('is to be out, and nobody else is', () => {
    expect(of('u', []).status).toBe('warning');
    expect(of('u', [out('u')])).toMatchObject({
      status: 'ok',
      finding:
        'out of scope, as the account that the agent logs on with should be: scope.cloudFiltered keeps it out: ' +
        'sAMAccountName equals u',
    });
    expect(of('ann', [out('ann')])).toMatchObject({ status: 'error', facts: { why: 'cloud-filtered' } });
    expect(of('ann', [])).toMatchObject({ status: 'ok', finding: 'in scope' });
  });
});

describe('the connector of a DN', () => {
  const all = config(
    `[${drs('parent', 'phs.test', NTLM)}, ${drs('child', 'a.phs.test', NTLM)}, ${drs('off', 'b.test', NTLM, false)}]`,
  );
  it.each([
    ['CN=Ann,DC=phs,DC=test', 'parent'],
    ['cn=ann,ou=x,dc=A,dc=phs,dc=TEST', 'child'],
    ['CN=Bob,DC=b,DC=test', 'off'],
  ])('%s: %s', (dn, name) => {
    expect(connectorOf(all, dn, undefined).name).toBe(name);
  });

  it.each([['Ann'], ['CN=Ann,DC=other,DC=test'], ['CN=Ann,DC=xphs,DC=test']])('%s: none', (dn) => {
    expect(() => connectorOf(all, dn, undefined)).toThrow(expect.objectContaining({ code: 'usage-dn' }));
  });

  it('is the named one, which must be there and of that domain', () => {
    expect(connectorOf(all, 'CN=Ann,DC=a,DC=phs,DC=test', 'child').name).toBe('child');
    expect(() => connectorOf(all, 'CN=Ann,DC=phs,DC=test', 'child')).toThrow(/lies in the domain of no connector/);
    expect(() => connectorOf(all, 'CN=Ann,DC=phs,DC=test', 'nobody')).toThrow(/expected one of parent, child, off/);
  });
});

describe('the text', () => {
  const results: CheckResult[] = [
    ok('configuration', 'agent.yaml'),
    warning('staging', 'on', 'Turn it off.'),
    failure('dc-logon', 'refused\n twice', 'Correct it.', {}, { connector: 'phs.test', server: 'dc1' }),
    skipped('dc-domain', 'cannot be told', { connector: 'phs.test', server: 'dc1' }),
  ];
  it('has a line a check, advice below each finding, and a sum', () => {
    expect(tally(results)).toEqual({ ok: 1, warning: 1, error: 1, skipped: 1 });
    expect(diagnosisText(results)).toBe(
      [
        'ok       Configuration: agent.yaml',
        'WARNING  Staging mode: on',
        '         -> Turn it off.',
        '',
        'phs.test, dc1',
        'ERROR    Logon: refused twice',
        '         -> Correct it.',
        '-        Domain: cannot be told',
        '',
        '1 error, 1 warning.',
      ].join('\n'),
    );
    expect(diagnosisText([results[0]!])).toMatch(/\n\nAll is well\.$/);
  });

  it('steer no terminal, whatever the directory calls somebody', () => {
    const text = diagnosisText([ok('object', 'CN=\x1b]0;title\x07Ann\x9b31m,\r\n OU=Staff')]);
    expect(text.split('\n')[0]).toBe('ok       Object in the directory: CN=\ufffd]0;title\ufffdAnn\ufffd31m, OU=Staff');
  });
});
