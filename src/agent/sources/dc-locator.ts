/** Which domain controllers a connector may ask, in which order: those that are listed, or those that DNS names (MS-ADTS 6.3.6). */

import type { SrvRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { PhsyncError } from '../../hasher/errors.js';
import type { DrsDirectoryConfig } from '../config.js';

export interface DomainController {
  readonly server: string;
  /** Where it is; undefined: as the system resolves its name. */
  readonly address: string | undefined;
  /** Named in the configuration, whose failure is worth an event of its own. */
  readonly listed: boolean;
  /** Lower is better; equal: as good as one another. */
  readonly rank: number;
}

/** What of node:dns is used, so that tests may answer. */
export type DnsResolver = Pick<Resolver, 'resolveSrv' | 'resolve4' | 'resolve6'>;

export interface LocateOptions {
  /** 0 to below 1, for the weights. */
  readonly random: () => number;
  /** Default: the system's name servers, or `dnsServers`. */
  readonly resolver?: DnsResolver | undefined;
}

export interface Located {
  /** At least one. */
  readonly controllers: readonly DomainController[];
  readonly how: 'configured' | 'preferred, and by DNS' | 'by DNS';
}

type Where = Pick<
  DrsDirectoryConfig,
  'server' | 'address' | 'servers' | 'preferredServers' | 'site' | 'dnsServers' | 'domain'
>;

const DNS_MS = 3000;
const DNS_TRIES = 2;
/** Others that DNS names are left for another time. */
const MOST = 32;
/** SRV priorities have 16 bits: the site's come before the domain's, and both after what is listed. */
const SITE_RANK = 1_000;
const DOMAIN_RANK = 100_000;

/** Rejects with PhsyncError `dc-not-found`, which says what was asked where. */
export async function locateControllers(directory: Where, { random, resolver }: LocateOptions): Promise<Located> {
  const { server, address, servers, preferredServers = [], site, dnsServers, domain } = directory;
  const dns = resolver ?? createResolver(dnsServers);
  const listed = server !== undefined ? [{ server, address }] : servers;
  const first = (listed ?? preferredServers).map(
    (each, rank): DomainController => ({ server: each.server, address: each.address, listed: true, rank }),
  );
  // Where other name servers than the system's are asked, the system need not know these names.
  const withAddress = (controllers: readonly DomainController[]) =>
    dnsServers === undefined ? controllers : Promise.all(controllers.map((each) => resolveAddress(each, dns)));
  if (listed !== undefined) return { controllers: await withAddress(first), how: 'configured' };

  const found = new Map(first.map((each) => [each.server.toLowerCase(), each]));
  const failures: string[] = [];
  const ask = async (name: string, base: number) => {
    try {
      for (const record of orderSrv(await dns.resolveSrv(name), random)) {
        const key = record.name.toLowerCase();
        // RFC 2782: "." says that the service is decidedly not there.
        if (record.name === '' || record.name === '.' || found.has(key) || found.size >= MOST) continue;
        found.set(key, { server: record.name, address: undefined, listed: false, rank: base + record.priority });
      }
    } catch (error) {
      failures.push(`${name}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
    }
  };
  if (site !== undefined) await ask(`_ldap._tcp.${site}._sites.dc._msdcs.${domain}`, SITE_RANK);
  await ask(`_ldap._tcp.dc._msdcs.${domain}`, DOMAIN_RANK);
  if (found.size === 0) throw notFound(domain, dnsServers, failures);
  return {
    controllers: await withAddress([...found.values()]),
    how: preferredServers.length > 0 ? 'preferred, and by DNS' : 'by DNS',
  };
}

/** RFC 2782: by priority; among equals each comes next with a chance that follows its weight. */
export function orderSrv(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  for (const priority of [...new Set(records.map((each) => each.priority))].sort((a, b) => a - b)) {
    const left = records.filter((each) => each.priority === priority).sort((a, b) => a.weight - b.weight);
    while (left.length > 0) {
      const sum = left.reduce((total, { weight }) => total + weight, 0);
      // A whole number from 0 to the sum, both included: those of weight 0 have a small chance too.
      const chosen = Math.floor(random() * (sum + 1));
      let running = 0;
      const at = left.findIndex(({ weight }) => (running += weight) >= chosen);
      ordered.push(...left.splice(at, 1));
    }
  }
  return ordered;
}

function createResolver(servers: readonly string[] | undefined): Resolver {
  const resolver = new Resolver({ timeout: DNS_MS, tries: DNS_TRIES });
  if (servers !== undefined) resolver.setServers(servers);
  return resolver;
}

async function resolveAddress(controller: DomainController, dns: DnsResolver): Promise<DomainController> {
  const { server, address } = controller;
  if (address !== undefined || isIP(server) !== 0) return controller;
  for (const resolve of [() => dns.resolve4(server), () => dns.resolve6(server)]) {
    try {
      const [found] = await resolve();
      if (found !== undefined) return { ...controller, address: found };
    } catch (error) {
      // No record of this kind, or nobody answers: the connection will tell, with the name.
      if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error;
    }
  }
  return controller;
}

function notFound(domain: string, dnsServers: readonly string[] | undefined, failures: readonly string[]): PhsyncError {
  const asked = dnsServers === undefined ? "the system's name servers" : dnsServers.join(', ');
  return new PhsyncError(
    'dc-not-found',
    `DNS names no domain controller of ${domain} (asked ${asked}: ${failures.join(', ') || 'no records'}): let this ` +
      "machine use the domain's DNS, set directory.dnsServers, or list the domain controllers in directory.servers",
    { facts: { domain } },
  );
}
