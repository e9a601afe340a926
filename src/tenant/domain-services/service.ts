/** Domain Services of the tenant, as an administrator sees and changes them: over HTTPS, or by commands beside a running tenant. */

import { randomUUID } from 'node:crypto';
import { PhsyncError } from '../../hasher/errors.js';
import type { SecuritySettings } from '../../provisioning/domain-services-feed.js';
import type { AuditEntry, AuditLog } from '../audit/types.js';
import { notesBegin, notesEnd, runAll } from '../store/change-notes.js';
import type { Queries, TenantDatabase } from '../store/database.js';
import { checkTime, expiryWarning, readCertificate, type SecretCertificate, thumbprintText } from './certificate.js';
import {
  type CertificateRow,
  countSealed,
  nameSealed,
  nobodySealed,
  ownDomain,
  putCertificate,
  readCertificates,
  readService,
  type SealedUsers,
  type ServiceRow,
} from './repository.js';
import { readDomainName, type SettingChanges, settingsOf, withChanges } from './settings.js';

export interface CertificateView {
  readonly thumbprint: string;
  readonly subject: string;
  readonly keyBits: number;
  readonly notAfter: Date;
  readonly added: Date;
  /** Agents are given this one. */
  readonly isNewest: boolean;
  /** Users whose stored credentials are sealed to it; deleted ones are counted apart. */
  readonly users: number;
  /** Deleted, but may be restored. */
  readonly deletedUsers: number;
  /** userPrincipalNames of the first ten of `users`; none for the newest. */
  readonly userPrincipalNames: readonly string[];
}

/** As many users are named who hold a certificate. */
const NAMED = 10;

export interface DomainServicesView {
  readonly enabled: boolean;
  readonly domainName: string;
  readonly securitySettings: SecuritySettings;
  /** The newest first. */
  readonly certificates: readonly CertificateView[];
  /** Users of whom Windows credentials are stored, without deleted ones. */
  readonly users: number;
  readonly deletedUsers: number;
  /** A certificate that ends, a managed domain that has the name of another one. */
  readonly warnings: readonly string[];
}

/** Who does it, for the audit log. */
export interface Act {
  readonly actor: AuditEntry['actor'];
  readonly correlationId?: string | undefined;
}

export interface EnableRequest {
  /** The first time it must be said; later it cannot change while they are enabled. */
  readonly domainName?: string | undefined;
  /** PEM or DER. Without one, the newest of those that are there. */
  readonly certificate?: Uint8Array | undefined;
  /** The certificate is taken though it has ended, or is not valid yet. */
  readonly force?: boolean | undefined;
  readonly settings?: SettingChanges | undefined;
}

export interface DomainServicesOptions {
  readonly database: TenantDatabase;
  readonly tenantId: string;
  readonly audit: AuditLog;
  readonly now: () => Date;
}

type Details = NonNullable<AuditEntry['details']>;

/**
 * Each change is on disk with its entry in the audit log when its promise resolves. Errors are PhsyncErrors
 * `domain-services-…` that say what to do, or the store's.
 */
export class DomainServices {
  readonly #options: DomainServicesOptions;

  constructor(options: DomainServicesOptions) {
    this.#options = options;
  }

  /** Undefined: they never were configured. */
  show(): Promise<DomainServicesView | undefined> {
    return this.#options.database.run((queries) => this.#view(queries));
  }

  /** @throws PhsyncError `ad-auth-info-certificate`, `domain-services-name`, `-own-domain`, `-no-certificate`, `-renamed` */
  async enable(
    { domainName, certificate, force = false, settings = {} }: EnableRequest,
    act: Act,
  ): Promise<DomainServicesView> {
    const given = certificate && this.#readCertificate(certificate, force);
    const name = domainName === undefined ? undefined : readDomainName(domainName);
    return this.#change(act, 'Enable Domain Services', async (queries, former) => {
      if (former === undefined && name === undefined) {
        throw new PhsyncError('domain-services-name', 'the managed domain has no name yet: say which it is');
      }
      if (former?.enabled === 1 && name !== undefined && name !== former.domain_name) {
        throw new PhsyncError(
          'domain-services-renamed',
          `Domain Services are enabled for ${former.domain_name}: disable them first, which deletes what is stored for that domain`,
        );
      }
      if (former?.enabled !== 1) await checkName(queries, (name ?? former?.domain_name)!);
      if (given !== undefined) await this.#put(queries, given);
      const [newest] = await readCertificates(queries);
      if (newest === undefined) {
        throw new PhsyncError('domain-services-no-certificate', 'Domain Services have no certificate yet: give one');
      }
      const merged = withChanges(former?.security_settings, settings);
      const row = {
        enabled: 1,
        domain_name: name ?? former!.domain_name,
        security_settings: JSON.stringify(merged),
        updated_at: this.#now(),
      };
      if (former?.enabled !== 1) {
        // Cookies of another time mean nothing: what came and went meanwhile is not in the feed.
        const epoch = { epoch: randomUUID(), sequence: 0, forgotten: 0 };
        await queries
          .insertInto('domain_services')
          .values({ id: 1, ...row, ...epoch })
          .onConflict((conflict) => conflict.column('id').doUpdateSet({ ...row, ...epoch }))
          .execute();
        await runAll(queries, notesBegin(this.#options.database.dialect));
      } else await queries.updateTable('domain_services').set(row).execute();
      return {
        enabled: { old: former?.enabled === 1, new: true },
        domainName: { old: former?.domain_name ?? null, new: row.domain_name },
        certificate: { new: thumbprintText(newest.thumbprint) },
        ...differences(former, merged),
      };
    });
  }

  /** Deletes what agents have sealed. Certificates, name and settings stay. @throws PhsyncError `domain-services-off` */
  async disable(act: Act): Promise<{ readonly deleted: number }> {
    let deleted = 0;
    await this.#change(act, 'Disable Domain Services', async (queries, former) => {
      if (former?.enabled !== 1) throw off();
      await queries.updateTable('domain_services').set({ enabled: 0, updated_at: this.#now() }).execute();
      await runAll(queries, notesEnd(this.#options.database.dialect));
      const { numDeletedRows } = await queries.deleteFrom('windows_credentials').executeTakeFirstOrThrow();
      deleted = Number(numDeletedRows);
      await queries.deleteFrom('domain_services_pending').execute();
      await queries.deleteFrom('domain_services_feed').execute();
      return { enabled: { old: true, new: false }, deletedCredentials: deleted };
    });
    return { deleted };
  }

  /** @throws PhsyncError `domain-services-off` where they never were configured */
  set(settings: SettingChanges, act: Act): Promise<DomainServicesView> {
    return this.#change(act, 'Set Domain Services security settings', async (queries, former) => {
      if (former === undefined) throw off();
      const merged = withChanges(former?.security_settings, settings);
      await queries
        .updateTable('domain_services')
        .set({ security_settings: JSON.stringify(merged), updated_at: this.#now() })
        .execute();
      return differences(former, merged);
    });
  }

  /**
   * The newest from then on; one that was there already, too. `force`: even one that is not valid now.
   * @throws PhsyncError `ad-auth-info-certificate`, `domain-services-off`
   */
  async addCertificate(
    bytes: Uint8Array,
    act: Act,
    { force = false }: { readonly force?: boolean } = {},
  ): Promise<DomainServicesView> {
    const certificate = this.#readCertificate(bytes, force);
    return this.#change(act, 'Add Domain Services certificate', async (queries, former) => {
      if (former === undefined) throw off();
      await this.#put(queries, certificate);
      return { certificate: { new: thumbprintText(certificate.thumbprint) }, notAfter: certificate.notAfter };
    });
  }

  /**
   * `force`: even where users' credentials are sealed to it, which stay as they are. @throws PhsyncError
   * `domain-services-unknown-certificate`, `-certificate-needed` (with the number of users), `-last-certificate`
   */
  removeCertificate(
    thumbprint: Uint8Array,
    { force }: { readonly force: boolean },
    act: Act,
  ): Promise<DomainServicesView> {
    const text = thumbprintText(thumbprint);
    return this.#change(act, 'Remove Domain Services certificate', async (queries, former) => {
      const all = await readCertificates(queries);
      const wanted = all.find((certificate) => thumbprintText(certificate.thumbprint) === text);
      if (former === undefined || wanted === undefined) {
        throw new PhsyncError('domain-services-unknown-certificate', `Domain Services have no certificate ${text}`);
      }
      if (former.enabled === 1 && all.length === 1) {
        throw new PhsyncError(
          'domain-services-last-certificate',
          `${text} is the only certificate, and Domain Services are enabled: add another one first, or disable them`,
        );
      }
      const held = (await countSealed(queries)).get(text) ?? nobodySealed;
      const { users, deletedUsers } = held;
      if (users > 0 && !force) {
        const names = namesText(users, await nameSealed(queries, wanted.thumbprint, NAMED));
        const deleted = deletedUsers === 0 ? '' : `, and of ${deletedUsers} deleted, who do not count`;
        throw new PhsyncError(
          'domain-services-certificate-needed',
          `the stored credentials of ${usersText(users)} are sealed to ${text} (${names}${deleted}): ${wanted === all[0] ? ADD_FIRST : FOLLOW}; --force (\`force\`) removes it all the same`,
          { facts: { users, deletedUsers } },
        );
      }
      await queries.deleteFrom('domain_services_certificates').where('thumbprint', '=', wanted.thumbprint).execute();
      return { certificate: { old: text }, users, deletedUsers, force };
    });
  }

  #now(): number {
    return this.#options.now().getTime();
  }

  #readCertificate(bytes: Uint8Array, force: boolean): SecretCertificate {
    const certificate = readCertificate(bytes);
    if (!force) checkTime(certificate, this.#options.now());
    return certificate;
  }

  #put(queries: Queries, { thumbprint, der, keyBytes, notAfter }: SecretCertificate): Promise<void> {
    const row = { thumbprint, certificate: der, key_bytes: keyBytes, not_after: notAfter.getTime() };
    return putCertificate(queries, row, this.#options.now());
  }

  async #change<T extends Details>(
    { actor, correlationId }: Act,
    activity: string,
    work: (queries: Queries, former: ServiceRow | undefined) => Promise<T>,
  ): Promise<DomainServicesView> {
    const { database, audit, tenantId } = this.#options;
    return database.transaction(async (queries) => {
      // The row's lock first, and tables behind it: batches of Windows credentials take theirs in this order.
      const details = await work(queries, await readService(queries, database.dialect));
      await audit.record(
        {
          actor,
          activity,
          category: 'DirectoryManagement',
          target: { kind: 'DomainServices', id: tenantId },
          result: 'success',
          details,
          correlationId,
        },
        queries,
      );
      return (await this.#view(queries))!;
    });
  }

  async #view(queries: Queries): Promise<DomainServicesView | undefined> {
    const row = await readService(queries);
    if (row === undefined) return undefined;
    const sealed = await countSealed(queries);
    const certificates: CertificateView[] = [];
    for (const [i, certificate] of (await readCertificates(queries)).entries()) {
      const held = sealed.get(thumbprintText(certificate.thumbprint)) ?? nobodySealed;
      const names = i === 0 || held.users === 0 ? [] : await nameSealed(queries, certificate.thumbprint, NAMED);
      certificates.push(viewOf(certificate, i === 0, held, names));
    }
    const all = [...sealed.values()];
    const warnings = certificates
      .slice(0, 1)
      .flatMap(({ notAfter }) => expiryWarning(notAfter, this.#options.now()) ?? []);
    if ((await ownDomain(queries, row.domain_name)) !== undefined) {
      warnings.push(
        `${row.domain_name} is a domain of this tenant's users, too: the managed domain is a domain of its own, with a name of its own`,
      );
    }
    return {
      enabled: row.enabled === 1,
      domainName: row.domain_name,
      securitySettings: settingsOf(row.security_settings),
      certificates,
      users: all.reduce((sum, { users }) => sum + users, 0),
      deletedUsers: all.reduce((sum, { deletedUsers }) => sum + deletedUsers, 0),
      warnings,
    };
  }
}

/** @throws PhsyncError `domain-services-own-domain`: passwords would be written back into the domain that they come from. */
async function checkName(queries: Queries, name: string): Promise<void> {
  if ((await ownDomain(queries, name)) !== 'synchronized') return;
  throw new PhsyncError(
    'domain-services-own-domain',
    `users are synchronized from ${name}: the managed domain is another one, with a name and domain controllers of its own, such as aadds.${name}`,
  );
}

const FOLLOW = 'they follow with their next password or a full synchronization';
const ADD_FIRST = `it is the newest, which agents go on sealing to: add the next one first, and ${FOLLOW}`;

const usersText = (users: number) => `${users} user${users === 1 ? '' : 's'}`;

/** `ada@contoso.com, bob@contoso.com and 3 more`. */
export const namesText = (users: number, names: readonly string[]): string =>
  users > names.length ? `${names.join(', ')} and ${users - names.length} more` : names.join(', ');

function viewOf(
  row: CertificateRow,
  isNewest: boolean,
  held: SealedUsers,
  userPrincipalNames: readonly string[],
): CertificateView {
  const { subject } = readCertificate(row.certificate);
  return {
    thumbprint: thumbprintText(row.thumbprint),
    subject,
    keyBits: row.key_bytes * 8,
    notAfter: new Date(row.not_after),
    added: new Date(row.added_at),
    isNewest,
    ...held,
    userPrincipalNames,
  };
}

const off = () => new PhsyncError('domain-services-off', 'Domain Services are not enabled in this tenant');

function differences(former: ServiceRow | undefined, after: SecuritySettings): Details {
  const before: Readonly<Record<string, string>> = former === undefined ? {} : settingsOf(former.security_settings);
  const changed = Object.entries(after).filter(([name, value]) => before[name] !== value);
  return Object.fromEntries(changed.map(([name, value]) => [name, { old: before[name] ?? null, new: value }]));
}
