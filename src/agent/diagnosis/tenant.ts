/** Checks of the tenant: reachable, its certificate, clocks, the agent's token and role, and its features. */

import { type Dispatcher, request } from 'undici';
import { readCa } from '../../config/ca.js';
import { resolveSecret } from '../../config/secrets.js';
import type { PhsyncError } from '../../hasher/errors.js';
import { openDispatcher, type ProxySettings } from '../../provisioning/http.js';
import { type CompanyConfiguration, DirSyncFeature } from '../../provisioning/types.js';
import type { Clock } from '../clock.js';
import type { AgentConfig } from '../config.js';
import type { DomainServicesOffer, DomainServicesPolicy } from '../domain-services/offer.js';
import { type OpenTenantClient, openTenantClient } from '../tenant-client.js';
import {
  type CheckId,
  type CheckResult,
  durationText,
  failure,
  known,
  ok,
  skipped,
  timeText,
  warning,
} from './check.js';
import { judgeSkew } from './clock-skew.js';
import { checkDomainServices } from './domain-services.js';
import { probeTls, type TlsReport } from './tls-probe.js';

const DAY_MS = 24 * 3_600_000;
/** A certificate that ends within is worth a warning. */
const SOON_MS = 30 * DAY_MS;
const TIMEOUT_MS = 10_000;

export interface TenantOptions {
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly clock: Clock;
  /** Undefined: agent.yaml's certificates for Domain Services cannot be read. */
  readonly policy: DomainServicesPolicy | undefined;
}

export interface TenantChecks {
  readonly results: readonly CheckResult[];
  /** Undefined where the tenant did not tell. */
  readonly company: CompanyConfiguration | undefined;
  readonly domainServices: DomainServicesOffer | undefined;
}

interface Asked {
  readonly company: CompanyConfiguration;
  readonly domainServices: DomainServicesOffer | undefined;
}

const IN_ORDER: readonly CheckId[] = [
  'tenant-reachable',
  'tenant-tls',
  'tenant-clock',
  'tenant-token',
  'tenant-access',
  'tenant-feature',
  'domain-services',
];

export async function checkTenant(tenant: AgentConfig['tenant'], options: TenantOptions): Promise<TenantChecks> {
  const results: CheckResult[] = [];
  let asked: Asked | undefined;
  try {
    asked = await walk(tenant, options, results);
  } catch (error) {
    // Secrets and the CA's file are another check's.
    const { message } = known(error);
    results.push(skipped(IN_ORDER[results.length]!, message));
  }
  const done = new Set(results.map(({ id }) => id));
  const why = 'an earlier check of the tenant has found something';
  return {
    results: [...results, ...IN_ORDER.filter((id) => !done.has(id)).map((id) => skipped(id, why))],
    company: asked?.company,
    domainServices: asked?.domainServices,
  };
}

async function walk(
  tenant: AgentConfig['tenant'],
  options: TenantOptions,
  results: CheckResult[],
): Promise<Asked | undefined> {
  const { clock, env } = options;
  const url = new URL(tenant.url);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? 443 : Number(url.port);
  const ca = tenant.ca === undefined ? undefined : await readCa(tenant.ca);
  const proxy = await proxyOf(tenant, env);
  let report: TlsReport;
  try {
    report = await probeTls({ host, port, ca, proxy, timeoutMs: TIMEOUT_MS });
  } catch (error) {
    results.push(unreachable(known(error), tenant));
    return undefined;
  }
  results.push(ok('tenant-reachable', `${host}:${port}`, { host, port }));
  const certificate = judgeCertificate(report, tenant, host, clock.now());
  results.push(certificate);
  if (certificate.status === 'error') return undefined;
  const client = await openTenantClient(tenant, options);
  try {
    results.push(await checkClock(client.client.url, openDispatcher(ca, proxy), host, clock));
    return await ask(client, options, results);
  } finally {
    await client.close();
  }
}

async function proxyOf(
  { proxy }: AgentConfig['tenant'],
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<ProxySettings | undefined> {
  if (proxy === undefined) return undefined;
  const { url, user } = proxy;
  return { url, user, password: proxy.password && (await resolveSecret(proxy.password, 'tenant.proxy.password', env)) };
}

function unreachable({ code, message, facts }: PhsyncError, { url, proxy }: AgentConfig['tenant']): CheckResult {
  const through = proxy === undefined ? '' : ` through the proxy ${new URL(proxy.url).host}`;
  const advice = {
    'tenant-proxy': 'Check tenant.proxy in agent.yaml, and that the proxy lets this machine connect to the tenant.',
    'tenant-no-tls': `Check tenant.url in agent.yaml: it must name the HTTPS port of the provisioning service.`,
  }[code];
  return failure(
    'tenant-reachable',
    message,
    advice ??
      `Check tenant.url in agent.yaml, that the tenant is up, and that DNS and firewalls let this machine connect to ` +
        `${new URL(url).host}${through}; if there is a proxy to the outside, set tenant.proxy.`,
    { ...facts, code },
  );
}

/** What Node says of a certificate that it refuses, in words; and what to do. */
const REFUSALS: Readonly<Record<string, readonly [finding: string, advice: 'ca' | 'name' | 'time']>> = {
  SELF_SIGNED_CERT_IN_CHAIN: ['it is signed by a certification authority that is not trusted here', 'ca'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['it is signed by itself and not trusted here', 'ca'],
  UNABLE_TO_GET_ISSUER_CERT: ['its certification authority is not trusted here', 'ca'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['its certification authority is not trusted here', 'ca'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['it is signed by nobody who is trusted here', 'ca'],
  CERT_SIGNATURE_FAILURE: ['its signature is not by the certification authority that is trusted here', 'ca'],
  CERT_UNTRUSTED: ['its certification authority is not trusted here', 'ca'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['it is for another name', 'name'],
  HOSTNAME_MISMATCH: ['it is for another name', 'name'],
  CERT_HAS_EXPIRED: ['it has expired', 'time'],
  CERT_NOT_YET_VALID: ['it is not valid yet', 'time'],
};

export function judgeCertificate(
  report: TlsReport,
  tenant: Pick<AgentConfig['tenant'], 'ca'>,
  host: string,
  now: number,
): CheckResult {
  const { error, subject, issuer, names, validFrom, validTo, protocol } = report;
  const facts = {
    subject,
    issuer,
    names,
    protocol,
    validFrom: new Date(validFrom).toISOString(),
    validTo: new Date(validTo).toISOString(),
    ...(error === undefined ? {} : { error }),
  };
  if (error !== undefined) {
    const [what, kind] = REFUSALS[error] ?? ['it is refused', 'ca'];
    const detail = {
      ca: `issuer ${issuer}`,
      name: `it names ${names || subject}`,
      time: `valid ${timeText(validFrom)} to ${timeText(validTo)}`,
    };
    const trusted =
      tenant.ca === undefined
        ? 'the certification authorities of this system'
        : `the certificates in ${tenant.ca} (tenant.ca)`;
    const advice = {
      ca: `Trusted are ${trusted}. Name the certificate of the authority that has signed the tenant's in tenant.ca.`,
      name: `Use one of these names in tenant.url, or give the tenant a certificate for ${host}.`,
      time: "Renew the tenant's certificate; if its dates are right, correct the clock of this machine.",
    }[kind];
    return failure(
      'tenant-tls',
      `the certificate of ${host} is not accepted: ${what} (${error}; ${detail[kind]})`,
      advice,
      facts,
    );
  }
  const left = validTo - now;
  if (left < SOON_MS) {
    return warning(
      'tenant-tls',
      `the certificate of ${host} ends in ${durationText(left)}, on ${timeText(validTo)}`,
      "Renew the tenant's certificate; once it has ended, nothing is synchronized any more.",
      facts,
    );
  }
  return ok(
    'tenant-tls',
    `valid for ${host} until ${timeText(validTo).slice(0, 10)}, issuer ${issuer}, ${protocol}`,
    facts,
  );
}

/** Any answer has a date, even one that refuses the method. */
async function checkClock(url: string, dispatcher: Dispatcher, host: string, clock: Clock): Promise<CheckResult> {
  const before = clock.now();
  try {
    const { headers, body } = await request(url, { method: 'GET', dispatcher, headersTimeout: TIMEOUT_MS });
    await body.dump();
    const date = Date.parse(String(headers.date));
    if (!Number.isNaN(date)) {
      return judgeSkew('tenant-clock', (before + clock.now()) / 2, date, `the tenant (${host})`);
    }
    return skipped('tenant-clock', 'the tenant does not tell its time');
  } catch (error) {
    // What keeps it from answering is for the next checks to find.
    return skipped('tenant-clock', `the tenant does not tell its time: ${(error as Error).message}`);
  } finally {
    await dispatcher.destroy();
  }
}

async function ask(
  tenant: OpenTenantClient,
  { clock, policy }: TenantOptions,
  results: CheckResult[],
): Promise<Asked | undefined> {
  const { client, credentials } = tenant;
  try {
    await credentials.token(true);
  } catch (error) {
    results.push(tokenRefused(known(error)));
    return undefined;
  }
  results.push(ok('tenant-token', 'the tenant gives the agent a token'));
  let company: CompanyConfiguration;
  try {
    company = await client.getCompanyConfiguration();
  } catch (error) {
    results.push(accessRefused(known(error)));
    return undefined;
  }
  const { tenantId, displayName, dirSyncFeatures } = company;
  results.push(
    ok('tenant-access', `tenant ${tenantId}${displayName === '' ? '' : ` (${displayName})`}`, {
      tenantId,
      displayName,
    }),
    (dirSyncFeatures & DirSyncFeature.PasswordHashSync) !== 0
      ? ok('tenant-feature', 'on', { dirSyncFeatures })
      : failure(
          'tenant-feature',
          'password hash synchronization is off in the tenant: no password is sent',
          'Have an administrator of the tenant turn the feature PasswordHashSync on (SetCompanyDirsyncFeatures, or ' +
            'passwordSyncEnabled of onPremisesDirectorySynchronization in Microsoft Graph).',
          { dirSyncFeatures },
        ),
  );
  const { result, offer } = await checkDomainServices(tenant, policy, clock.now());
  results.push(result);
  return { company, domainServices: offer };
}

function tokenRefused({ code, message, facts }: PhsyncError): CheckResult {
  const advice =
    code === 'token-refused'
      ? 'Check tenant.auth in agent.yaml: clientId must be known to the tenant as an agent, and clientSecret be its current secret.'
      : 'Check that tenant.url names the provisioning service, and look into the log of the tenant.';
  return failure('tenant-token', message, advice, { ...facts, code });
}

function accessRefused({ code, message, facts }: PhsyncError): CheckResult {
  const advice: Readonly<Record<string, string>> = {
    'provisioning-access-denied':
      'Give the agent the role that synchronizes the directory (Directory Synchronization Accounts; of a phsync tenant: list its clientId under `agents`).',
    'provisioning-not-activated': 'Activate directory synchronization and password hash synchronization in the tenant.',
    'provisioning-busy': 'Nothing: the tenant is busy, and the agent tries again on its own.',
    'provisioning-bad-reply':
      'Check tenant.url: it must be the address of the provisioning service (…/provisioningservice.svc).',
  };
  return failure('tenant-access', message, advice[code] ?? 'Look into the log of the tenant.', { ...facts, code });
}
