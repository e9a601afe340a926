/** What a real domain controller replicates, sealed for Domain Services: every NT hash and every Kerberos key of it. */

import { createCipheriv, pbkdf2Sync } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { DrsClient } from '#src/protocol/drsr/drs-client.js';
import { DrsOption, ExtendedOperation } from '#src/protocol/drsr/get-nc-changes-request.js';
import { ATTRIBUTE_OIDS, type AttributeName } from '#src/protocol/drsr/schema.js';
import { NO_USN } from '#src/protocol/drsr/vectors.js';
import { guidFromText, guidToText } from '#src/protocol/dtyp/guid.js';
import { ridOf } from '#src/protocol/dtyp/sid.js';
import type { RpcClient } from '#src/protocol/rpc/rpc-client.js';
import { createLegacySealer, type SealItem } from '#src/provisioning/legacy-sealer.js';
import { openBlob } from '../provisioning/blobs.js';
import { createCertificate } from '../provisioning/certificates.js';
import { connectDrsuapi, ntlm } from './connect.js';
import { type DcUser, describeDc, facts, special, users } from './dc.js';

const ATTRIBUTES = new Map(Object.entries(ATTRIBUTE_OIDS).map(([name, oid]) => [oid, name as AttributeName]));

let rpc: RpcClient | undefined;
afterEach(() => rpc?.close());

/** Every account that has a RID, by objectGUID. */
async function replicate(client: DrsClient): Promise<Map<string, SealItem>> {
  const items = new Map<string, SealItem>();
  for (let usnvecFrom = NO_USN, more = true; more; ) {
    const page = await client.getNCChanges(
      {
        uuidDsaObjDest: guidFromText('2f9a1c9e-5b1f-4f0e-9d0c-9d6f0f5c7a12'),
        uuidInvocIdSrc: guidFromText(facts().invocationId),
        nc: { dn: facts().baseDn },
        usnvecFrom,
        upToDateVector: undefined,
        ulFlags: DrsOption.INIT_SYNC | DrsOption.WRIT_REP | DrsOption.NEVER_SYNCED,
        cMaxObjects: 1000,
        cMaxBytes: 0x800000,
        ulExtendedOp: ExtendedOperation.none,
      },
      ATTRIBUTES,
    );
    for (const { name, attributes } of page.objects) {
      if (name.sid === undefined) continue;
      items.set(guidToText(name.guid), {
        rid: ridOf(name.sid),
        unicodePwd: attributes.get('unicodePwd')?.values[0],
        supplementalCredentials: attributes.get('supplementalCredentials')?.values[0],
      });
    }
    more = page.fMoreData;
    usnvecFrom = page.usnvecTo;
  }
  return items;
}

/** The AES-256 key of a password (RFC 3962, section 4), by node:crypto. */
function aes256Key(password: string, salt: string): Buffer {
  const tkey = pbkdf2Sync(password, salt, 4096, 32, 'sha1');
  const encrypt = (block: Buffer): Buffer => createCipheriv('aes-256-ecb', tkey, null).update(block);
  // n-fold of "kerberos" to 128 bits.
  const first = encrypt(Buffer.from('6b65726265726f737b9b5b2b93132b93', 'hex'));
  return Buffer.concat([first, encrypt(first)]);
}

/** What a DC salts an account's keys with (MS-KILE 3.1.1.2). */
function saltOf({ name }: DcUser): string {
  const { realm, dnsDomain } = facts();
  if (!name.endsWith('$')) return `${realm}${name}`;
  return `${realm}host${name.slice(0, -1).toLowerCase()}.${dnsDomain}`;
}

const TYPES = { legacy: '5a000900', supplemental: '7d000900' };

describeDc('the legacy sealer', () => {
  // The fallback is looked at in part: what both give is compared elsewhere.
  it.each([
    { backend: 'native', opened: 1, derived: 5 },
    { backend: 'fallback', opened: 10, derived: 50 },
  ] as const)('seals every account of the domain: $backend', async ({ backend, opened, derived }) => {
    rpc = await connectDrsuapi(ntlm(special('sync-account')));
    const replicated = await replicate(await DrsClient.bind(rpc));
    const manifest: DcUser[] = users();
    expect(manifest.length).toBeGreaterThan(2000);
    const items = manifest.map(({ objectGUID }) => replicated.get(objectGUID)!);
    const { der, privateKey } = await createCertificate(2048);
    const sealer = createLegacySealer({ backend, threads: 1 });
    try {
      const sealed = await sealer.seal({ certificate: der, ntlm: true, sessionKeys: [rpc.sessionKey()], items });
      let kerberos = 0;
      for (const [i, { legacy, supplemental }] of sealed.entries()) {
        const account = manifest[i]!;
        const { name, password, ntHash } = account;
        expect([name, legacy.status]).toEqual([name, ntHash === null ? 'absent' : 'sealed']);
        // Of the special ones every one.
        const isOneOfMany = /^u\d{7}$/.test(name);
        const isOpened = i % opened === 0 || !isOneOfMany;
        if (legacy.blob !== undefined && isOpened) {
          const { plaintext } = openBlob(legacy.blob, privateKey);
          expect([name, plaintext.toString('hex')]).toEqual([name, `${TYPES.legacy}10000000${ntHash}`]);
        }
        if (items[i]!.supplementalCredentials === undefined) {
          expect([name, supplemental.status]).toEqual([name, 'absent']);
          continue;
        }
        expect([name, supplemental.status]).toEqual([name, 'sealed']);
        if (!isOpened) continue;
        const { plaintext } = openBlob(supplemental.blob!, privateKey);
        expect(plaintext.toString('hex', 0, 4)).toBe(TYPES.supplemental);
        expect(plaintext.includes(Buffer.from('Primary:WDigest', 'utf16le'))).toBe(false);
        if (password === null || (i % derived !== 0 && isOneOfMany)) continue;
        const key = aes256Key(password, saltOf(account)).toString('hex');
        expect([name, plaintext.toString('latin1').toLowerCase().includes(key)]).toEqual([name, true]);
        kerberos++;
      }
      expect(kerberos).toBeGreaterThan(10);
    } finally {
      await sealer.close();
    }
  });
});
