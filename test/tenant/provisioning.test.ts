/** The provisioning endpoint with the agent's own client over HTTPS: users, credentials, features, faults. */

import { createHmac, createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { createProvisioningClient, type ProvisioningClient } from '#src/provisioning/client.js';
import { encodeRequest } from '#src/provisioning/client-codec.js';
import { createClientCredentials, tokenUrlFor } from '#src/provisioning/client-credentials.js';
import {
  type AzureADSyncObject,
  DirSyncFeature,
  type PropertyValue,
  type SyncCredentialsChangeItem,
  type SyncOperation,
} from '#src/provisioning/types.js';
import { readBody } from '#src/tenant/provisioning/body.js';
import { toUserChange } from '#src/tenant/provisioning/objects.js';
import {
  AGENT,
  credentialText,
  startTestTenant,
  type TestTenant,
  temporaryDirectory,
  testHasher,
  vectors,
} from './harness.js';

let hasher: Hasher;
beforeAll(() => {
  hasher = testHasher();
});
afterAll(() => hasher.close());

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let tenant: TestTenant;
let client: ProvisioningClient;
let now: Date;
let tokensAsked: boolean[];

beforeEach(async () => {
  directory = await temporaryDirectory();
  now = new Date();
  tenant = await startTestTenant({ stateDir: directory.path, hasher, now: () => now });
  tokensAsked = [];
  client = clientWith(async (forceRefresh) => {
    tokensAsked.push(forceRefresh);
    return tenant.agentToken();
  });
});
afterEach(async () => {
  await client.close();
  await tenant.close();
  await directory.remove();
});

function clientWith(token: (forceRefresh: boolean) => Promise<string>): ProvisioningClient {
  return createProvisioningClient({ url: tenant.provisioningUrl, ca: readFileSync(tenant.caPath!), token });
}

const user = (
  anchor: string | undefined,
  properties: Readonly<Record<string, PropertyValue>>,
  syncOperation: SyncOperation = 'Set',
): AzureADSyncObject => ({
  syncObjectType: 'User',
  syncOperation,
  propertyValues: new Map(Object.entries({ ...(anchor === undefined ? {} : { SourceAnchor: anchor }), ...properties })),
});

const credential = (sourceAnchor: string | undefined, more: Partial<SyncCredentialsChangeItem> = {}) => ({
  changeDate: new Date('2026-01-01T00:00:00Z'),
  cloudAnchor: undefined,
  credentialData: credentialText(vectors[0]!),
  forcePasswordChangeOnLogon: false,
  sourceAnchor,
  windowsLegacyCredentials: undefined,
  windowsSupplementalCredentials: undefined,
  ...more,
});

const hostAndPort = (url: string) => {
  const { hostname: host, port } = new URL(url);
  return { host, port: Number(port) };
};

const results = async (...items: SyncCredentialsChangeItem[]) =>
  (await client.provisionCredentials(items)).map(({ result }) => result);
const errorCode = async (name: string, password: string) => {
  const { status, json } = await tenant.signIn(name, password);
  return status === 200 ? 200 : json.error_codes[0];
};

describe('a user on the way to signing in', () => {
  it('is created, gets a password, a new one, is disabled, deleted and comes back', async () => {
    const [first] = await client.provisionAzureADSyncObjects([
      user(
        'YW5jaG9y',
        {
          userPrincipalName: 'Ann@phs.test',
          displayName: 'Ann',
          givenName: null,
          accountEnabled: true,
          onPremisesSamAccountName: 'ann',
          onPremisesDistinguishedName: 'CN=Ann,DC=phs,DC=test',
          onPremiseSecurityIdentifier: Buffer.from('010500000000000515000000', 'hex'),
          dnsDomainName: 'phs.test',
          netBiosName: 'PHS',
          lastPasswordChangeTimestamp: '20190801164342.0Z',
          cloudMastered: false,
        },
        'Add',
      ),
    ]);
    expect(first).toMatchObject({ resultCode: 'Success', sourceAnchor: 'YW5jaG9y' });
    expect(first!.cloudAnchor).toMatch(/^User_[0-9a-f-]{36}$/);
    expect(await errorCode('ann@phs.test', vectors[0]!.password)).toBe(50126);

    expect(await results(credential('YW5jaG9y'))).toEqual([0]);
    expect(await errorCode('ann@phs.test', vectors[0]!.password)).toBe(200);

    const changed = credential(undefined, {
      cloudAnchor: first!.cloudAnchor,
      changeDate: new Date('2026-01-02T00:00:00Z'),
      credentialData: credentialText(vectors[3]!),
      forcePasswordChangeOnLogon: true,
    });
    expect(await results(changed)).toEqual([0]);
    expect(await errorCode('ann@phs.test', vectors[0]!.password)).toBe(50126);
    expect(await errorCode('ann@phs.test', vectors[3]!.password)).toBe(50055);
    expect(await tenant.store.findSignInUser('ann@phs.test')).toMatchObject({
      forcePasswordChangeOnLogon: true,
      passwordPolicies: 'DisablePasswordExpiration',
    });

    await client.provisionAzureADSyncObjects([user('YW5jaG9y', { accountEnabled: false })]);
    expect(await errorCode('ann@phs.test', vectors[3]!.password)).toBe(50057);
    await client.provisionAzureADSyncObjects([user('YW5jaG9y', {}, 'Delete')]);
    expect(await errorCode('ann@phs.test', vectors[3]!.password)).toBe(50126);
    expect(await results(changed)).toEqual([2]);
    const [back] = await client.provisionAzureADSyncObjects([user('YW5jaG9y', { accountEnabled: true }, 'Add')]);
    expect(back!.cloudAnchor).toBe(first!.cloudAnchor);
    expect(await errorCode('ann@phs.test', vectors[3]!.password)).toBe(50055);
  });

  it('is still there after a restart, with authority, keys and tokens', async () => {
    await client.provisionAzureADSyncObjects([user('a', { userPrincipalName: 'a@phs.test' })]);
    expect(await results(credential('a'))).toEqual([0]);
    const token = await tenant.agentToken();
    const { tenantId, caPath, port } = tenant;
    const published = async () => [
      readFileSync(caPath!, 'utf8'),
      (await tenant.get('/common/discovery/v2.0/keys')).json,
    ];
    const before = await published();
    await client.close();
    await tenant.close();
    tenant = await startTestTenant({
      stateDir: directory.path,
      hasher,
      now: () => now,
      config: { listen: { host: '127.0.0.1', port } },
    });
    expect(tenant.tenantId).toBe(tenantId);
    expect(await published()).toEqual(before);
    expect(await errorCode('a@phs.test', vectors[0]!.password)).toBe(200);
    client = clientWith(() => Promise.resolve(token));
    expect((await client.getCompanyConfiguration()).tenantId).toBe(tenantId);
  });
});

describe('objects that are refused', () => {
  it('are refused one by one, and the rest of the batch is stored', async () => {
    const sent: [AzureADSyncObject, string][] = [
      [user('1', { userPrincipalName: 'one@phs.test' }), 'Success'],
      [user('2', { userPrincipalName: 'ONE@phs.test' }), 'AttributeValueMustBeUnique'],
      [user('3', { userPrincipalName: 'three@elsewhere.test' }), 'IdentityDataValidationFailed'],
      [user('4', { userPrincipalName: 'four' }), 'IdentityDataValidationFailed'],
      [user('5', { userPrincipalName: 'fi ve@phs.test' }), 'IdentityDataValidationFailed'],
      [user('6', {}), 'IdentityDataValidationFailed'],
      [user('7', { userPrincipalName: 'seven@phs.test', accountEnabled: 'yes' }), 'IdentityDataValidationFailed'],
      [user('8', { userPrincipalName: 'eight@phs.test', displayName: 8 }), 'IdentityDataValidationFailed'],
      [user('9', { userPrincipalName: 'nine@phs.test', mail: 'x'.repeat(5000) }), 'IdentityDataValidationFailed'],
      [
        user('10', { userPrincipalName: 'ten@phs.test', lastPasswordChangeTimestamp: 'soon' }),
        'IdentityDataValidationFailed',
      ],
      [
        user('11', { userPrincipalName: 'el@phs.test', onPremiseSecurityIdentifier: Buffer.alloc(69) }),
        'IdentityDataValidationFailed',
      ],
      [{ ...user('12', { userPrincipalName: 'g@phs.test' }), syncObjectType: 'Group' }, 'ObjectTypeMismatch'],
      [user('x'.repeat(257), { userPrincipalName: 'long@phs.test' }), 'IdentityDataValidationFailed'],
      // No XML has NUL; the binary form of the wire could, and PostgreSQL would refuse the whole batch for it.
      [user('16\0', { userPrincipalName: 'nul@phs.test' }), 'IdentityDataValidationFailed'],
      [user('17', { userPrincipalName: 'nul@phs.test', displayName: 'a\0b' }), 'IdentityDataValidationFailed'],
      [user('14', { userPrincipalName: 'last@second.EXAMPLE' }), 'Success'],
      [user('15', {}, 'Delete'), 'Success'],
    ];
    const replies = await client.provisionAzureADSyncObjects(sent.map(([object]) => object));
    expect(replies.map(({ resultCode }) => resultCode)).toEqual(sent.map(([, code]) => code));
    for (const { resultCode, resultErrorDescription, cloudAnchor } of replies) {
      if (resultCode === 'Success') continue;
      expect(resultErrorDescription).toMatch(/expected|another user|not a domain|not User|needs one/);
      expect(cloudAnchor).toBeUndefined();
    }
    expect(await tenant.store.counts()).toMatchObject({ users: 2 });
  });
});

it('no anchor has half of a surrogate pair, which a database would write as another anchor', () => {
  const object = user('half\ud800', { userPrincipalName: 'half@phs.test' });
  expect(toUserChange(object, new Set(['phs.test']))).toMatchObject({ resultCode: 'IdentityDataValidationFailed' });
});

describe('credentials that are refused', () => {
  it('are answered with the service’s numbers, and the rest of the batch is stored', async () => {
    await client.provisionAzureADSyncObjects([
      user('a', { userPrincipalName: 'a@phs.test' }),
      user('b', { userPrincipalName: 'b@phs.test' }),
    ]);
    const { salt, hash } = vectors[0]!;
    const bad = (credentialData: string) => credential('a', { credentialData });
    const later = new Date('2026-01-01T00:00:01Z');
    expect(
      await results(
        credential('unknown'),
        bad('v1;PPH1_MD4,zz,1000,zz;'),
        bad(''),
        bad(`v1;PPH1_MD4,${salt},0,${hash};`),
        bad(`v1;PPH1_MD4,${salt},1,${hash};`),
        bad(`v1;PPH1_MD4,${salt},999999,${hash};`),
        credential(undefined, { cloudAnchor: 'User_nonsense' }),
        credential('b', { changeDate: later }),
        credential('b'),
        credential('b', { changeDate: later }),
        bad(`v1;PPH1_MD4,${salt.toUpperCase()},1000,${hash.toUpperCase()}`),
      ),
    ).toEqual([2, 4, 4, 4, 4, 4, 2, 0, 3, 0, 0]);
    const [older] = await client.provisionCredentials([credential('b')]);
    expect(older!.extendedErrorInformation).toMatch(/newer/);
    expect(await tenant.store.counts()).toMatchObject({ credentials: 2 });
  });
});

describe('an anchor that came as an empty element', () => {
  it('leaves the user to the other anchor', async () => {
    const [stored] = await client.provisionAzureADSyncObjects([user('a', { userPrincipalName: 'a@phs.test' })]);
    expect(await results(credential('', { cloudAnchor: stored!.cloudAnchor }), credential(''))).toEqual([0, 2]);
  });
});

describe('the company', () => {
  it('tells its configuration and limits', async () => {
    expect(await client.getCompanyConfiguration()).toMatchObject({
      tenantId: tenant.tenantId,
      displayName: 'phsync tenant',
      dirSyncFeatures: DirSyncFeature.PasswordHashSync,
      isPasswordSyncing: true,
      synchronizationInterval: 'PT30M',
      limits: { credentialsPerBatch: 2000, objectsPerBatch: 2000 },
    });
    expect(await client.getWindowsCredentialsSyncConfig()).toEqual({
      enableWindowsLegacyCredentials: false,
      enableWindowsSupplementalCredentials: false,
      secretEncryptionCertificate: undefined,
    });
    await client.finalizeExport(10, 9);
  });

  it('takes no credentials while password hash synchronization is off', async () => {
    await client.provisionAzureADSyncObjects([user('a', { userPrincipalName: 'a@phs.test' })]);
    await client.setCompanyDirsyncFeatures(DirSyncFeature.DirectoryExtensions);
    expect(await client.getCompanyConfiguration()).toMatchObject({ dirSyncFeatures: 4, isPasswordSyncing: false });
    await expect(client.provisionCredentials([credential('a')])).rejects.toMatchObject({
      code: 'provisioning-not-activated',
    });
    expect(await tenant.store.counts()).toMatchObject({ credentials: 0 });
    const { PasswordHashSync, EnforceCloudPasswordPolicyForPasswordSyncedUsers: enforce } = DirSyncFeature;
    await client.setCompanyDirsyncFeatures(PasswordHashSync | enforce);
    expect(await results(credential('a'))).toEqual([0]);
    expect((await tenant.store.findSignInUser('a@phs.test'))?.passwordPolicies).toBeNull();
  });

  it('"You should only use this feature when SSPR and Password Writeback are enabled on the tenant": else the log warns', async () => {
    const { PasswordHashSync, PasswordWriteBack, EnableUserForcePasswordChangeOnLogon: temporary } = DirSyncFeature;
    const warnings = () => tenant.logText().match(/"level":40.*passwordWritebackEnabled is off/g)?.length ?? 0;
    await client.setCompanyDirsyncFeatures(PasswordHashSync | temporary | PasswordWriteBack);
    expect(warnings()).toBe(0);
    await client.setCompanyDirsyncFeatures(PasswordHashSync | temporary);
    // Once, and not whenever an agent says the same again.
    await client.setCompanyDirsyncFeatures(PasswordHashSync | temporary);
    expect(warnings()).toBe(1);
  });

  it('refuses features that are no bit set, and batches above its limits', async () => {
    await expect(client.setCompanyDirsyncFeatures(-1)).rejects.toMatchObject({ code: 'provisioning-fault' });
    const many = Array.from({ length: 2001 }, (_, i) => i);
    await expect(client.provisionCredentials(many.map((i) => credential(`${i}`)))).rejects.toMatchObject({
      code: 'provisioning-fault',
      facts: { errorCode: 'BatchTooLarge' },
    });
    const objects = many.map((i) => user(`${i}`, { userPrincipalName: `u${i}@phs.test` }));
    await expect(client.provisionAzureADSyncObjects(objects)).rejects.toMatchObject({ code: 'provisioning-fault' });
    expect(await tenant.store.counts()).toMatchObject({ users: 0 });
    const replies = await client.provisionAzureADSyncObjects(objects.slice(1));
    expect(replies.every(({ resultCode }) => resultCode === 'Success')).toBe(true);
    expect(await tenant.store.counts()).toMatchObject({ users: 2000 });
  });
});

describe('the bearer token', () => {
  it('is asked for once more when it has ended, and then the call goes on', async () => {
    const old = await tenant.agentToken();
    now = new Date(now.getTime() + 3601_000);
    const asked: boolean[] = [];
    const second = clientWith(async (forceRefresh) => {
      asked.push(forceRefresh);
      return forceRefresh ? tenant.agentToken() : old;
    });
    expect((await second.getCompanyConfiguration()).tenantId).toBe(tenant.tenantId);
    // The second time for a token that another call fetched meanwhile.
    expect(asked).toEqual([false, false, true]);
    await second.close();
  });

  it('must be an agent’s, from this tenant, unchanged', async () => {
    await client.provisionAzureADSyncObjects([user('a', { userPrincipalName: 'a@phs.test' })]);
    expect(await results(credential('a'))).toEqual([0]);
    const good = await tenant.agentToken();
    const signedIn = await tenant.signIn('a@phs.test', vectors[0]!.password, {
      client_id: 'https://graph.windows.net',
    });
    const [header, payload, signature] = good.split('.') as [string, string, string];
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const keys = (await tenant.get('/common/discovery/v2.0/keys')).json.keys;
    const hmac = `${Buffer.from(`{"alg":"HS256","kid":"${keys[0].kid}"}`).toString('base64url')}.${payload}`;
    const hmacKey = createPublicKey({ key: keys[0], format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const other = await temporaryDirectory();
    const elsewhere = await startTestTenant({ stateDir: other.path, hasher });
    const bad = {
      missing: '',
      words: 'not a token',
      'a person’s': signedIn.json.access_token,
      'an id token': signedIn.json.id_token,
      unsigned: `${none}.${payload}.`,
      'signed with the public key': `${hmac}.${createHmac('sha256', hmacKey).update(hmac).digest('base64url')}`,
      'another signature': `${header}.${payload}.${signature.slice(0, -8)}AAAAAAAA`,
      'another tenant’s': await elsewhere.agentToken(),
    };
    for (const [name, token] of Object.entries(bad)) {
      expect(token, name).toBeTypeOf('string');
      const denied = clientWith(() => Promise.resolve(token));
      await expect(denied.getCompanyConfiguration(), name).rejects.toMatchObject({
        code: 'provisioning-access-denied',
      });
      await denied.close();
    }
    await elsewhere.close();
    await other.remove();
    const log = tenant.logText();
    for (const token of [good, ...Object.values(bad).slice(1)]) expect(log.includes(token)).toBe(false);
  });

  it('comes from the agent’s own token client', async () => {
    const ca = readFileSync(tenant.caPath!);
    const credentials = createClientCredentials({
      tokenUrl: tokenUrlFor(tenant.provisioningUrl),
      clientId: AGENT.clientId,
      clientSecret: AGENT.secret,
      ca,
    });
    const agent = clientWith((forceRefresh) => credentials.token(forceRefresh));
    expect((await agent.getCompanyConfiguration()).tenantId).toBe(tenant.tenantId);
    const wrong = createClientCredentials({
      tokenUrl: tokenUrlFor(tenant.provisioningUrl),
      clientId: AGENT.clientId,
      clientSecret: 'wrong',
      ca,
    });
    await expect(wrong.token()).rejects.toMatchObject({ code: 'token-refused' });
    await Promise.all([agent.close(), credentials.close(), wrong.close()]);
  });
});

describe('a large request', () => {
  function* filledUp(head: Buffer, size: number): Generator<Buffer> {
    yield head;
    const chunk = Buffer.alloc(64 * 1024, 0x2a);
    for (let sent = head.length; sent < size; sent += chunk.length) yield chunk;
  }

  const send = async (head: Buffer, size: number) => {
    const dispatcher = new Agent({ connect: { ca: readFileSync(tenant.caPath!) } });
    const { statusCode, body } = await request(tenant.provisioningUrl, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/soap+msbin1' },
      body: Readable.from(filledUp(head, size)),
    });
    const bytes = Buffer.from(await body.arrayBuffer());
    await dispatcher.close();
    return { status: statusCode, bytes };
  };

  /** A request whose header bears the token, its body cut short. */
  const headWith = (bearerToken: string) => {
    const none = { applicationId: '', clientVersion: '', dirSyncBuildNumber: '', fimBuildNumber: '' };
    const request = encodeRequest(
      'GetCompanyConfiguration',
      { includeLicenseInformation: false },
      {
        messageId: 'urn:uuid:00000000-0000-4000-8000-000000000000',
        to: tenant.provisioningUrl,
        syncToken: {
          ...none,
          bearerToken,
          isInstalledOnDC: false,
          issueDateTime: '',
          languageId: '',
          liveToken: '',
          protocolVersion: '',
          richCoexistenceEnabled: false,
          trackingId: '',
        },
      },
    );
    return request.subarray(0, request.length - 4);
  };

  it('is kept only where its head is an agent’s', async () => {
    for (const [answer, kept] of [
      [true, 2 ** 20],
      [false, 64 * 1024],
    ] as const) {
      const heads: number[] = [];
      const isAgent = async ({ length }: Buffer) => {
        heads.push(length);
        return answer;
      };
      expect(await readBody(Readable.from(filledUp(Buffer.alloc(0), 2 ** 20)), undefined, isAgent)).toHaveLength(kept);
      expect(heads).toEqual([64 * 1024]);
    }
  });

  it('of a stranger is answered', { timeout: 240_000 }, async () => {
    for (const [head, words] of [
      [headWith('stranger'), 'AccessDenied'],
      [Buffer.from('no message'), 'InvalidRequest'],
    ] as const) {
      const { status, bytes } = await send(head, 30 * 2 ** 20);
      expect(status).toBe(500);
      expect(bytes.includes(words)).toBe(true);
    }
  });

  it('of an agent is read to its end, up to the limit', { timeout: 240_000 }, async () => {
    const head = headWith(await tenant.agentToken());
    const { status, bytes } = await send(head, 4 * 2 ** 20);
    expect(status).toBe(500);
    expect(bytes.includes('InvalidRequest')).toBe(true);
    expect((await send(head, 33 * 2 ** 20)).status).toBe(413);
  });

  it('that ends half-way is nobody’s failure', async () => {
    const socket = connect({ ...hostAndPort(tenant.url), ca: readFileSync(tenant.caPath!) });
    await once(socket, 'secureConnect');
    socket.write(
      'POST /provisioningservice.svc HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+msbin1\r\nContent-Length: 100\r\n\r\nhalf',
    );
    socket.end();
    await once(socket.resume(), 'close');
    expect((await tenant.get('/health')).status).toBe(200);
    expect(tenant.logText()).not.toContain('request failed');
  });
});

describe('an agent that was taken out of the configuration', () => {
  it('may do nothing with the token it still has', async () => {
    const token = await tenant.agentToken();
    const { port } = tenant;
    await tenant.close();
    tenant = await startTestTenant({
      stateDir: directory.path,
      hasher,
      now: () => now,
      config: { agents: [], listen: { host: '127.0.0.1', port } },
    });
    await expect(clientWith(async () => token).getCompanyConfiguration()).rejects.toMatchObject({
      code: 'provisioning-access-denied',
    });
  });
});

describe('requests that cannot be read', () => {
  it('get a fault or a plain refusal, and the server goes on', async () => {
    const dispatcher = new Agent({ connect: { ca: readFileSync(tenant.caPath!) } });
    const post = async (body: Buffer | string, type = 'application/soap+msbin1') => {
      const reply = await request(tenant.provisioningUrl, {
        method: 'POST',
        dispatcher,
        headers: { 'content-type': type },
        body,
      });
      const bytes = Buffer.from(await reply.body.arrayBuffer());
      return { status: reply.statusCode, type: reply.headers['content-type'], bytes };
    };
    for (const body of [Buffer.from('<xml/>'), Buffer.alloc(1000, 0x56), Buffer.of(0x56, 0x02, 0x0b)]) {
      const reply = await post(body);
      expect(reply).toMatchObject({ status: 500, type: 'application/soap+msbin1' });
      expect(reply.bytes.includes('InvalidRequest')).toBe(true);
    }
    expect((await post('{}', 'application/json')).status).toBe(415);
    expect((await post('a=b', 'application/x-www-form-urlencoded')).status).toBe(415);
    expect((await post('x'.repeat(20_000), 'application/x-www-form-urlencoded')).status).toBe(413);
    expect((await post('', 'application/soap+msbin1')).status).toBeGreaterThanOrEqual(400);
    expect((await post(Buffer.alloc(33 * 2 ** 20))).status).toBe(413);
    expect((await tenant.get('/health')).json).toEqual({ status: 'ok' });
    expect((await client.getCompanyConfiguration()).tenantId).toBe(tenant.tenantId);
    await dispatcher.close();
  });
});
