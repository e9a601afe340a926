/** Windows credentials on their way into the tenant: what is stored, what is refused and how, on both databases. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { recipientOf } from '#src/provisioning/ad-auth-info.js';
import type { ProvisioningClient } from '#src/provisioning/client.js';
import { CredentialResult } from '#src/provisioning/types.js';
import type { DomainServices } from '#src/tenant/domain-services/service.js';
import { createCertificate, type TestCertificate } from '../../provisioning/certificates.js';
import { startTestTenant, type TestTenant, testHasher, vectors } from '../harness.js';
import { describeStores, type StoreSite } from '../stores.js';
import { ADMIN, clientOf, item, provision, sealed, serviceOf, storedOf } from './site.js';

let hasher: Hasher;
let first: TestCertificate;
let second: TestCertificate;
beforeAll(async () => {
  hasher = testHasher();
  [first, second] = await Promise.all([createCertificate(2048), createCertificate(3072)]);
});
afterAll(() => hasher.close());

const thumbprint = ({ der }: TestCertificate) => recipientOf(der).thumbprint;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describeStores('Windows credentials', (newSite) => {
  let site: StoreSite;
  let tenant: TestTenant;
  let client: ProvisioningClient;
  let service: DomainServices;
  beforeEach(async () => {
    site = await newSite();
    tenant = await startTestTenant({ ...site.tenant, hasher });
    client = clientOf(tenant);
    service = serviceOf(tenant.store);
    await provision(client, ['a', 'b', 'c']);
  });
  afterEach(async () => {
    await client.close();
    await tenant.close();
  });
  const enable = () => service.enable({ domainName: 'aadds.phs.test', certificate: first.der }, ADMIN);
  const send = async (...items: ReturnType<typeof item>[]) => {
    const results = await client.provisionCredentials(items);
    return results.map(({ result, extendedErrorInformation }) => ({ result, words: extendedErrorInformation }));
  };
  const DONE = { result: CredentialResult.success, words: undefined };

  describe('while Domain Services are off', () => {
    it('are not asked for, and dropped where they come all the same, which is said', async () => {
      expect(await client.getWindowsCredentialsSyncConfig()).toEqual({
        enableWindowsLegacyCredentials: false,
        enableWindowsSupplementalCredentials: false,
        secretEncryptionCertificate: undefined,
      });
      const [answer] = await send(item('a', '2026-01-01', sealed(first.der)));
      expect(answer).toEqual({ result: 0, words: expect.stringContaining('not enabled') });
      expect(await storedOf(tenant.store, 'a')).toBeUndefined();
      expect((await tenant.signIn('a@phs.test', vectors[0]!.password)).status).toBe(200);
    });

    it('are off again after disabling, and what was stored is gone', async () => {
      await enable();
      const { epoch } = await client.getWindowsCredentialsSyncConfig();
      expect(epoch).toMatch(/^[0-9a-f-]{36}$/);
      await send(item('a', '2026-01-01', sealed(first.der)), item('b', '2026-01-01', sealed(first.der)));
      expect(await service.disable(ADMIN)).toEqual({ deleted: 2 });
      expect(await storedOf(tenant.store, 'a')).toBeUndefined();
      expect((await client.getWindowsCredentialsSyncConfig()).enableWindowsSupplementalCredentials).toBe(false);
      expect((await send(item('c', '2026-01-01', sealed(first.der))))[0]!.words).toContain('not enabled');
      expect(await storedOf(tenant.store, 'c')).toBeUndefined();
      // Certificate and name were kept.
      const again = await service.enable({}, ADMIN);
      expect(again).toMatchObject({ enabled: true, domainName: 'aadds.phs.test', users: 0 });
      // What an agent that has not looked meanwhile can tell it by.
      expect((await client.getWindowsCredentialsSyncConfig()).epoch).not.toBe(epoch);
    });
  });

  describe('while Domain Services are enabled', () => {
    beforeEach(enable);

    it('are asked for, to be sealed to the newest certificate, with a random NT hash where SyncNtlmPasswords is off', async () => {
      const epoch = expect.any(String);
      const config = { enableWindowsLegacyCredentials: true, enableWindowsSupplementalCredentials: true, epoch };
      const certificateOf = ({ der }: TestCertificate) => ({ secretEncryptionCertificate: der.toString('base64') });
      expect(await client.getWindowsCredentialsSyncConfig()).toEqual({ ...config, ...certificateOf(first) });
      await service.addCertificate(second.der, ADMIN);
      expect(await client.getWindowsCredentialsSyncConfig()).toEqual({ ...config, ...certificateOf(second) });
      await service.addCertificate(first.der, ADMIN);
      await service.set({ syncNtlmPasswords: 'Disabled' }, ADMIN);
      expect(await client.getWindowsCredentialsSyncConfig()).toEqual({
        ...config,
        ...certificateOf(first),
        enableWindowsLegacyCredentials: false,
      });
    });

    it('are stored with the credential, byte for byte, and again when the same change comes once more', async () => {
      const blobs = sealed(first.der);
      expect(await send(item('a', '2026-01-01', blobs), item('b', '2026-01-01'))).toEqual([DONE, DONE]);
      expect(await storedOf(tenant.store, 'a')).toEqual({
        ...blobs,
        change_date: Date.UTC(2026, 0, 1),
        thumbprint: thumbprint(first),
      });
      expect(await storedOf(tenant.store, 'b')).toBeUndefined();
      const again = sealed(first.der);
      expect(await send(item('a', '2026-01-01', again))).toEqual([DONE]);
      expect(await storedOf(tenant.store, 'a')).toMatchObject(again);
      // One of the two alone: the other is not of this password.
      expect(await send(item('a', '2026-01-02', { supplemental: blobs.supplemental }))).toEqual([DONE]);
      expect(await storedOf(tenant.store, 'a')).toMatchObject({ legacy: null, supplemental: blobs.supplemental });
    });

    it('are stored of whole batches, whoever stands in them twice', async () => {
      const names = Array.from({ length: 150 }, (_, i) => `n${i}`);
      await provision(client, names);
      const blobs = names.map(() => sealed(first.der));
      const newer = sealed(first.der);
      const items = names.map((name, i) => item(name, '2026-01-01', blobs[i]!));
      const answers = await send(...items, item('n7', '2026-01-02', newer), item('n8', '2025-01-01', newer));
      expect(answers.map(({ result }) => result)).toEqual([...names.map(() => 0), 0, CredentialResult.olderChange]);
      for (const [i, name] of names.entries()) {
        expect(await storedOf(tenant.store, name)).toMatchObject(name === 'n7' ? newer : blobs[i]!);
      }
      expect((await service.show())!.users).toBe(150);
    });

    it('of an older change never overwrite those of a newer one, nor go where a newer password is known', async () => {
      const newer = sealed(first.der);
      await send(item('a', '2026-01-02', newer), item('b', '2026-01-02'));
      const answers = await send(
        item('a', '2026-01-01', sealed(first.der)),
        item('b', '2026-01-01', sealed(first.der)),
      );
      expect(answers.map(({ result }) => result)).toEqual([CredentialResult.olderChange, CredentialResult.olderChange]);
      expect(await storedOf(tenant.store, 'a')).toMatchObject(newer);
      expect(await storedOf(tenant.store, 'b')).toBeUndefined();
    });

    it('are stored though an administrator has reset the password in the cloud, which stands', async () => {
      await send(item('a', '2026-01-01'));
      const [{ object_id: objectId }] = (await tenant.store.database.run((queries) =>
        queries.selectFrom('users').select('object_id').where('source_anchor', '=', 'a').execute(),
      )) as [{ object_id: string }];
      const newPassword = 'An-administrator-said-9';
      await tenant.passwords.reset({ objectId, newPassword, forceChangeNextSignIn: false, actor: 'root' });
      const blobs = sealed(first.der);
      expect(await send(item('a', '2026-01-01', blobs))).toEqual([
        { result: CredentialResult.olderChange, words: expect.stringContaining('Windows credentials were stored') },
      ]);
      expect(await storedOf(tenant.store, 'a')).toMatchObject(blobs);
      expect((await tenant.signIn('a@phs.test', newPassword)).status).toBe(200);
    });

    it('are stored of a password that was written back, whose time on premises comes in whole seconds', async () => {
      const blobs = sealed(first.der);
      await send(item('a', '2026-01-01T00:00:00Z', sealed(first.der)));
      await tenant.store.database.run((queries) =>
        queries
          .updateTable('credentials')
          .set({ origin: 2, change_date: Date.parse('2026-01-02T10:00:00.450Z') })
          .execute(),
      );
      expect((await send(item('a', '2026-01-02T09:59:59.003Z', sealed(first.der))))[0]!.words).toContain('Newer');
      await send(item('a', '2026-01-02T10:00:00.003Z', blobs));
      expect(await storedOf(tenant.store, 'a')).toMatchObject(blobs);
    });

    it('stay with a deleted user, and are there when it comes back', async () => {
      const blobs = sealed(first.der);
      await send(item('a', '2026-01-01', blobs));
      await client.provisionAzureADSyncObjects([
        { syncObjectType: 'User', syncOperation: 'Delete', propertyValues: new Map([['SourceAnchor', 'a']]) },
      ]);
      expect((await send(item('a', '2026-01-02', sealed(first.der))))[0]!.result).toBe(CredentialResult.anchorNotFound);
      await provision(client, ['a']);
      expect(await storedOf(tenant.store, 'a')).toMatchObject(blobs);
    });

    const { invalidWindowsCredentials } = CredentialResult;
    const flipped = (blob: Buffer, at: number) => {
      const copy = Buffer.from(blob);
      copy[at]! ^= 0x40;
      return copy;
    };
    it('that are malformed, or sealed for nobody: the credential is stored, and the result names what is wrong', async () => {
      const { legacy, supplemental } = sealed(first.der);
      const wrong: readonly (readonly [string, Partial<ReturnType<typeof sealed>>, RegExp])[] = [
        ['a header that is none', { legacy: flipped(legacy, 0) }, /Legacy.*version/],
        ['a key of another size', { legacy: flipped(legacy, 20) }, /Legacy.*expected/],
        ['an end that is missing', { supplemental: supplemental.subarray(0, -1) }, /Supplemental.*end/],
        ['nothing but a header', { supplemental: supplemental.subarray(0, 32) }, /Supplemental/],
        ['too much in it', { legacy: supplemental }, /Legacy.*32 sealed bytes/],
        ['more than is taken', { supplemental: Buffer.alloc(40_000) }, /Supplemental.*more than 32768/],
        ['a certificate nobody has added', sealed(second.der), new RegExp(hex(thumbprint(second)))],
      ];
      await provision(
        client,
        wrong.map(([name]) => name.replaceAll(' ', '.')),
      );
      const items = wrong.map(([name, blobs]) => item(name.replaceAll(' ', '.'), '2026-01-01', blobs));
      // The others of the batch are not touched by it.
      const answers = await send(...items, item('b', '2026-01-01', { legacy, supplemental }));
      expect(answers.at(-1)).toEqual(DONE);
      for (const [i, [name, , words]] of wrong.entries()) {
        expect(answers[i], name).toEqual({ result: invalidWindowsCredentials, words: expect.stringMatching(words) });
        expect(await storedOf(tenant.store, items[i]!.sourceAnchor!), name).toBeUndefined();
        const { status } = await tenant.signIn(`${items[i]!.sourceAnchor}@phs.test`, vectors[0]!.password);
        expect(status, name).toBe(200);
      }
      expect(await storedOf(tenant.store, 'b')).toBeDefined();
    });

    it('that are no base64, or sealed to two certificates, are refused by name', async () => {
      await service.addCertificate(second.der, ADMIN);
      const two = { legacy: sealed(first.der).legacy, supplemental: sealed(second.der).supplemental };
      const noBase64 = { ...item('b', '2026-01-01'), windowsLegacyCredentials: '****' };
      expect(await send(item('a', '2026-01-01', two), noBase64)).toEqual([
        { result: invalidWindowsCredentials, words: expect.stringContaining('two certificates') },
        { result: invalidWindowsCredentials, words: expect.stringContaining('base64') },
      ]);
    });

    it('are sealed to a certificate of today: another one is not taken but by force', async () => {
      const HOUR = 3_600_000;
      const now = Date.now();
      const [ended, early] = await Promise.all([
        createCertificate(2048, { from: now - 2 * HOUR, to: now - HOUR }),
        createCertificate(2048, { from: now + HOUR, to: now + 2 * HOUR }),
      ]);
      const code = 'ad-auth-info-certificate';
      for (const [{ der }, words] of [
        [ended, 'has ended on'],
        [early, 'is not valid before'],
      ] as const) {
        const refused = { code, message: expect.stringContaining(words) };
        await expect(service.addCertificate(der, ADMIN)).rejects.toMatchObject(refused);
        await expect(service.enable({ certificate: der }, ADMIN)).rejects.toMatchObject(refused);
      }
      expect((await service.show())!.certificates).toMatchObject([{ thumbprint: hex(thumbprint(first)) }]);
      // By a clock that is ahead.
      const soon = await createCertificate(2048, { from: now + 60_000 });
      expect((await service.addCertificate(soon.der, ADMIN)).certificates).toHaveLength(2);
      const forced = await service.addCertificate(ended.der, ADMIN, { force: true });
      expect(forced.certificates[0]).toMatchObject({ thumbprint: hex(thumbprint(ended)), isNewest: true });
      expect(forced.warnings).toEqual([expect.stringContaining('has ended on')]);
      const again = await service.enable({ certificate: early.der, force: true }, ADMIN);
      expect(again.certificates[0]).toMatchObject({ thumbprint: hex(thumbprint(early)) });
    });

    it('sealed to a former certificate are taken while that is listed', async () => {
      await service.addCertificate(second.der, ADMIN);
      expect(await send(item('a', '2026-01-01', sealed(first.der)))).toEqual([DONE]);
      const { certificates } = (await service.show())!;
      expect(certificates.map(({ isNewest, users, keyBits }) => ({ isNewest, users, keyBits }))).toEqual([
        { isNewest: true, users: 0, keyBits: 3072 },
        { isNewest: false, users: 1, keyBits: 2048 },
      ]);
      const gone = service.removeCertificate(thumbprint(first), { force: false }, ADMIN);
      await expect(gone).rejects.toMatchObject({ code: 'domain-services-certificate-needed', facts: { users: 1 } });
      await service.removeCertificate(thumbprint(first), { force: true }, ADMIN);
      expect((await send(item('b', '2026-01-01', sealed(first.der))))[0]!.result).toBe(invalidWindowsCredentials);
      const last = service.removeCertificate(thumbprint(second), { force: true }, ADMIN);
      await expect(last).rejects.toMatchObject({ code: 'domain-services-last-certificate' });
    });

    it('hold a former certificate by users who exist, and these are named: the first ten', async () => {
      const names = Array.from({ length: 12 }, (_, i) => `n${String(i).padStart(2, '0')}`);
      await provision(client, names);
      await send(item('a', '2026-01-01', sealed(first.der)));
      await send(...names.map((name) => item(name, '2026-01-01', sealed(first.der))));
      await service.addCertificate(second.der, ADMIN);
      const remove = () => service.removeCertificate(thumbprint(first), { force: false }, ADMIN);
      await service.addCertificate(first.der, ADMIN);
      await expect(remove()).rejects.toThrow(
        /it is the newest, which agents go on sealing to: add the next one first, and/,
      );
      await service.addCertificate(second.der, ADMIN);
      const ofNames = names.slice(0, 9).map((name) => `${name}@phs.test`);
      await expect(remove()).rejects.toMatchObject({
        message: expect.stringContaining(`of 13 users are sealed to ${hex(thumbprint(first))} (a@phs.test, n00@`),
        facts: { users: 13, deletedUsers: 0 },
      });
      await expect(remove()).rejects.toThrow(
        /n08@phs\.test and 3 more\): they follow .+; --force \(`force`\) removes it/,
      );
      const former = async () => (await service.show())!.certificates[1];
      expect(await former()).toMatchObject({ users: 13, deletedUsers: 0 });
      expect((await former())!.userPrincipalNames).toEqual(['a@phs.test', ...ofNames]);

      // Whoever is deleted keeps what is sealed, in case of a restore, and holds nothing.
      const gone = [...names.slice(1), 'a'];
      await client.provisionAzureADSyncObjects(
        gone.map((anchor) => ({
          ...{ syncObjectType: 'User', syncOperation: 'Delete' },
          propertyValues: new Map([['SourceAnchor', anchor]]),
        })),
      );
      expect(await service.show()).toMatchObject({ users: 1, deletedUsers: 12 });
      expect(await former()).toMatchObject({ users: 1, deletedUsers: 12, userPrincipalNames: ['n00@phs.test'] });
      await expect(remove()).rejects.toThrow(/of 1 user are sealed .*\(n00@phs\.test, and of 12 deleted, who do not/);
      await send(item('n00', '2026-01-02', sealed(second.der)));
      expect((await remove()).certificates).toHaveLength(1);
      expect(await storedOf(tenant.store, 'n01')).toMatchObject({ thumbprint: thumbprint(first) });
    });

    it('are not for a domain that users come from, and a domain of their names is warned of', async () => {
      expect((await service.show())!.warnings).not.toContainEqual(expect.stringContaining('a domain of this tenant'));
      await service.disable(ADMIN);
      const named = await service.enable({ domainName: 'phs.test' }, ADMIN);
      expect(named.warnings).toContainEqual(expect.stringMatching(/^phs\.test is a domain of this tenant's users/));
      await service.disable(ADMIN);
      await provision(client, ['d'], { dnsDomainName: 'Ad.Phs.test' });
      const own = { code: 'domain-services-own-domain', message: expect.stringContaining('such as aadds.ad.phs.test') };
      await expect(service.enable({ domainName: 'AD.phs.test' }, ADMIN)).rejects.toMatchObject(own);
      expect(await service.enable({ domainName: 'aadds.phs.test' }, ADMIN)).toMatchObject({ enabled: true });
    });

    it('have a certificate whose end is told in the log of a tenant that starts', async () => {
      expect(tenant.logText()).not.toContain('certificate of Domain Services');
      const again = await startTestTenant({ ...site.tenant, hasher });
      await again.close();
      // The test's are good for an hour.
      expect(again.logText()).toMatch(/"level":"?\w+"?,.*the certificate of Domain Services ends on .*, in 0 days/);
    });

    it('leave nothing of themselves in the log', async () => {
      const blobs = sealed(first.der);
      await send(item('a', '2026-01-01', blobs), item('b', '2026-01-01', { legacy: blobs.legacy.subarray(0, 100) }));
      for (const blob of [blobs.legacy, blobs.supplemental]) {
        for (let at = 0; at + 24 <= blob.length; at += 24) {
          const part = blob.subarray(at, at + 24);
          expect(tenant.logText()).not.toContain(part.toString('base64'));
          expect(tenant.logText()).not.toContain(part.toString('hex'));
        }
      }
    });
  });
});
