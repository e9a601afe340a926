/** Whether a connector's account has both replication rights, and the commands that grant them. */

import { PhsyncError } from '../../hasher/errors.js';
import { NameFormat, NameStatus } from '../../protocol/drsr/crack-names.js';
import type { ConnectorConfig } from '../config.js';
import { connectDrs } from '../sources/drs-connection.js';
import { type CheckId, type CheckResult, skipped } from './check.js';
import { checkController } from './controller.js';
import { type ControllerOptions, connectionOptions, findControllers, notFound } from './controllers.js';
import { domainDn, type GrantCommands, grantCommands, resetCommands } from './grant.js';

const RIGHTS: readonly CheckId[] = ['right-get-changes', 'right-get-changes-all'];
/** What is wrong beside the rights. */
const OF_NO_RIGHT: readonly CheckId[] = ['dc-clock', 'scope-ous'];

/**
 * The two rights by the first domain controller that answers; before them, what keeps them from being told.
 * @throws PhsyncError `config-secret`
 */
export async function checkPermissions(connector: ConnectorConfig, options: ControllerOptions): Promise<CheckResult[]> {
  const { name, directory } = connector;
  const of = { connector: name };
  if (directory.type === 'lab') return RIGHTS.map((id) => skipped(id, 'a simulated directory has no rights', of));
  const found = await findControllers(directory);
  if (typeof found === 'string') {
    return [
      notFound(found, directory, of),
      ...RIGHTS.map((id) => skipped(id, 'no domain controller can be asked', of)),
    ];
  }
  let results: CheckResult[] = [];
  for (const target of found.controllers) {
    results = await checkController(await connectionOptions(directory, target, options), connector, options.clock);
    if (results.some(({ id, status }) => id === 'dc-logon' && status === 'ok')) break;
  }
  return results.filter(({ id, status }) => RIGHTS.includes(id) || (status === 'error' && !OF_NO_RIGHT.includes(id)));
}

export interface Grant extends GrantCommands {
  readonly connector: string;
  readonly domain: string;
  readonly domainDn: string;
  /** False: the domain's NetBIOS name is only likely, since no domain controller told it. */
  readonly nameIsCertain: boolean;
}

export interface GrantOptions extends ControllerOptions {
  /** To reset passwords, for the account that writes them back, in place of replicating. */
  readonly writeBack: boolean;
}

/**
 * The commands for the connector's account, or for another one of its domain.
 * @throws PhsyncError `usage-account` where the configuration names no account
 */
export async function grantFor(
  { name, directory, passwordWriteback }: ConnectorConfig,
  account: string | undefined,
  options: GrantOptions,
): Promise<Grant | undefined> {
  if (directory.type === 'lab') return undefined;
  const own = options.writeBack ? passwordWriteback?.auth?.user : undefined;
  const user = account ?? own ?? directory.auth.user;
  if (user === undefined) {
    throw new PhsyncError('usage-account', `the connector ${name} names no account: give one with --account`, {
      facts: { connector: name },
    });
  }
  const { domain } = directory;
  const netbiosName = await askNetbiosName(directory, options);
  return {
    connector: name,
    domain,
    domainDn: domainDn(domain),
    nameIsCertain: netbiosName !== undefined,
    ...(options.writeBack ? resetCommands : grantCommands)(user, domain, netbiosName),
  };
}

/** Undefined where no domain controller lets the account log on yet, which is no reason to print nothing. */
async function askNetbiosName(
  directory: Extract<ConnectorConfig['directory'], { type: 'drs' }>,
  options: ControllerOptions,
): Promise<string | undefined> {
  try {
    const found = await findControllers(directory);
    const [target] = typeof found === 'string' ? [] : found.controllers;
    if (target === undefined) return undefined;
    const connection = await connectDrs(await connectionOptions(directory, target, options));
    try {
      const [answer] = await connection.client.crackNames({
        formatOffered: NameFormat.canonical,
        formatDesired: NameFormat.nt4Account,
        names: [`${directory.domain}/`],
      });
      return answer?.status === NameStatus.ok ? answer.name?.replace(/\\$/, '') : undefined;
    } finally {
      connection.close();
    }
  } catch (error) {
    if (error instanceof PhsyncError) return undefined;
    throw error;
  }
}
