/** `agents[].domains`: an agent acts for its own domains alone, whichever way it speaks. On both stores, over the wire. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { createProvisioningClient, type ProvisioningClient } from '#src/provisioning/client.js';
import {
  type AzureADSyncObject,
  CredentialResult,
  DirSyncFeature,
  type PropertyValue,
  type SyncOperation,
} from '#src/provisioning/types.js';
import { setFeatures } from './features.js';
import {
  AGENT,
  credentialText,
  PROVISIONING_SCOPE,
  startTestTenant,
  type TestTenant,
  testHasher,
  vectors,
} from './harness.js';
import { describeStores } from './stores.js';
import { killAgents, WireAgent } from './write-back/wire-agent.js';

const secret = { clientSecret: { env: 'AGENT_SECRET' } };
const config = {
  agents: [
    { clientId: 'agent-1', ...secret },
    { clientId: 'agent-phs', ...secret, domains: ['phs.test', 'AD.phs.test'] },
    { clientId: 'agent-second', ...secret, domains: ['second.example'] },
  ],
};
const [vector] = vectors;

describeStores('agents[].domains', (newSite) => {
  let hasher: Hasher;
  let tenant: TestTenant;
  let all: ProvisioningClient;
  let phs: ProvisioningClient;
  let second: ProvisioningClient;
  const tokenOf = async (clientId: string): Promise<string> => {
    const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: AGENT.secret };
    return (await tenant.token({ ...form, scope: PROVISIONING_SCOPE })).json.access_token;
  };
  const clientOf = (clientId: string) =>
    createProvisioningClient({
      url: tenant.provisioningUrl,
      ca: readFileSync(tenant.caPath!),
      token: () => tokenOf(clientId),
    });

  beforeAll(async () => {
    hasher = testHasher();
    tenant = await startTestTenant({ ...(await newSite()).tenant, hasher, config });
    [all, phs, second] = ['agent-1', 'agent-phs', 'agent-second'].map(clientOf) as [
      ProvisioningClient,
      ProvisioningClient,
      ProvisioningClient,
    ];
    const made = await provision(second, 'second-1', {
      userPrincipalName: 'ann@second.example',
      dnsDomainName: 'Second.Example',
    });
    expect(made.resultCode).toBe('Success');
  });
  afterAll(async () => {
    for (const client of [all, phs, second]) await client?.close();
    await tenant?.close();
    await hasher?.close();
  });

  const provision = async (
    client: ProvisioningClient,
    anchor: string,
    properties: Readonly<Record<string, PropertyValue>>,
    syncOperation: SyncOperation = 'Set',
  ) => {
    const object: AzureADSyncObject = {
      syncObjectType: 'User',
      syncOperation,
      propertyValues: new Map(Object.entries({ SourceAnchor: anchor, ...properties })),
    };
    return (await client.provisionAzureADSyncObjects([object]))[0]!;
  };
  const credential = async (client: ProvisioningClient, key: { sourceAnchor?: string; cloudAnchor?: string }) => {
    const item = {
      changeDate: new Date('2026-01-01T00:00:00Z'),
      cloudAnchor: undefined,
      sourceAnchor: undefined,
      credentialData: credentialText(vector!),
      forcePasswordChangeOnLogon: false,
      windowsLegacyCredentials: undefined,
      windowsSupplementalCredentials: undefined,
      ...key,
    };
    return (await client.provisionCredentials([item]))[0]!;
  };
  const ann = async () => (await tenant.store.findSignInUser('ann@second.example'))!;

  it('makes users of them, and no others, each object for itself', async () => {
    const inAd = { userPrincipalName: 'bob@PHS.test', dnsDomainName: 'ad.phs.test' };
    expect(await provision(phs, 'phs-1', inAd)).toMatchObject({ resultCode: 'Success' });
    expect(await provision(phs, 'phs-2', { userPrincipalName: 'eve@second.example' })).toMatchObject({
      resultCode: 'IdentityDataValidationFailed',
      resultErrorDescription: expect.stringMatching(/^userPrincipalName: .*second\.example.*agents\[\]\.domains/),
    });
    const elsewhere = { userPrincipalName: 'eve@phs.test', dnsDomainName: 'other.test' };
    expect(await provision(phs, 'phs-2', elsewhere)).toMatchObject({
      resultCode: 'IdentityDataValidationFailed',
      resultErrorDescription: expect.stringMatching(/^dnsDomainName: .*other\.test/),
    });
    expect(await provision(all, 'all-1', { userPrincipalName: 'carl@phs.test', dnsDomainName: 'other.test' })).toEqual(
      expect.objectContaining({ resultCode: 'Success' }),
    );
    expect(await tenant.store.findSignInUser('eve@phs.test')).toBeUndefined();
  });

  it("takes over, changes or deletes no other domain's user, known by the anchor", async () => {
    const before = await ann();
    for (const [properties, operation] of [
      [{ userPrincipalName: 'mine@phs.test' }, 'Set'],
      [{ accountEnabled: false }, 'Set'],
      [{}, 'Delete'],
    ] as const) {
      expect(await provision(phs, 'second-1', properties, operation)).toMatchObject({
        resultCode: 'IdentityDataValidationFailed',
        resultErrorDescription: expect.stringContaining('second.example'),
        sourceAnchor: 'second-1',
      });
    }
    expect(await ann()).toEqual(before);
    // Nor one that is deleted, who would come back as it.
    expect(await provision(second, 'second-1', {}, 'Delete')).toMatchObject({ resultCode: 'Success' });
    expect(await provision(phs, 'second-1', { userPrincipalName: 'ann@phs.test' })).toMatchObject({
      resultCode: 'IdentityDataValidationFailed',
    });
    expect(await provision(second, 'second-1', { userPrincipalName: 'ann@second.example' })).toMatchObject({
      resultCode: 'Success',
    });
  });

  it('does not take an empty dnsDomainName for a domain of somebody else', async () => {
    expect(await provision(phs, 'phs-3', { userPrincipalName: 'cleo@phs.test', dnsDomainName: '' })).toMatchObject({
      resultCode: 'Success',
    });
    expect(await provision(phs, 'phs-3', { displayName: 'Cleo' })).toMatchObject({ resultCode: 'Success' });
    expect((await credential(phs, { sourceAnchor: 'phs-3' })).result).toBe(CredentialResult.success);
  });

  it("sets no other domain's password, by either anchor", async () => {
    const { objectId } = await ann();
    for (const key of [{ sourceAnchor: 'second-1' }, { cloudAnchor: `User_${objectId}` }]) {
      expect(await credential(phs, key)).toMatchObject({
        result: CredentialResult.temporaryFailure,
        extendedErrorInformation: expect.stringContaining('second.example, for which this agent may not act'),
      });
    }
    expect((await ann()).credential).toBeUndefined();
    expect((await credential(second, { sourceAnchor: 'second-1' })).result).toBe(CredentialResult.success);
    expect((await credential(phs, { sourceAnchor: 'phs-1' })).result).toBe(CredentialResult.success);
    expect((await credential(all, { sourceAnchor: 'second-1' })).result).toBe(CredentialResult.success);
    expect((await credential(phs, { sourceAnchor: 'nobody' })).result).toBe(CredentialResult.anchorNotFound);
    const { json } = await tenant.signIn('ann@second.example', vector!.password);
    expect(json.access_token).toBeDefined();
  });

  it('sets no password of a user of the cloud alone, whichever domain it may act for', async () => {
    const objectId = '01234567-89ab-4cde-8f01-23456789abcd';
    await tenant.store.database.run((queries) =>
      queries
        .insertInto('users')
        .values({
          object_id: objectId,
          upn_key: 'chief@phs.test',
          user_principal_name: 'Chief@phs.test',
          account_enabled: 1,
          created_at: Date.now(),
          updated_at: Date.now(),
        })
        .execute(),
    );
    for (const client of [all, phs]) {
      for (const key of [{ cloudAnchor: `User_${objectId}` }, { sourceAnchor: '', cloudAnchor: `User_${objectId}` }]) {
        expect((await credential(client, key)).result).toBe(CredentialResult.anchorNotFound);
      }
    }
    expect((await tenant.store.findSignInUser('chief@phs.test'))!.credential).toBeUndefined();
  });

  it("gets no other domain's password to write back", async () => {
    await setFeatures(tenant.store, DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
    const token = await tokenOf('agent-phs');
    const poll = async (domains: string[]) => (await WireAgent.make(tenant, domains)).poll({ token });
    const refused = await poll(['phs.test', 'second.example']);
    expect(refused).toMatchObject({ status: 403, json: { error: 'domain_not_own' } });
    expect(refused.json.error_description).toContain('second.example');
    // One that polled before it was restricted is passed by.
    const agent = await WireAgent.make(tenant);
    await tenant.store.database.run((queries) =>
      queries
        .insertInto('writeback_agents')
        .values({
          client_id: 'agent-phs',
          instance_id: agent.instance,
          public_key: JSON.stringify(agent.keys.publicKey),
          domains: JSON.stringify(['second.example', 'phs.test']),
          seen_at: Date.now(),
        })
        .execute(),
    );
    expect(await tenant.writeback.agents.serving('second.example')).toEqual([]);
    expect(await tenant.writeback.agents.serving('phs.test')).toHaveLength(1);
    const waiting = poll(['ad.phs.test']).catch(() => 'polling');
    await expect.poll(async () => (await tenant.writeback.agents.serving('ad.phs.test')).length).toBe(1);
    killAgents();
    expect(await waiting).toBe('polling');
  });
});
