/** Which domain controllers a connector has, and the checks of each. */

import { Resolver } from 'node:dns/promises';
import { resolveSecret } from '../../config/secrets.js';
import type { Clock } from '../clock.js';
import type { ConnectorConfig, DrsDirectoryConfig } from '../config.js';
import type { DrsConnectionOptions } from '../sources/drs-connection.js';
import { type CheckResult, counted, failure, known, ok, skipped } from './check.js';
import { checkController, withFailover } from './controller.js';

export interface ControllerOptions {
  readonly clock: Clock;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly allowMd5InFips: boolean;
}

export interface ControllerTarget {
  readonly server: string;
  readonly address?: string | undefined;
}

/** Domain controllers that DNS names beyond are not looked at. */
const MOST = 16;
const DNS_MS = 5000;

export async function checkControllers(
  { name, enabled, directory }: ConnectorConfig,
  options: ControllerOptions,
): Promise<CheckResult[]> {
  const of = { connector: name };
  if (!enabled) return [];
  if (directory.type === 'lab') {
    return [ok('dc-found', `a simulated lab directory of ${counted(directory.users, 'user')}`, {}, of)];
  }
  const found = await findControllers(directory);
  if (typeof found === 'string') {
    const advice =
      "Let this machine use the domain's DNS (directory.dnsServers), or list the domain controllers in directory.servers.";
    return [failure('dc-found', found, advice, { domain: directory.domain }, of)];
  }
  const { controllers, how } = found;
  const names = controllers.map(({ server }) => server);
  const first = ok('dc-found', `${names.join(', ')} (${how})`, { controllers: names }, of);
  try {
    const connections = await Promise.all(controllers.map((target) => connectionOptions(directory, target, options)));
    const each = await Promise.all(connections.map((connection) => checkController(connection, name, options.clock)));
    const anyWell = each.some((results) => results.every(({ status }) => status !== 'error'));
    return [first, ...(anyWell ? each.flat().map(withFailover) : each.flat())];
  } catch (error) {
    // Secrets are another check's.
    return [first, skipped('dc-logon', known(error).message, of)];
  }
}

/** The listed ones, or those that DNS names (MS-ADTS 6.3.6); a text says why there are none. */
export async function findControllers(
  directory: DrsDirectoryConfig,
): Promise<{ readonly controllers: readonly ControllerTarget[]; readonly how: string } | string> {
  const { server, address, servers, preferredServers = [], site, dnsServers, domain } = directory;
  if (server !== undefined) return { controllers: [{ server, address }], how: 'configured' };
  if (servers !== undefined) return { controllers: servers, how: 'configured' };
  const resolver = new Resolver({ timeout: DNS_MS, tries: 1 });
  if (dnsServers !== undefined) resolver.setServers(dnsServers);
  const zones = [
    ...(site === undefined ? [] : [`_ldap._tcp.${site}._sites.dc._msdcs.${domain}`]),
    `_ldap._tcp.dc._msdcs.${domain}`,
  ];
  const failures: string[] = [];
  const known = new Set(preferredServers.map((preferred) => preferred.server.toLowerCase()));
  const named: ControllerTarget[] = [];
  for (const zone of zones) {
    try {
      const records = await resolver.resolveSrv(zone);
      records.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
      for (const { name } of records) {
        if (known.has(name.toLowerCase())) continue;
        known.add(name.toLowerCase());
        named.push({ server: name });
      }
    } catch (error) {
      failures.push(`${zone}: ${(error as NodeJS.ErrnoException).code}`);
    }
  }
  const controllers = [...preferredServers, ...named].slice(0, MOST);
  if (controllers.length === 0) return `DNS names no domain controller of ${domain} (${failures.join(', ')})`;
  return { controllers, how: preferredServers.length > 0 ? 'preferred, and by DNS' : 'by DNS' };
}

/** As the agent connects. @throws PhsyncError `config-secret` */
export async function connectionOptions(
  { domain, auth, timeoutSeconds }: DrsDirectoryConfig,
  { server, address }: ControllerTarget,
  { env, allowMd5InFips }: Pick<ControllerOptions, 'env' | 'allowMd5InFips'>,
): Promise<DrsConnectionOptions> {
  const password = auth.password && (await resolveSecret(auth.password, 'directory.auth.password', env));
  return {
    server,
    address,
    domain,
    auth: { ...auth, password },
    allowMd5InFips,
    timeouts: timeoutSeconds === undefined ? undefined : { idleMs: timeoutSeconds * 1000 },
  };
}
