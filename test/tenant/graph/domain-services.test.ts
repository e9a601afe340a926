/** The managed domain's resource, by Microsoft's client and an administrator's token, on both databases. */

import { createHash } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import { createCertificate, type TestCertificate } from '../../provisioning/certificates.js';
import { ADMIN, serviceOf } from '../domain-services/site.js';
import { describeGraph, refusal } from './graph-tenant.js';

let first: TestCertificate;
let second: TestCertificate;
let small: TestCertificate;
let elliptic: TestCertificate;
let ended: TestCertificate;
beforeAll(async () => {
  [first, second, small, elliptic, ended] = await Promise.all([
    createCertificate(2048),
    createCertificate(2048),
    createCertificate(1024),
    createCertificate('P-256'),
    createCertificate(2048, { from: Date.now() - 7_200_000, to: Date.now() - 3_600_000 }),
  ]);
});

const SERVICES = '/providers/Microsoft.AAD/domainServices';
const ONE = `${SERVICES}/AADDS.phs.test`;
const base64 = ({ der }: TestCertificate) => der.toString('base64');
const thumbprint = ({ der }: TestCertificate) => createHash('sha1').update(der).digest('hex');
const VERSION = { 'api-version': '2021-03-01' };

describeGraph('the managed domain', (tenant) => {
  const admin = () => tenant().delegated(['DomainServices.ReadWrite.All', 'AuditLog.Read.All']);
  const reader = () => tenant().delegated(['DomainServices.Read.All']);

  it('is not there before it is enabled, and what enables it must be fit for that', async () => {
    expect((await reader().api(SERVICES).query(VERSION).get()).value).toEqual([]);
    expect(await refusal(reader().api(ONE).get())).toMatchObject({ statusCode: 404 });
    const put = (address: string, properties: object) => refusal(admin().api(address).put({ properties }));
    const withCertificate = (secretEncryptionCertificate: string) => put(ONE, { secretEncryptionCertificate });
    expect((await put(ONE, {})).message).toContain('have no certificate yet');
    expect((await withCertificate(base64(small))).message).toContain('RSA key of 2048 to 16384 bits');
    expect((await withCertificate(base64(elliptic))).message).toContain('not ec');
    const old = await withCertificate(base64(ended));
    expect(old).toMatchObject({ statusCode: 400, message: expect.stringContaining('the certificate has ended on') });
    expect((await withCertificate('AAAA')).message).toContain('X.509 expected');
    expect((await put(`${SERVICES}/aadds`, {})).message).toContain('expected a DNS name');
    expect((await put(ONE, { domainName: 'other.phs.test' })).message).toContain('not the name in the address');
    expect((await put(ONE, { domainSecuritySettings: { ntlmV1: 'Perhaps' } })).statusCode).toBe(400);
    expect((await put(ONE, { domainSecuritySettings: { ntlmV7: 'Enabled' } })).statusCode).toBe(400);
    for (const act of [
      () => admin().api(ONE).delete(),
      () =>
        admin()
          .api(ONE)
          .patch({ properties: { domainSecuritySettings: {} } }),
      () =>
        admin()
          .api(`${ONE}/addCertificate`)
          .post({ certificate: base64(first) }),
    ]) {
      expect((await refusal(act())).statusCode).toBe(404);
    }
    expect((await reader().api(SERVICES).get()).value).toEqual([]);
  });

  it("is enabled, changed, and disabled, in the shape of Azure's, with an entry of the audit log for each act", async () => {
    const settings = {
      ...{ ntlmV1: 'Disabled', syncNtlmPasswords: 'Enabled', tlsV1: 'Disabled', kerberosRc4Encryption: 'Enabled' },
      ...{ kerberosArmoring: 'Enabled', ldapSigning: 'Disabled', channelBinding: 'Disabled' },
    };
    const made = await admin()
      .api(ONE)
      .query(VERSION)
      .put({
        location: 'westeurope',
        properties: {
          domainName: 'aadds.phs.test',
          secretEncryptionCertificate: base64(first),
          domainSecuritySettings: { kerberosArmoring: 'Enabled' },
        },
      });
    expect(made).toEqual({
      id: `${SERVICES}/aadds.phs.test`,
      name: 'aadds.phs.test',
      type: 'Microsoft.AAD/DomainServices',
      properties: {
        tenantId: tenant().tenantId,
        domainName: 'aadds.phs.test',
        provisioningState: 'Succeeded',
        domainSecuritySettings: settings,
        secretEncryptionCertificates: [
          {
            ...{
              thumbprint: thumbprint(first),
              subject: 'CN=Domain Services',
              keyBits: 2048,
              isNewest: true,
              users: 0,
              deletedUsers: 0,
              userPrincipalNames: [],
            },
            ...{ notAfter: expect.any(String), addedDateTime: expect.any(String) },
          },
        ],
        users: 0,
        deletedUsers: 0,
        // The test's certificates are good for an hour.
        warnings: [expect.stringMatching(/ends on .*, in 0 days/)],
      },
    });
    expect((await reader().api(SERVICES).get()).value).toEqual([made]);
    const elsewhere = await refusal(admin().api(`${SERVICES}/else.phs.test`).put({ properties: {} }));
    expect(elsewhere).toMatchObject({ statusCode: 409, message: expect.stringContaining('disable them first') });

    const domainSecuritySettings = { syncNtlmPasswords: 'Disabled' };
    const changed = await admin().api(ONE).patch({ properties: { domainSecuritySettings } });
    expect(changed.properties.domainSecuritySettings).toEqual({ ...settings, ...domainSecuritySettings });

    const pem = `-----BEGIN CERTIFICATE-----\n${base64(second)}\n-----END CERTIFICATE-----\n`;
    const two = await admin().api(`${ONE}/addCertificate`).post({ certificate: pem });
    const { secretEncryptionCertificates } = two.properties;
    expect(secretEncryptionCertificates).toMatchObject([
      { thumbprint: thumbprint(second), isNewest: true },
      { thumbprint: thumbprint(first), isNewest: false },
    ]);
    const late = await refusal(
      admin()
        .api(`${ONE}/addCertificate`)
        .post({ certificate: base64(ended) }),
    );
    expect(late).toMatchObject({ statusCode: 400, message: expect.stringContaining('the certificate has ended on') });
    const removal = (body: object) => admin().api(`${ONE}/removeCertificate`).post(body);
    expect((await refusal(removal({ thumbprint: 'xyz' }))).statusCode).toBe(400);
    expect((await refusal(removal({ thumbprint: '00'.repeat(20) }))).statusCode).toBe(404);
    const colons = thumbprint(first)
      .toUpperCase()
      .replace(/..(?=.)/g, '$&:');
    const left = await removal({ thumbprint: colons });
    expect(left.properties.secretEncryptionCertificates).toHaveLength(1);
    const last = await refusal(removal({ thumbprint: thumbprint(second), force: true }));
    expect(last).toMatchObject({ statusCode: 409, message: expect.stringContaining('only certificate') });

    await admin().api(ONE).delete();
    expect(await refusal(reader().api(ONE).get())).toMatchObject({ statusCode: 404 });
    const { value } = await admin().api('/auditLogs/directoryAudits').filter("category eq 'DirectoryManagement'").get();
    const acts = (value as { activityDisplayName: string; result: string; initiatedBy: { user?: { id: string } } }[])
      .filter(({ activityDisplayName: name }) => name.includes('Domain Services'))
      .map(({ activityDisplayName, result, initiatedBy }) => [activityDisplayName, result, initiatedBy.user?.id]);
    const by = ['success', tenant().administratorId];
    expect(acts.reverse()).toEqual([
      ['Enable Domain Services', ...by],
      ['Set Domain Services security settings', ...by],
      ['Add Domain Services certificate', ...by],
      ['Remove Domain Services certificate', ...by],
      ['Disable Domain Services', ...by],
    ]);
  });

  it('is seen alike by commands and over HTTPS', async () => {
    const service = serviceOf(tenant().store);
    await service.enable({ domainName: 'aadds.phs.test', certificate: first.der }, ADMIN);
    expect((await reader().api(ONE).get()).properties.secretEncryptionCertificates[0]).toMatchObject({
      thumbprint: thumbprint(first),
      isNewest: true,
    });
    await admin().api(ONE).delete();
    expect(await service.show()).toMatchObject({ enabled: false });
  });

  it('is administered by people alone: an agent, a reader of users and an application are refused', async () => {
    const call = (token: string) => tenant().call('PUT', ONE, { token, body: { properties: {} } });
    expect((await call(await tenant().agentToken())).status).toBe(401);
    expect((await call(await tenant().bearer('user', ['DomainServices.Read.All']))).status).toBe(403);
    expect((await call(await tenant().bearer('app', ['DomainServices.ReadWrite.All']))).status).toBe(403);
  });
});
