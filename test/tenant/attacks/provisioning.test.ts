/** Attacks on the provisioning service: messages sent again, old and future changes, another tenant's agent, and messages made to cost. */

import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeReply } from '#src/provisioning/client-codec.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { setFeatures } from '../features.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher, vectors } from '../harness.js';
import { WireAgent } from '../write-back/wire-agent.js';
import { credential, message, post } from './wire.js';

const HOUR = 60 * 60 * 1000;
/** Of vectors.json: two different passwords. */
const PASSWORDS = [0, 4] as const;
const [FIRST, SECOND] = PASSWORDS.map((vector) => vectors[vector]!.password) as [string, string];

const hasher = testHasher();
let directories: Awaited<ReturnType<typeof temporaryDirectory>>[];
let tenant: TestTenant;
let other: TestTenant;
let now = new Date();
let token: string;
let name: string;

beforeAll(async () => {
  directories = await Promise.all([temporaryDirectory(), temporaryDirectory()]);
  // Two tenants whose agents have one client id and one secret.
  [tenant, other] = (await Promise.all(
    directories.map(({ path }) => startTestTenant({ stateDir: path, hasher, now: () => now })),
  )) as [TestTenant, TestTenant];
});
afterAll(async () => {
  await Promise.all([tenant, other].map((each) => each.close()));
  await hasher.close();
  await Promise.all(directories.map((directory) => directory.remove()));
});
beforeEach(async () => {
  token = await tenant.agentToken();
  name = randomUUID();
  for (const { store } of [tenant, other]) {
    await store.applyUsers([
      { kind: 'upsert', sourceAnchor: name, attributes: { userPrincipalName: `${name}@phs.test` } },
    ]);
  }
});

const passwordMessage = (changeDate: Date, which: 0 | 1 = 0, bearer = token) =>
  message(tenant, 'ProvisionCredentials', { items: [credential(name, changeDate, PASSWORDS[which])] }, bearer);

/** The result of the one item; undefined for a fault. */
function resultOf({ status, bytes }: Awaited<ReturnType<typeof post>>): number | undefined {
  if (status !== 200) return undefined;
  const reply = decodeReply('ProvisionCredentials', bytes);
  return 'result' in reply ? reply.result.results[0]?.result : undefined;
}
const send = async (bytes: Buffer, where = tenant) => resultOf(await post(where, bytes));
const signsIn = async (password: string, where = tenant) =>
  (await where.signIn(`${name}@phs.test`, password)).status === 200;
const ago = (hours: number) => new Date(now.getTime() - hours * HOUR);

describe('a message that was recorded and is sent again', () => {
  it('does not bring an older password back', async () => {
    const recorded = passwordMessage(ago(2), 0);
    expect(await send(recorded)).toBe(0);
    expect(await send(passwordMessage(ago(1), 1))).toBe(0);
    expect(await send(recorded)).toBe(3);
    expect([await signsIn(FIRST), await signsIn(SECOND)]).toEqual([false, true]);
  });

  it('does not bring a password back that an administrator has replaced', async () => {
    const recorded = passwordMessage(ago(2));
    expect(await send(recorded)).toBe(0);
    const { objectId } = (await tenant.store.findSignInUser(`${name}@phs.test`))!;
    const reset = { objectId, newPassword: 'Given-By-An-Admin-7', forceChangeNextSignIn: false, actor: 'test' };
    expect(await tenant.passwords.reset(reset)).toMatchObject({ status: 'changed' });
    expect(await send(recorded)).toBe(3);
    expect([await signsIn(FIRST), await signsIn(reset.newPassword)]).toEqual([false, true]);
  });

  it('does not bring a password back by way of deleting the user and making it anew', async () => {
    const recorded = passwordMessage(ago(2));
    expect(await send(recorded)).toBe(0);
    expect(await send(passwordMessage(ago(1), 1))).toBe(0);
    await tenant.store.applyUsers([{ kind: 'delete', sourceAnchor: name }]);
    expect(await send(recorded)).toBe(2);
    await tenant.store.applyUsers([
      { kind: 'upsert', sourceAnchor: name, attributes: { userPrincipalName: `${name}@phs.test` } },
    ]);
    expect(await send(recorded)).toBe(3);
    expect(await signsIn(FIRST)).toBe(false);
  });

  it('is nothing once its token has ended', async () => {
    const recorded = passwordMessage(ago(2));
    expect(await send(recorded)).toBe(0);
    now = new Date(now.getTime() + 2 * HOUR);
    const { status, bytes } = await post(tenant, recorded);
    expect([status, bytes.includes('AccessDenied')]).toEqual([500, true]);
  });
});

describe('a change of the future', () => {
  it('is taken as far as clocks differ, a day', async () => {
    expect(await send(passwordMessage(ago(-23)))).toBe(0);
  });

  it.each([25 * HOUR, 10 * 365 * 24 * HOUR, Date.parse('9999-12-01') - Date.now()])(
    'is put off %d ms ahead, and stands in no later change’s way',
    async (ahead) => {
      const reply = await post(tenant, passwordMessage(new Date(now.getTime() + ahead)));
      expect(resultOf(reply)).toBe(5);
      expect(reply.bytes.includes('future')).toBe(true);
      expect(await signsIn(FIRST)).toBe(false);
      expect(await send(passwordMessage(now, 1))).toBe(0);
      expect(await signsIn(SECOND)).toBe(true);
    },
  );

  it('before all time is older than what is there', async () => {
    expect(await send(passwordMessage(ago(1)))).toBe(0);
    for (const changeDate of [new Date(0), new Date('0001-01-01T00:00:00Z')]) {
      expect(await send(passwordMessage(changeDate, 1))).toBe(3);
    }
    expect(await signsIn(FIRST)).toBe(true);
  });
});

describe('an agent of another tenant, of the same client id and secret', () => {
  it('writes nothing here: no password, no user, no feature', async () => {
    const foreign = await other.agentToken();
    const user = {
      syncObjectType: 'User',
      syncOperation: 'Set' as const,
      propertyValues: new Map([
        ['SourceAnchor', name],
        ['displayName', 'Taken over'],
      ]),
    };
    for (const bytes of [
      passwordMessage(ago(1), 0, foreign),
      message(tenant, 'ProvisionAzureADSyncObjects', { objects: [user] } as never, foreign),
      message(tenant, 'SetCompanyDirsyncFeatures', { dirsyncFeatures: 0 }, foreign),
      message(tenant, 'GetCompanyConfiguration', { includeLicenseInformation: false }, foreign),
    ]) {
      const reply = await post(tenant, bytes);
      expect([reply.status, reply.bytes.includes('AccessDenied')]).toEqual([500, true]);
      // The same message is good at home, but for the address that it names.
      expect((await post(other, bytes)).bytes.includes('AccessDenied')).toBe(false);
    }
    expect(await signsIn(FIRST)).toBe(false);
    expect((await tenant.store.findSignInUser(`${name}@phs.test`))?.displayName).not.toBe('Taken over');
    expect(await tenant.store.dirSyncFeatures()).toBe(DirSyncFeature.PasswordHashSync);
    await setFeatures(other.store, DirSyncFeature.PasswordHashSync);
  });

  it('takes no password that goes back on premises, and answers for none', async () => {
    await setFeatures(tenant.store, DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
    const foreign = await other.agentToken();
    const agent = await WireAgent.make(tenant);
    expect((await agent.poll({ token: foreign })).status).toBe(401);
    const answer = { instance: agent.instance, outcome: { status: 'done' } };
    expect((await agent.post(`${randomUUID()}/result`, answer, { token: foreign })).status).toBe(401);
    expect((await agent.post(`${randomUUID()}/result`, answer)).status).toBe(410);
    await setFeatures(tenant.store, DirSyncFeature.PasswordHashSync);
  });

  it('gets no token by the tenant’s other names, nor by its own tenant’s id', async () => {
    const { status } = await tenant.token(
      { grant_type: 'client_credentials', client_id: 'agent-1', client_secret: 'correct horse battery staple' },
      { tenant: other.tenantId },
    );
    expect(status).toBe(400);
  });
});

/** A record of MC-NBFX again and again, behind the head of a real message. */
const filled = (head: Buffer, record: Buffer, bytes: number) =>
  Buffer.concat([head, Buffer.alloc(bytes - head.length, record)]);

describe('messages made to cost', () => {
  const MIB = 2 ** 20;
  const endless: Readonly<Record<string, Buffer>> = {
    'elements in one another': Buffer.from([0x40, 1, 0x61]),
    'elements with the same attribute': Buffer.from([0x40, 1, 0x61, 0x04, 1, 0x62, 0xa8, 0x04, 1, 0x62, 0xa8, 0x01]),
    'the same attribute': Buffer.from([0x04, 1, 0x62, 0xa8]),
    'the same declaration': Buffer.from([0x09, 1, 0x70, 1, 0x75]),
    comments: Buffer.from([0x02, 0]),
    'texts of one character': Buffer.from([0x98, 1, 0x61]),
    'empty texts': Buffer.from([0xa8]),
    'empty elements': Buffer.from([0x40, 1, 0x61, 0x01]),
    'lists of texts': Buffer.from([0xa4]),
    'ends of elements': Buffer.from([0x01]),
    'a number without end': Buffer.from([0x42, 0xff, 0xff, 0xff, 0xff]),
  };
  const single: Readonly<Record<string, Buffer>> = {
    'an array that says it is endless': Buffer.from([0x03, 0x40, 1, 0x61, 0x01, 0x8b, 0xff, 0xff, 0xff, 0xff, 0x07]),
    'a text that says it is 2 GiB long': Buffer.from([0x40, 1, 0x61, 0x9c, 0xff, 0xff, 0xff, 0x7f, 0x61]),
    'bytes that say they are 2 GiB long': Buffer.from([0x40, 1, 0x61, 0xa2, 0xff, 0xff, 0xff, 0x7f, 0x61]),
    'a text of negative length': Buffer.from([0x40, 1, 0x61, 0x9c, 0xff, 0xff, 0xff, 0xff, 0x61]),
    'a name out of the dictionary': Buffer.from([0x42, 0xff, 0xff, 0xff, 0xff, 0x07]),
    'a name of the dictionary of another session': Buffer.from([0x42, 0x01]),
    'a prefix that was not declared': Buffer.from([0x41, 1, 0x70, 1, 0x61, 0x01]),
  };
  const XML = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">${Array.from(
    { length: 9 },
    (_, i) => `<!ENTITY ${'bcdefghij'[i]} "${`&${'abcdefghi'[i]};`.repeat(10)}">`,
  ).join('')}]><x>&j;</x>`;

  /** The message up to where its Header's children begin, for who has no token, or those of its Body. */
  const heads = () => {
    const whole = message(tenant, 'GetCompanyConfiguration', { includeLicenseInformation: false }, token);
    const header = whole.indexOf(Buffer.from([0x56, 0x08]));
    const body = whole.lastIndexOf(Buffer.from([0x56, 0x0e]));
    expect([header > 0, body > header]).toEqual([true, true]);
    return {
      'before the token': whole.subarray(0, header + 2),
      'behind the token': whole.subarray(0, body + 2),
      // Without the ends of three elements and the boolean's own.
      'within the operation': whole.subarray(0, whole.length - 4),
    };
  };

  const refused = async (bytes: Buffer, headers = {}) => {
    const reply = await post(tenant, bytes, headers);
    expect(reply.status).toBe(500);
    // What is not read because no operation has that name costs least.
    const word = ['InvalidRequest', 'OperationNotSupported'].find((known) => reply.bytes.includes(known));
    expect(word, reply.bytes.toString('latin1').replace(/[^ -~]+/g, ' ')).toBeDefined();
  };

  it.each(Object.keys(endless))('%s, a million of bytes of them and more', { timeout: 240_000 }, async (what) => {
    for (const head of Object.values(heads())) await refused(filled(head, endless[what]!, 2 * MIB));
  });

  it.each(Object.keys(single))('%s', async (what) => {
    for (const head of Object.values(heads())) await refused(Buffer.concat([head, single[what]!]));
  });

  it('entities within entities, as text', async () => {
    await refused(Buffer.from(XML));
    const asXml = await post(tenant, Buffer.from(XML), { 'content-type': 'application/soap+xml; charset=utf-8' });
    expect(asXml.status).toBe(415);
  });

  it('a packed one is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(30 * MIB));
    expect(bomb.length).toBeLessThan(64 * 1024);
    for (const encoding of ['gzip', 'deflate', 'br']) await refused(bomb, { 'content-encoding': encoding });
  });

  it('and the service goes on', async () => {
    expect(await send(passwordMessage(ago(1)))).toBe(0);
    expect(tenant.logText()).not.toContain('request failed');
    expect(tenant.logText()).not.toContain('provisioning failed');
  });
});

describe('text that has no place in a database', () => {
  it('fails alone', async () => {
    const user = (anchor: string, displayName: string) => ({
      syncObjectType: 'User',
      syncOperation: 'Set' as const,
      propertyValues: new Map([
        ['SourceAnchor', anchor],
        ['userPrincipalName', `${anchor}@phs.test`],
        ['displayName', displayName],
      ]),
    });
    const good = randomUUID();
    const objects = [user(randomUUID(), 'a\0b'), user('an\0chor', 'x'), user(good, "Robert'); DROP TABLE users;--")];
    const reply = await post(tenant, message(tenant, 'ProvisionAzureADSyncObjects', { objects } as never, token));
    expect(reply.status).toBe(200);
    expect((await tenant.store.findSignInUser(`${good}@phs.test`))?.displayName).toBe("Robert'); DROP TABLE users;--");
  });
});
