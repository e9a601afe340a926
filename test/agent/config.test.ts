import { describe, expect, test } from 'vitest';
import { agentConfigSchema } from '#src/agent/config.js';
import { parseConfig } from '#src/config/load-config.js';

const good = `
stateDir: ./agent-state
tenant:
  url: https://127.0.0.1:8443/provisioningservice.svc
  ca: ./tenant-state/ca.pem
  auth: { clientId: agent-1, clientSecret: { env: PHSYNC_AGENT_SECRET } }
connectors:
  - name: phs.test
    directory:
      type: drs
      server: dc1.phs.test
      address: 127.0.0.1
      domain: PHS.test
      auth: { mechanism: ntlm, user: phs.sync, password: { env: PHSYNC_AD_PASSWORD } }
    scope: { include: ['OU=Staff,DC=phs,DC=test'], exclude: [] }
  - name: lab
    enabled: false
    directory: { type: lab, users: 20000 }
`;

const parse = (text: string) => parseConfig(text, '/etc/phsync/agent.yaml', agentConfigSchema);

describe('agent.yaml', () => {
  test('the documented file, with its defaults', () => {
    const config = parse(good);
    expect(config.stateDir).toBe('/etc/phsync/agent-state');
    expect(config.logLevel).toBe('info');
    expect(config.tenant.ca).toBe('/etc/phsync/tenant-state/ca.pem');
    expect(config.connectors[0]).toMatchObject({
      enabled: true,
      directory: { type: 'drs', server: 'dc1.phs.test', domain: 'phs.test', auth: { mechanism: 'ntlm' } },
    });
    expect(config.connectors[1]).toEqual({
      name: 'lab',
      enabled: false,
      directory: { type: 'lab', users: 20000, seed: 1, domain: 'lab.test', changesPerMinute: 0 },
      phaseSeconds: 0,
      scope: { include: [], exclude: [], cloudFiltered: [], passwords: 'all' },
      disableExpiredAccounts: false,
    });
  });

  test.each([
    ['interval: 60', /interval: .*every two minutes, and this cannot be configured/],
    ['intervalSeconds: 60', /every two minutes/],
    ['retries: 3', /line 19: retries: unknown key/],
    ['logLevel: loud', /logLevel/],
    ['monitor: { host: 0.0.0.0, port: 9464 }', /monitor.host: expected a loopback address/],
  ])('refuses %s', (line, message) => {
    expect(() => parse(`${good}${line}\n`)).toThrow(message);
  });

  test('refuses to do without the check of the certificate, and says what to do', () => {
    const text = good.replace('  ca: ./tenant', '  rejectUnauthorized: false\n  ca: ./tenant');
    expect(() => parse(text)).toThrow(/line 5: tenant.rejectUnauthorized: .*cannot be turned off.*set tenant.ca/);
  });

  const directory = (lines: string) =>
    parse(good.replace(/ {6}server: dc1[\s\S]*?(?=\n {4}scope)/, `      domain: phs.test\n      ${lines}`))
      .connectors[0]!.directory;

  test('domain controllers: one, a list, or what DNS names', () => {
    const auth = 'auth: { user: u, password: { env: P } }';
    expect(
      directory(`servers: [dc1.phs.test, { server: dc2.phs.test, address: 127.0.0.2 }]\n      ${auth}`),
    ).toMatchObject({
      servers: [{ server: 'dc1.phs.test' }, { server: 'dc2.phs.test', address: '127.0.0.2' }],
    });
    expect(directory(`preferredServers: [dc1.phs.test]\n      site: Berlin\n      ${auth}`)).toMatchObject({
      site: 'Berlin',
    });
    expect(() => directory(`server: dc1\n      servers: [dc2]\n      ${auth}`)).toThrow(/servers: expected either/);
    expect(() => directory(`address: 127.0.0.1\n      ${auth}`)).toThrow(/address: is of `server`/);
    expect(() => directory(`servers: [dc1]\n      site: Berlin\n      ${auth}`)).toThrow(/site: is for DNS/);
  });

  test.each([
    ['{ mechanism: kerberos, user: u, keytab: ./u.keytab }', undefined],
    ['{ mechanism: kerberos, credentialCache: "KEYRING:persistent:0" }', undefined],
    ['{ mechanism: negotiate, user: u, password: { env: P }, allowRc4: true }', undefined],
    ['{ mechanism: kerberos, user: u }', /password: expected one of password, keytab and credentialCache/],
    ['{ mechanism: kerberos, user: u, keytab: a, password: { env: P } }', /keytab: expected one of/],
    ['{ mechanism: kerberos, keytab: a }', /user: expected the account/],
    ['{ mechanism: ntlm, user: u, keytab: a }', /keytab: is for the mechanisms kerberos and negotiate/],
    ['{ mechanism: ntlm, user: u, password: { env: P }, allowRc4: true }', /allowRc4: is for/],
  ])('auth: %s', (auth, message) => {
    const parsed = () => directory(`server: dc1\n      auth: ${auth}`);
    if (message === undefined) expect(parsed()).toMatchObject({ type: 'drs' });
    else expect(parsed).toThrow(message);
  });

  describe('passwordWriteback', () => {
    const on = `${good}passwordWriteback: { enabled: true }\n`;
    const keytab = on.replace(
      'mechanism: ntlm, user: phs.sync, password: { env: PHSYNC_AD_PASSWORD }',
      'mechanism: kerberos, user: phs.sync, keytab: ./keytab',
    );
    const connector = (keys: string) => (text: string) =>
      text.replace('    directory:\n', `    passwordWriteback: ${keys}\n    directory:\n`);

    test('takes the account of the directory, over LDAPS, where nothing else is said', () => {
      const config = parse(connector('{ ca: ./ca.pem }')(on));
      expect(config.connectors[0]!.passwordWriteback).toEqual({
        enabled: true,
        tls: 'ldaps',
        ca: '/etc/phsync/ca.pem',
      });
    });

    test('wants an account with a password, and says what for', () => {
      expect(() => parse(keytab)).toThrow(
        /connectors\[0\]\.passwordWriteback: expected auth: \{ user: NAME, password: SECRET \}: passwords are set over LDAP/,
      );
      for (const keys of ['{ enabled: false }', '{ auth: { user: phs.writer, password: { env: WRITER } } }']) {
        expect(() => parse(connector(keys)(keytab))).not.toThrow();
      }
      expect(() => parse(keytab.replace('enabled: true }\n', 'enabled: false }\n'))).not.toThrow();
    });

    test.each([
      ['{ tls: none }', /passwordWriteback\.tls: expected one of "ldaps"\|"starttls"/],
      ['{ insecure: true }', /passwordWriteback\.insecure: unknown key/],
      ['{ auth: { user: phs.writer, password: hunter2 } }', /a secret is never written into the configuration/],
    ])('refuses %s', (keys, message) => expect(() => parse(connector(keys)(on))).toThrow(message));
  });

  test('refuses two enabled connectors for one domain, which would take their users from each other', () => {
    const drs = good.slice(good.indexOf('    directory:\n'), good.indexOf('  - name: lab'));
    const second = drs.replace('PHS.test', 'phs.TEST');
    expect(() => parse(`${good}  - name: again\n${second}`)).toThrow(
      /two enabled connectors replicate the same domain/,
    );
    expect(parse(`${good}  - name: again\n    enabled: false\n${second}`).connectors).toHaveLength(3);
    expect(parse(`${good}  - name: other\n${drs.replace('PHS.test', 'emea.phs.test')}`).connectors).toHaveLength(3);
  });

  test.each([
    ['type: drs', 'type: ldap', /connectors\[0\]\.directory\.type: expected drs or lab$/],
    ['users: 20000', 'users: 0', /connectors\[1\]\.directory\.users/],
    ['users: 20000', 'users: 20000, server: dc1', /connectors\[1\]\.directory\.server: unknown key/],
    ["'OU=Staff,DC=phs,DC=test'", 'Staff', /scope\.include\[0\]: expected a distinguished name/],
    ['https://', 'http://', /tenant\.url: expected an https URL/],
    ['{ env: PHSYNC_AD_PASSWORD }', 'Passw0rd', /password: expected \{ env: NAME \} or \{ file: PATH \}/],
    ['name: lab', 'name: phs.test', /two connectors share a name/],
    ['mechanism: ntlm', 'mechanism: digest', /mechanism/],
    ['domain: PHS.test', 'domain: phs', /domain: expected a DNS domain name/],
    ['domain: PHS.test', 'domain: -phs.test', /domain: expected a DNS domain name/],
  ])('refuses %s turned into %s, and says where', (from, to, message) => {
    expect(good).toContain(from);
    expect(() => parse(good.replace(from, to))).toThrow(message);
  });

  test('a secret that was written inline is not repeated', () => {
    try {
      parse(good.replace('{ env: PHSYNC_AD_PASSWORD }', 'Sup3rS3cret'));
      expect.unreachable();
    } catch (error) {
      expect(String(error)).not.toContain('Sup3rS3cret');
    }
  });
});
