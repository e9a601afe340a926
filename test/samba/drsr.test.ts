/** MS-DRSR against a real domain controller: whole pages, with every NT hash checked against the manifest. */

import { afterEach, expect, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { formatCredential } from '#src/hasher/credential.js';
import { EnvelopeStatus } from '#src/hasher/types.js';
import {
  DRS_BIND_OPNUM,
  decodeDrsBindReply,
  encodeDrsBindRequest,
  NTDSAPI_CLIENT_GUID,
} from '#src/protocol/drsr/bind.js';
import { NameFormat, NameStatus } from '#src/protocol/drsr/crack-names.js';
import { DrsClient } from '#src/protocol/drsr/drs-client.js';
import { clientExtensions, DrsExtension } from '#src/protocol/drsr/extensions.js';
import { type ChangesReply, decodeGetNCChangesReply } from '#src/protocol/drsr/get-nc-changes-reply.js';
import {
  type ChangesRequest,
  DRS_GET_NC_CHANGES_OPNUM,
  DrsOption,
  ExtendedOperation,
  encodeGetNCChangesRequest,
} from '#src/protocol/drsr/get-nc-changes-request.js';
import { PrefixTable } from '#src/protocol/drsr/prefix-table.js';
import { ATTRIBUTE_OIDS, type AttributeName, CLASS_NAMES } from '#src/protocol/drsr/schema.js';
import { NO_USN } from '#src/protocol/drsr/vectors.js';
import { guidFromText, guidToText } from '#src/protocol/dtyp/guid.js';
import { ridOf, sidToText } from '#src/protocol/dtyp/sid.js';
import type { RpcClient } from '#src/protocol/rpc/rpc-client.js';
import { connectDrsuapi, ntlm, spnego } from './connect.js';
import { type DcUser, describeDc, facts, setPasswords, special, users } from './dc.js';

type Reply = ChangesReply<AttributeName>;
type ReplyObject = Reply['objects'][number];

const ATTRIBUTES = new Map(Object.entries(ATTRIBUTE_OIDS).map(([name, oid]) => [oid, name as AttributeName]));
const DESTINATION = guidFromText('2f9a1c9e-5b1f-4f0e-9d0c-9d6f0f5c7a11');

const open: RpcClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

async function bound(
  kind = 'sync-account',
  context: typeof spnego = ntlm,
): Promise<{ rpc: RpcClient; client: DrsClient }> {
  const rpc = await connectDrsuapi(context(special(kind)));
  open.push(rpc);
  return { rpc, client: await DrsClient.bind(rpc) };
}

const wholeDomain = (cMaxObjects: number): Omit<ChangesRequest, 'attributes'> => ({
  uuidDsaObjDest: DESTINATION,
  uuidInvocIdSrc: guidFromText(facts().invocationId),
  nc: { dn: facts().baseDn },
  usnvecFrom: NO_USN,
  upToDateVector: undefined,
  ulFlags: DrsOption.INIT_SYNC | DrsOption.WRIT_REP | DrsOption.NEVER_SYNCED | DrsOption.GET_NC_SIZE,
  cMaxObjects,
  cMaxBytes: 0x800000,
  ulExtendedOp: ExtendedOperation.none,
});

/** Every page from the request on. */
async function allPages(
  get: (request: Omit<ChangesRequest, 'attributes'>) => Promise<Reply>,
  first: Omit<ChangesRequest, 'attributes'>,
): Promise<Reply[]> {
  const pages = [await get(first)];
  while (pages.at(-1)!.fMoreData) pages.push(await get({ ...first, usnvecFrom: pages.at(-1)!.usnvecTo }));
  return pages;
}

const byGuid = (pages: readonly Reply[]): Map<string, ReplyObject> =>
  new Map(pages.flatMap((page) => page.objects.map((object) => [guidToText(object.name.guid), object])));

const envelopeOf = (object: ReplyObject): Uint8Array | undefined => object.attributes.get('unicodePwd')?.values[0];

/** The credentials that each of the users' envelopes yields. */
async function derived(
  objects: readonly ReplyObject[],
  sessionKey: Uint8Array,
  backend: 'native' | 'fallback',
  salts: Uint8Array,
): Promise<string[]> {
  const hasher = createHasher({ backend });
  try {
    const { digests, iterations, status } = await hasher.openAndDeriveBatch({
      sessionKeys: [sessionKey],
      envelopes: objects.map((object) => envelopeOf(object)!),
      rids: Uint32Array.from(objects, (object) => ridOf(object.name.sid!)),
      salts,
      iterations: 10,
    });
    expect([...status].filter((each) => each !== EnvelopeStatus.ok)).toEqual([]);
    return objects.map((_, i) =>
      formatCredential({
        salt: salts.subarray(i * 10, i * 10 + 10),
        iterations,
        hash: digests.subarray(i * 32, i * 32 + 32),
      }),
    );
  } finally {
    await hasher.close();
  }
}

/** The same credentials from the NT hashes that the manifest has. */
async function expected(manifest: readonly DcUser[], salts: Uint8Array): Promise<string[]> {
  const hasher = createHasher({ backend: 'fallback' });
  try {
    const ntHashes = Buffer.concat(manifest.map((user) => Buffer.from(user.ntHash!, 'hex')));
    const { digests, iterations } = await hasher.deriveBatch({ ntHashes, salts, iterations: 10 });
    return manifest.map((_, i) =>
      formatCredential({
        salt: salts.subarray(i * 10, i * 10 + 10),
        iterations,
        hash: digests.subarray(i * 32, i * 32 + 32),
      }),
    );
  } finally {
    await hasher.close();
  }
}

describeDc('DRSGetNCChanges', () => {
  it.each(['native', 'fallback'] as const)(
    'brings every NT hash of the domain, opened by the %s backend',
    async (backend) => {
      const { rpc, client } = await bound();
      const pages = await allPages((request) => client.getNCChanges(request, ATTRIBUTES), wholeDomain(400));
      expect(pages.length).toBeGreaterThan(4);
      expect(pages.every((page) => page.version === 6)).toBe(true);
      expect(pages.slice(0, -1).every((page) => page.fMoreData && page.upToDateVector === undefined)).toBe(true);
      expect(pages.at(-1)!.upToDateVector).toBeDefined();
      expect(pages[0]!.cNumNcSizeObjects).toBeGreaterThan(2000);

      const objects = byGuid(pages);
      const manifest = users().filter((user) => user.ntHash !== null);
      const theirs = manifest.map((user) => objects.get(user.objectGUID)!);
      const salts = new Uint8Array(manifest.length * 10).map((_, i) => (i % 251) + 1);
      expect(await derived(theirs, rpc.sessionKey(), backend, salts)).toEqual(await expected(manifest, salts));
    },
  );

  it('says of every account what the manifest says', async () => {
    const { client } = await bound('sync-account', spnego);
    const pages = await allPages((request) => client.getNCChanges(request, ATTRIBUTES), wholeDomain(1000));
    const objects = byGuid(pages);
    const { prefixTable } = pages[0]!;
    const number = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).readInt32LE();
    for (const user of users()) {
      const { name, attributes } = objects.get(user.objectGUID)!;
      const value = (attribute: AttributeName) => attributes.get(attribute)?.values[0];
      expect({
        name: Buffer.from(value('sAMAccountName')!).toString('utf16le'),
        dn: name.dn,
        objectSid: sidToText(name.sid!),
        userAccountControl: number(value('userAccountControl')),
        hasPassword: value('unicodePwd') !== undefined,
      }).toEqual({
        name: user.name,
        dn: user.dn,
        objectSid: user.objectSid,
        userAccountControl: user.userAccountControl,
        hasPassword: user.ntHash !== null,
      });
      const objectClass = CLASS_NAMES.get(prefixTable.oidOf(number(value('objectClass'))! >>> 0)!);
      expect(objectClass).toBe(['inetOrgPerson', 'computer'].includes(user.kind) ? user.kind : 'user');
      expect(attributes.get('unicodePwd')?.metaData?.timeChanged.getTime()).toBeGreaterThan(
        Date.now() - 24 * 3600 * 1000,
      );
    }
    const filetime = (kind: string, attribute: AttributeName) =>
      Buffer.from(objects.get(special(kind).objectGUID)!.attributes.get(attribute)!.values[0]!).readBigInt64LE();
    expect(filetime('must-change', 'pwdLastSet')).toBe(0n);
    expect(filetime('plain', 'pwdLastSet')).toBeGreaterThan(0n);
    // 2020-01-01, as a FILETIME.
    expect(filetime('expired', 'accountExpires')).toBe((1_577_836_800n + 11_644_473_600n) * 10_000_000n);
    const tombstones = [...objects.values()].filter(({ name }) => name.dn.startsWith('CN=phs.deleted\\0ADEL:'));
    expect(tombstones).toHaveLength(1);
    expect(tombstones[0]!.attributes.get('isDeleted')?.values).toHaveLength(1);
    expect(envelopeOf(tombstones[0]!)).toBeUndefined();
  });

  it('brings after a whole cycle what changed since, and no more', async () => {
    const { rpc, client } = await bound();
    const get = (request: Omit<ChangesRequest, 'attributes'>) => client.getNCChanges(request, ATTRIBUTES);
    const last = (await allPages(get, wholeDomain(1000))).at(-1)!;
    const since = {
      ...wholeDomain(1000),
      ulFlags: DrsOption.INIT_SYNC | DrsOption.WRIT_REP,
      uuidInvocIdSrc: last.uuidInvocIdSrc,
      usnvecFrom: last.usnvecTo,
      upToDateVector: last.upToDateVector,
    };
    const quiet = byGuid(await allPages(get, since));
    expect(users().filter((user) => quiet.has(user.objectGUID))).toEqual([]);

    const bulk = users().filter((user) => user.kind === 'bulk');
    const changed = bulk.slice(100, 103);
    const before = last.usnvecTo.usnHighPropUpdate;
    try {
      setPasswords(changed.map(({ dn, name }) => ({ dn, password: `New-${name}` })));
      const objects = byGuid(await allPages(get, since));
      const seen = users().filter((user) => objects.has(user.objectGUID));
      expect(seen.map((user) => user.name)).toEqual(changed.map((user) => user.name));
      const hasher = createHasher({ backend: 'fallback' });
      const salts = new Uint8Array(changed.length * 10).fill(7);
      const credentials = await derived(
        changed.map((user) => objects.get(user.objectGUID)!),
        rpc.sessionKey(),
        'fallback',
        salts,
      );
      for (const [i, { name, password, objectGUID }] of changed.entries()) {
        expect(await hasher.verify(credentials[i]!, `New-${name}`)).toBe(true);
        expect(await hasher.verify(credentials[i]!, password!)).toBe(false);
        const { attributes } = objects.get(objectGUID)!;
        expect(attributes.has('sAMAccountName')).toBe(false);
        expect(attributes.get('unicodePwd')!.metaData!.version).toBeGreaterThan(1);
      }
      await hasher.close();
      expect((await get(since)).usnvecTo.usnHighPropUpdate).toBeGreaterThan(before);
    } finally {
      setPasswords(changed.map(({ dn, password }) => ({ dn, password: password! })));
    }
  });

  it('brings one object by GUID and by DN (EXOP_REPL_OBJ)', async () => {
    const { rpc, client } = await bound();
    const user = special('unicode');
    const hasher = createHasher({ backend: 'fallback' });
    for (const nc of [{ guid: guidFromText(user.objectGUID) }, { dn: user.dn }]) {
      const reply = await client.getNCChanges(
        {
          ...wholeDomain(1),
          nc,
          ulExtendedOp: ExtendedOperation.replObj,
          ulFlags: DrsOption.INIT_SYNC | DrsOption.WRIT_REP,
        },
        ATTRIBUTES,
      );
      expect(reply.ulExtendedRet).toBe(1);
      expect(reply.objects.map((object) => object.name.dn)).toEqual([user.dn]);
      const [credential] = await derived(reply.objects, rpc.sessionKey(), 'fallback', new Uint8Array(10));
      expect(await hasher.verify(credential!, user.password!)).toBe(true);
    }
    await hasher.close();
  });

  it.each([8, 10] as const)('is answered with V6 when asked with V%i', async (version) => {
    const { rpc, client } = await bound();
    expect(client.serverExtensions.dwFlags & DrsExtension.GETCHGREQ_V10).not.toBe(0);
    // Below the client, which always asks with the best version that the server knows.
    const bind = decodeDrsBindReply(
      await rpc.request(
        DRS_BIND_OPNUM,
        encodeDrsBindRequest({ clientDsa: NTDSAPI_CLIENT_GUID, extensions: clientExtensions() }),
      ),
    );
    const request = { ...wholeDomain(50), attributes: [...ATTRIBUTES.keys()] };
    const stub = encodeGetNCChangesRequest(bind.handle, version, request, PrefixTable.wellKnown());
    const reply = decodeGetNCChangesReply(await rpc.request(DRS_GET_NC_CHANGES_OPNUM, stub), ATTRIBUTES);
    expect(reply.version).toBe(6);
    expect(reply.objects.length).toBeGreaterThan(40);
    expect(reply.fMoreData).toBe(true);
  });

  it.each(['changes-without-all', 'no-rights'])('is refused to the account %s', async (kind) => {
    const { client } = await bound(kind);
    await expect(client.getNCChanges(wholeDomain(100), ATTRIBUTES)).rejects.toMatchObject({
      name: 'ProtocolError',
      status: 8453,
    });
  });

  it('is refused for a naming context that is not there', async () => {
    const { client } = await bound();
    await expect(
      client.getNCChanges({ ...wholeDomain(100), nc: { dn: 'DC=not,DC=here' } }, ATTRIBUTES),
    ).rejects.toMatchObject({ name: 'ProtocolError' });
  });
});

describeDc('DRSCrackNames', () => {
  it('finds every special account by its GUID, and says what is not there', async () => {
    const { client } = await bound();
    const specials = users().filter((user) => user.kind !== 'bulk');
    const found = await client.crackNames({
      formatOffered: NameFormat.uniqueId,
      formatDesired: NameFormat.fqdn1779,
      names: [...specials.map((user) => `{${user.objectGUID}}`), '{00000000-1111-2222-3333-444444444444}'],
    });
    expect(found.slice(0, -1).map(({ name }) => name)).toEqual(specials.map((user) => user.dn));
    expect(found.at(-1)).toMatchObject({ status: NameStatus.notFound, name: undefined });
  });
});

describeDc('DRSDomainControllerInfo', () => {
  it.each([1, 2] as const)('names the domain controller, level %i', async (level) => {
    const { client } = await bound();
    const [controller, ...others] = await client.domainControllerInfo(facts().dnsDomain, level);
    expect(others).toEqual([]);
    expect(controller).toMatchObject({ dnsHostName: facts().dnsHostName, isPdc: true });
    if (level === 2) expect(guidToText(controller!.ntdsDsaObjectGuid!)).toBe(facts().ntdsGuid);
  });
});
