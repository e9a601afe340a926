/** Which domain controllers a connector has, and the checks of each. */

import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
import type { Clock } from '../clock.js';
import type { ConnectorConfig, DrsDirectoryConfig } from '../config.js';
import { locateControllers } from '../sources/dc-locator.js';
import type { DrsConnectionOptions } from '../sources/drs-connection.js';
import { type CheckResult, counted, failure, known, ok, type Subject, skipped } from './check.js';
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

export async function checkControllers(
  { name, enabled, directory, scope }: ConnectorConfig,
  options: ControllerOptions,
): Promise<CheckResult[]> {
  const of = { connector: name };
  if (!enabled) return [];
  if (directory.type === 'lab') {
    return [ok('dc-found', `a simulated lab directory of ${counted(directory.users, 'user')}`, {}, of)];
  }
  const found = await findControllers(directory);
  if (typeof found === 'string') return [notFound(found, directory, of)];
  const { controllers, how } = found;
  const names = controllers.map(({ server }) => server);
  const first = ok('dc-found', `${names.join(', ')} (${how})`, { controllers: names }, of);
  try {
    const connections = await Promise.all(controllers.map((target) => connectionOptions(directory, target, options)));
    const each = await Promise.all(
      connections.map((connection) => checkController(connection, { name, scope }, options.clock)),
    );
    // A wrong scope is the same at all of them.
    const anyWell = each.some((all) => all.every(({ id, status }) => status !== 'error' || id === 'scope-ous'));
    return [first, ...(anyWell ? each.flat().map(withFailover) : each.flat())];
  } catch (error) {
    // Secrets are another check's.
    return [first, skipped('dc-logon', known(error).message, of)];
  }
}

export function notFound(why: string, { domain }: DrsDirectoryConfig, of: Subject): CheckResult {
  const advice =
    "Let this machine use the domain's DNS (directory.dnsServers), or list the domain controllers in directory.servers.";
  return failure('dc-found', why, advice, { domain }, of);
}

/** Those that the agent asks, in its order; a text says why there are none. */
export async function findControllers(
  directory: DrsDirectoryConfig,
): Promise<{ readonly controllers: readonly ControllerTarget[]; readonly how: string } | string> {
  try {
    // The same order each time: what is looked at shall not depend on chance.
    const { controllers, how } = await locateControllers(directory, { random: () => 0 });
    return { controllers: controllers.slice(0, MOST), how };
  } catch (error) {
    if (error instanceof PhsyncError && error.code === 'dc-not-found') return error.message;
    throw error;
  }
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
