/** What a unit must know of the program that it runs: agent, tenant, or the managed side of Domain Services, by its configuration. */

import type { AgentConfig } from '../../agent/config.js';
import type { SecretReference } from '../../config/schemas.js';
import type { DomainServicesConfig } from '../../domain-services/config.js';
import type { TenantConfig } from '../../tenant/config.js';
import { SAMBA_WRITES, type SambaPaths } from './samba-paths.js';

/** A file that is no secret, in whose directory its user may have no business. */
export interface PublicFile {
  readonly path: string;
  readonly key: string;
  /** Where such a file often lies, and its user may not go. */
  readonly closed: string;
}

export interface Service {
  /** Of the unit, without `.service`. */
  readonly name: 'phsync' | 'phsync-tenant' | 'phsync-domain-services';
  /** `phsync agent`, `phsync tenant`, … */
  readonly command: 'agent' | 'tenant' | 'domain-services';
  readonly configName: 'agent.yaml' | 'tenant.yaml' | 'domain-services.yaml';
  readonly description: string;
  /** Beside src. */
  readonly guide: string;
  readonly after: readonly string[];
  readonly stateDir: string;
  readonly secrets: readonly SecretReference[];
  /** Files that are the service's alone, as its secrets are. */
  readonly keys: readonly string[];
  /** Whatever else it reads. */
  readonly files: readonly string[];
  readonly certificate: PublicFile | undefined;
  /** What SIGHUP does; undefined: it ends the program. */
  readonly reloads: string | undefined;
  readonly restartSeconds: number;
  readonly stop: { readonly seconds: number; readonly why: string };
  readonly noCore: string;
  /** A kernel keyring, or a port below 1024: neither is to be had in a user namespace. */
  readonly keyring: boolean;
  readonly lowPort: boolean;
  /** It writes files of root's, and runs as root: these directories, and its own state. */
  readonly asRoot?: { readonly why: string; readonly writes: readonly string[]; readonly warnings: readonly string[] };
}

/** Everything in the configuration that is kept elsewhere. */
export function secretsOf(value: unknown): SecretReference[] {
  if (typeof value !== 'object' || value === null) return [];
  const { env, file, credential } = value as Record<string, unknown>;
  if (typeof env === 'string') return [{ env }];
  if (typeof file === 'string') return [{ file }];
  if (typeof credential === 'string') return [{ credential }];
  return Object.values(value).flatMap(secretsOf);
}

export function agentService({ stateDir, tenant, connectors, domainServices }: AgentConfig): Service {
  const drs = connectors.flatMap(({ directory }) => (directory.type === 'drs' ? [directory.auth] : []));
  return {
    name: 'phsync',
    command: 'agent',
    configName: 'agent.yaml',
    description: 'Password hash synchronization from Active Directory',
    guide: 'src/agent/README.md',
    after: ['# Kerberos wants the right time.', 'After=network-online.target time-sync.target'],
    stateDir,
    secrets: secretsOf([tenant, connectors]),
    keys: drs.flatMap(({ keytab }) => [keytab ?? []].flat()),
    files: [
      ...drs.flatMap(({ credentialCache }) => credentialCache?.replace(/^FILE:/, '') ?? []),
      ...connectors.flatMap(({ passwordWriteback }) => passwordWriteback?.ca ?? []),
      ...[domainServices?.certificates ?? []].flat(),
    ],
    certificate:
      tenant.ca === undefined ? undefined : { path: tenant.ca, key: 'tenant.ca', closed: "a tenant's state directory" },
    reloads: 'Opens the keys anew.',
    restartSeconds: 30,
    stop: { seconds: 20, why: 'The batch in hand is finished first, within 10 s.' },
    noCore: 'a core dump would hold hashes and keys',
    keyring: drs.some(({ credentialCache }) => credentialCache?.startsWith('KEYRING:') === true),
    lowPort: false,
  };
}

/** The first port that needs no privilege. */
const UNPRIVILEGED = 1024;

export function tenantService({ stateDir, tls, listen, store, agents, applications }: TenantConfig): Service {
  const own = tls === 'auto' ? undefined : tls;
  return {
    name: 'phsync-tenant',
    command: 'tenant',
    configName: 'tenant.yaml',
    description: 'Tenant of password hash synchronization: takes credentials and signs people in',
    guide: 'src/tenant/README.md',
    after: [`After=network-online.target${store.type === 'postgres' ? ' postgresql.service' : ''}`],
    stateDir,
    secrets: secretsOf([store, agents, applications]),
    keys: own === undefined ? [] : [own.key],
    files: [],
    certificate: own && { path: own.cert, key: 'tls.cert', closed: '/etc/letsencrypt/live' },
    reloads: undefined,
    restartSeconds: 5,
    stop: { seconds: 30, why: 'Requests under way are answered first, within 10 s.' },
    noCore: 'a core dump would hold credentials and keys',
    keyring: false,
    lowPort: listen.port > 0 && listen.port < UNPRIVILEGED,
  };
}

export function domainServicesService(
  { stateDir, tenant, keys, managedDomain }: DomainServicesConfig,
  samba: SambaPaths = { writes: [], warnings: [] },
): Service {
  const tokens = keys.flatMap(({ privateKey }) => ('pkcs11' in privateKey ? [privateKey.pkcs11] : []));
  const files = keys.flatMap(({ privateKey }) => ('file' in privateKey ? [privateKey.file] : []));
  const modules = [...new Set(tokens.map(({ module }) => module))];
  return {
    name: 'phsync-domain-services',
    command: 'domain-services',
    configName: 'domain-services.yaml',
    description: 'Domain Services: users and passwords of the tenant into the managed domain',
    guide: 'src/domain-services/README.md',
    after: ['After=network-online.target samba-ad-dc.service'],
    stateDir,
    secrets: [
      ...secretsOf(tenant),
      ...keys.flatMap(({ privateKey }) =>
        'file' in privateKey ? secretsOf(privateKey.passphrase) : secretsOf(privateKey.pkcs11.pin),
      ),
    ],
    keys: files,
    files: [...keys.map(({ certificate }) => certificate), managedDomain.smbConf],
    certificate:
      tenant.ca === undefined ? undefined : { path: tenant.ca, key: 'tenant.ca', closed: "a tenant's state directory" },
    reloads: 'Opens the keys anew.',
    restartSeconds: 30,
    stop: { seconds: 20, why: 'The batch in hand is finished first, within 10 s.' },
    noCore: 'a core dump would hold hashes and keys',
    keyring: false,
    lowPort: false,
    asRoot: {
      why: "the domain controller's database is root's",
      writes: [...SAMBA_WRITES, ...samba.writes],
      warnings: [
        ...samba.warnings,
        ...modules.map(
          (module) =>
            `${module}: whatever the token's library writes or talks to (SoftHSM: its tokens; a device: /dev/…) must be let in: ` +
            'ReadWritePaths=, DeviceAllow=, PrivateDevices=no in a drop-in',
        ),
      ],
    },
  };
}
