/** A tenant under the rules' tests: real HTTPS, a clock that the test moves, people at addresses of their own. */

import { randomBytes, randomUUID } from 'node:crypto';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import type { CredentialChange, CredentialOutcome, UserAttributes } from '#src/tenant/store/changes.js';
import { purge } from '#src/tenant/store/purge.js';
import type { SignInUser } from '#src/tenant/store/store.js';
import type { Tables } from '#src/tenant/store/tables.js';
import { setFeatures } from '../features.js';
import { startTestTenant, type TestTenant } from '../harness.js';
import type { StoreSite } from '../stores.js';

export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;

export class Clock {
  constructor(public time = Date.parse('2026-03-01T12:00:00Z')) {}
  readonly now = () => new Date(this.time);
  forward(milliseconds: number): void {
    this.time += milliseconds;
  }
}

export interface SyncedPassword {
  readonly password: string;
  /** Default: the clock's. */
  readonly changeDate?: Date;
  readonly forceChange?: boolean;
  readonly iterations?: number;
}

export class RuleSite {
  private constructor(
    readonly tenant: TestTenant,
    readonly clock: Clock,
    readonly hasher: Hasher,
  ) {}

  static async start(
    site: Pick<StoreSite, 'tenant'>,
    hasher: Hasher,
    { clock = new Clock(), config = {} }: { clock?: Clock; config?: Readonly<Record<string, unknown>> } = {},
  ): Promise<RuleSite> {
    const { signIn = {}, ...more } = config;
    const tenant = await startTestTenant({
      ...site.tenant,
      hasher,
      now: clock.now,
      // The tests' addresses come in X-Forwarded-For.
      config: { signIn: { trustedProxies: ['127.0.0.1'], ...(signIn as object) }, ...more },
    });
    return new RuleSite(tenant, clock, hasher);
  }

  /** As an agent provisions it. `name` is the anchor too. */
  async addUser(name: string, attributes: UserAttributes = {}): Promise<string> {
    const userPrincipalName = name.includes('@') ? name : `${name}@phs.test`;
    const [outcome] = await this.tenant.store.applyUsers([
      { kind: 'upsert', sourceAnchor: name, attributes: { userPrincipalName, ...attributes } },
    ]);
    if (outcome?.status !== 'stored' || outcome.objectId === undefined)
      throw new Error(`not stored: ${outcome?.status}`);
    return outcome.objectId;
  }

  /** As the provisioning endpoint stores a synchronized password under the features that are set. */
  async sync(name: string, synced: SyncedPassword): Promise<CredentialOutcome> {
    const { password, changeDate = this.clock.now(), forceChange = false, iterations = 1000 } = synced;
    const { salt, hash } = await this.hasher.derive(this.hasher.ntHash(password), { iterations });
    const change: CredentialChange = {
      sourceAnchor: name,
      objectId: undefined,
      changeDate,
      salt,
      iterations,
      hash,
      forcePasswordChangeOnLogon: forceChange,
    };
    const features = await this.tenant.store.dirSyncFeatures();
    const disableExpiration = (features & DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers) === 0;
    return (await this.tenant.store.applyCredentials([change], { disableExpiration, actor: 'agent-1' }))[0]!;
  }

  /** A user of the cloud alone, with a password that an administrator gave. */
  async addCloudUser(name: string, password: string, row: Partial<Tables['users']> = {}): Promise<string> {
    const objectId = randomUUID();
    const time = this.clock.time;
    await this.tenant.store.database.run((queries) =>
      queries
        .insertInto('users')
        .values({
          object_id: objectId,
          source_anchor: null,
          upn_key: `${name}@phs.test`,
          user_principal_name: `${name}@phs.test`,
          account_enabled: 1,
          created_at: time,
          updated_at: time,
          ...(row as object),
        } as never)
        .execute(),
    );
    const reset = { objectId, newPassword: password, forceChangeNextSignIn: false, actor: 'test' };
    const outcome = await this.tenant.passwords.reset(reset);
    if (outcome.status !== 'changed') throw new Error(outcome.message);
    return objectId;
  }

  async features(features: number): Promise<void> {
    await setFeatures(this.tenant.store, features);
  }

  async user(name: string): Promise<SignInUser> {
    const user = await this.tenant.store.findSignInUser(name.includes('@') ? name : `${name}@phs.test`);
    if (user === undefined) throw new Error(`no user ${name}`);
    return user;
  }

  async setPolicies(name: string, passwordPolicies: string | null): Promise<void> {
    const { id } = await this.user(name);
    await this.tenant.store.database.run((queries) =>
      queries.updateTable('users').set({ password_policies: passwordPolicies }).where('id', '=', id).execute(),
    );
  }

  async setDomain(name: string, columns: Partial<Tables['domains']>): Promise<void> {
    await this.tenant.store.database.run((queries) =>
      queries.updateTable('domains').set(columns).where('name', '=', name).execute(),
    );
    this.tenant.signInService.realms.refresh();
  }

  /** 0: tokens came. Else the AADSTS number. */
  async signIn(name: string, password: string, address = '203.0.113.7'): Promise<number> {
    return (await this.try(name, password, address)).code;
  }

  async try(name: string, password: string, address = '203.0.113.7'): Promise<{ code: number; correlationId: string }> {
    const correlationId = randomUUID();
    const reply = await this.tenant.token(
      {
        grant_type: 'password',
        client_id: 'app',
        scope: 'openid profile',
        username: name.includes('@') ? name : `${name}@phs.test`,
        password,
      },
      { headers: { 'x-forwarded-for': address, 'client-request-id': correlationId } },
    );
    if (reply.status === 200) return { code: 0, correlationId };
    if (reply.json.error !== 'invalid_grant') throw new Error(`${reply.status} ${reply.text}`);
    return { code: reply.json.error_codes[0], correlationId };
  }

  /** The sign-in log's row of a try. */
  async logged(correlationId: string): Promise<Tables['sign_ins']> {
    await this.tenant.signInService.log.flush();
    return (await this.tenant.store.database.run((queries) =>
      queries.selectFrom('sign_ins').selectAll().where('correlation_id', '=', correlationId).executeTakeFirstOrThrow(),
    )) as never;
  }

  /** Wrong passwords, never the same twice. */
  async fail(name: string, times: number, address?: string): Promise<number[]> {
    const codes: number[] = [];
    for (let i = 0; i < times; i++) codes.push(await this.signIn(name, randomBytes(8).toString('hex'), address));
    return codes;
  }

  /** As the tenant does by the hour; logs are kept. */
  async purge(): Promise<void> {
    const retention = { signIns: 3650, audit: 3650, deletedUsers: 3650 };
    await purge(this.tenant.store.database, { retention, now: this.clock.now() });
  }

  close(): Promise<void> {
    return this.tenant.close();
  }
}
