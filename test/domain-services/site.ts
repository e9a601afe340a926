/**
 * The managed side for tests: a real tenant over TLS with an agent's wire and an agent's blobs, a real state, real keys; the
 * domain alone is simulated here, in memory, and stands in for a domain controller that is away, restored or cut off.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import pino from 'pino';
import { configSchemas } from '#src/config/schemas.js';
import { domainServicesConfigSchema } from '#src/domain-services/config.js';
import { type FeedClient, openFeedClient } from '#src/domain-services/feed/feed-client.js';
import { openKeyRing } from '#src/domain-services/keys/key-ring.js';
import { ReloadableKeys } from '#src/domain-services/keys/reloadable-keys.js';
import { nobody } from '#src/domain-services/observer.js';
import { openStateStore, type StateStore } from '#src/domain-services/state/store.js';
import { Synchronizer } from '#src/domain-services/synchronizer.js';
import type { ManagedChange, ManagedDomain, ManagedDomainWriter, Outcome } from '#src/domain-services/writer.js';
import { PhsyncError } from '#src/hasher/errors.js';
import type { Hasher } from '#src/hasher/types.js';
import {
  legacyPlaintext,
  newSealedKey,
  recipientOf,
  sealAdAuthInfo,
  supplementalPlaintext,
} from '#src/provisioning/ad-auth-info.js';
import type { ProvisioningClient } from '#src/provisioning/client.js';
import type { DomainServices } from '#src/tenant/domain-services/service.js';
import { ADMIN, clientOf, item, provision, READER, serviceOf, withReader } from '../tenant/domain-services/site.js';
import { startTestTenant, type TestTenant } from '../tenant/harness.js';
import { type MadeCertificate, makeCertificate } from './keys/certificates.js';

export const DOMAIN = 'managed.test';
const PASSPHRASE = 'of the tests';

interface Account {
  readonly upn: string;
  readonly enabled: boolean;
  ntHash?: string;
  kerberosKeys?: string | undefined;
  changedAt: bigint;
  writes: number;
}

/** A simulated domain: what a domain controller would keep, and the ways in which one fails. */
export class SimulatedDomain implements ManagedDomainWriter {
  accounts = new Map<string, Account>();
  invocationId = 'first life';
  sid = 'S-1-5-21-9-9-9';
  /** Thrown by the next calls, one each. */
  readonly failures: { at: 'open' | 'before' | 'after'; code: string }[] = [];
  /** Per user, for as long as it stands here. */
  readonly refused = new Map<string, { code: string; message: string }>();
  /** By userPrincipalName: whom the next change of this user takes the name from. */
  readonly displaces = new Map<string, string>();
  /** Once, before the next changes. */
  meanwhile: (() => Promise<unknown>) | undefined;
  opened = 0;
  #isOpen = false;

  #fail(at: 'open' | 'before' | 'after'): void {
    if (this.failures[0]?.at !== at) return;
    const { code } = this.failures.shift()!;
    throw new PhsyncError(`managed-domain-${code}`, `the domain controller cannot be written to: ${code}`);
  }

  async open(): Promise<ManagedDomain> {
    this.#fail('open');
    this.#isOpen = true;
    this.opened += 1;
    return {
      dnsDomain: DOMAIN,
      netbiosDomain: 'MANAGED',
      dn: 'DC=managed,DC=test',
      sid: this.sid,
      dc: `dc.${DOMAIN}`,
      invocationId: this.invocationId,
      users: [...this.accounts.keys()],
    };
  }

  async apply(changes: readonly ManagedChange[]): Promise<readonly Outcome[]> {
    if (!this.#isOpen) throw new PhsyncError('managed-domain-closed', 'the managed domain is not open');
    this.#fail('before');
    const { meanwhile } = this;
    this.meanwhile = undefined;
    await meanwhile?.();
    const outcomes = changes.map((change) => this.#one(change));
    this.#fail('after');
    return outcomes;
  }

  #one(change: ManagedChange): Outcome {
    if (change.kind === 'deleted') {
      return { result: this.accounts.delete(change.objectId) ? 'deleted' : 'absent', notes: [] };
    }
    const { user, secrets } = change;
    const error = this.refused.get(user.userPrincipalName);
    if (error !== undefined) return { error };
    const known = this.accounts.get(user.objectId);
    const account: Account = {
      changedAt: 0n,
      writes: 0,
      ...known,
      upn: user.userPrincipalName,
      enabled: user.enabled,
    };
    this.accounts.set(user.objectId, account);
    const same = known?.upn === account.upn && known.enabled === account.enabled;
    const result = known === undefined ? 'created' : same ? 'unchanged' : 'updated';
    const bit = account.enabled ? 'enabled' : 'disabled';
    const differences = [
      ...(known?.upn === account.upn ? [] : ['userPrincipalName']),
      ...(known?.enabled === account.enabled ? [] : [bit]),
    ];
    const changed = result === 'updated' ? differences : undefined;
    const [samAccountName] = user.samAccountNames;
    const other = this.displaces.get(account.upn);
    this.displaces.delete(account.upn);
    const displaced = other === undefined ? undefined : [other];
    for (const id of displaced ?? []) Object.assign(this.accounts.get(id)!, { upn: '' });
    if (secrets === undefined) return { result, samAccountName: samAccountName!, changed, notes: [], displaced };
    // What another run would find: copies, since the caller wipes its own.
    const [ntHash, keys] = [secrets.ntHash.toString('hex'), secrets.kerberosKeys?.toString('hex')];
    let password: 'written' | 'unchanged' | 'older' = 'written';
    if (account.changedAt > secrets.changedAt) password = 'older';
    else if (account.ntHash === ntHash && account.kerberosKeys === keys) password = 'unchanged';
    else
      Object.assign(account, { ntHash, kerberosKeys: keys, changedAt: secrets.changedAt, writes: account.writes + 1 });
    return { result, samAccountName: samAccountName!, changed, password, notes: [], displaced };
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  byUpn(upn: string): Account | undefined {
    return [...this.accounts.values()].find((account) => account.upn === upn);
  }
}

/** Without digests, while it is one of before. */
const asBefore = ({ page, close }: FeedClient, isBefore: () => boolean): FeedClient => ({
  async page(request) {
    const { value, ...rest } = await page(request);
    if (!isBefore()) return { value, ...rest };
    for (const change of value) {
      if ('deleted' in change) continue;
      delete change.credentials?.windowsLegacyCredentialsSha256;
      delete change.credentials?.windowsSupplementalCredentialsSha256;
    }
    return { value, ...rest };
  },
  close,
});

export interface Sealed {
  readonly ntHash: string;
  readonly legacy: Buffer;
  readonly supplemental: Buffer | undefined;
}

export class Site {
  readonly directory = mkdtempSync(join(tmpdir(), 'phsync-managed.'));
  readonly domain = new SimulatedDomain();
  readonly certificate: MadeCertificate;
  readonly next: MadeCertificate;
  readonly log: string[] = [];
  now = Date.parse('2026-06-01T00:00:00Z');
  deletionThreshold = 50;
  /** The feed as a tenant of before has it. */
  isOlderTenant = false;
  /** Of the run. */
  ring!: ReloadableKeys;
  readonly tenant: TestTenant;
  readonly service: DomainServices;
  readonly #client: ProvisioningClient;
  #store: StateStore | undefined;
  readonly #opened: { close(): void | Promise<void> }[] = [];

  private constructor(tenant: TestTenant) {
    this.tenant = tenant;
    this.service = serviceOf(tenant.store);
    this.#client = clientOf(tenant);
    this.certificate = makeCertificate(this.directory, 'now', PASSPHRASE);
    this.next = makeCertificate(this.directory, 'next', PASSPHRASE);
    writeFileSync(join(this.directory, 'passphrase'), PASSPHRASE);
    writeFileSync(join(this.directory, 'secret'), READER.secret);
  }

  static async start(hasher: Hasher): Promise<Site> {
    const stateDir = mkdtempSync(join(tmpdir(), 'phsync-tenant-'));
    const site = new Site(await startTestTenant({ stateDir, hasher, ...withReader }));
    await site.service.enable({ domainName: DOMAIN, certificate: site.certificate.der }, ADMIN);
    return site;
  }

  get stateDir(): string {
    return join(this.directory, 'state');
  }

  get store(): StateStore {
    return this.#store!;
  }

  config(...certificates: readonly MadeCertificate[]) {
    return domainServicesConfigSchema(configSchemas(this.directory)).parse({
      stateDir: './state',
      tenant: {
        url: this.tenant.url,
        ca: this.tenant.caPath,
        auth: { clientId: READER.clientId, clientSecret: { file: './secret' } },
      },
      keys: (certificates.length === 0 ? [this.certificate] : certificates).map(({ certificate, key }) => ({
        certificate,
        privateKey: { file: key, passphrase: { file: './passphrase' } },
      })),
      managedDomain: { type: 'samba' },
    });
  }

  /** A run of the program, from its start; the one before has ended. */
  async run(...certificates: readonly MadeCertificate[]): Promise<Synchronizer> {
    await this.end();
    const config = this.config(...certificates);
    this.#store = openStateStore(config.stateDir);
    this.ring = new ReloadableKeys(await openKeyRing(config.keys));
    const feed = await openFeedClient(config.tenant);
    this.#opened.push(this.#store, this.ring, feed);
    const sink = new Writable({ write: (line, _, done) => done(void this.log.push(String(line))) });
    return new Synchronizer({
      feed: asBefore(feed, () => this.isOlderTenant),
      keys: this.ring,
      writer: this.domain,
      store: this.#store,
      log: pino({ level: 'debug' }, sink),
      observer: nobody,
      deletionThreshold: this.deletionThreshold,
      now: () => this.now,
    });
  }

  /** The run ends, as by SIGKILL: nothing is told to anybody. */
  async end(): Promise<void> {
    for (const each of this.#opened.splice(0)) await each.close();
  }

  provision(names: readonly string[], more: object = {}) {
    return provision(this.#client, names, more);
  }

  remove(...names: readonly string[]) {
    return this.#client.provisionAzureADSyncObjects(
      names.map((name) => ({
        syncObjectType: 'User',
        syncOperation: 'Delete',
        propertyValues: new Map([['SourceAnchor', name]]),
      })),
    );
  }

  /** As an agent does, for one change of one user. */
  seal(kerberosKeys: Uint8Array | undefined, { der } = this.certificate, ntHash: Buffer = randomBytes(16)): Sealed {
    const recipient = recipientOf(der);
    const key = newSealedKey(recipient);
    return {
      ntHash: ntHash.toString('hex'),
      legacy: sealAdAuthInfo(legacyPlaintext(ntHash), recipient, key),
      supplemental: kerberosKeys && sealAdAuthInfo(supplementalPlaintext(kerberosKeys), recipient, key),
    };
  }

  async send(name: string, changeDate: string, blobs: Omit<Sealed, 'ntHash'>): Promise<void> {
    await this.sendAll([{ name, changeDate, ...blobs }]);
  }

  async sendAll(all: readonly (Omit<Sealed, 'ntHash'> & { name: string; changeDate: string })[]): Promise<void> {
    const items = all.map(({ name, changeDate, legacy, supplemental }) =>
      item(name, changeDate, { legacy, ...(supplemental === undefined ? {} : { supplemental }) }),
    );
    const results = await this.#client.provisionCredentials(items);
    const refused = results.find(({ result }) => result !== 0);
    if (refused !== undefined) throw new Error(`the tenant did not take it: ${JSON.stringify(refused)}`);
  }

  events(event: string): Record<string, unknown>[] {
    return this.log.map((line) => JSON.parse(line)).filter((line) => line.event === event);
  }

  async close(): Promise<void> {
    await this.end();
    await this.#client.close();
    await this.tenant.close();
    rmSync(this.directory, { recursive: true, force: true });
    rmSync(this.tenant.stateDir, { recursive: true, force: true });
  }
}
