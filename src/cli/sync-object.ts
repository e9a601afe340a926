/** `phsync sync-object`: one object now, by the running agent or, where none runs, by this process. */

import { Command } from 'commander';
import { type AgentConfig, loadAgentConfig } from '../agent/config.js';
import { askAgent } from '../agent/control/client.js';
import { createAgent } from '../agent/create-agent.js';
import { connectorOf } from '../agent/diagnosis/object.js';
import type { ObjectReport } from '../agent/sync-object.js';
import { PhsyncError } from '../hasher/errors.js';
import { createLog } from '../log/log.js';
import { exitCodes, printJson } from './output.js';
import { withConfig } from './required-config.js';

interface Options {
  readonly config: string;
  readonly dn?: string;
  readonly connector?: string;
  readonly json?: true;
}

async function run(options: Options): Promise<void> {
  const { dn, json } = options;
  if (dn === undefined) throw new PhsyncError('usage-dn', "required option '--dn <dn>' not specified");
  const config = await loadAgentConfig(options.config);
  const { name: connector, enabled } = connectorOf(config, dn, options.connector);
  if (!enabled) {
    throw new PhsyncError('usage-connector', `the connector ${connector} is disabled in ${options.config}`, {
      facts: { connector },
    });
  }
  const asked = await askAgent(config.stateDir, 'sync-object', { connector, dn });
  const report = asked ?? (await syncHere(config, connector, dn));
  const by = asked === undefined ? 'this process' : 'the running agent';
  const { staging } = config;
  const done = DONE.has(report.status) && !staging;
  if (json) printJson({ done, by, staging, ...report });
  else process.stdout.write(`${staging ? 'staging mode, nothing was sent: ' : ''}${reportText(report, by)}\n`);
  process.exitCode = done ? exitCodes.done : exitCodes.no;
}

/** Of MissingAttribute, user and password are in the tenant. */
const DONE: ReadonlySet<string> = new Set(['Success', 'MissingAttribute']);

/** Takes the state's lock, so that no agent sends at the same time. */
async function syncHere(config: AgentConfig, connector: string, dn: string): Promise<ObjectReport> {
  const created = await createAgent(config, { log: createLog('silent') });
  try {
    return await created.agent.syncObject({ connector, dn });
  } finally {
    await created.close();
  }
}

const USER: Readonly<Record<ObjectReport['user'], string>> = {
  created: 'made in the tenant',
  updated: 'told to the tenant',
  deleted: 'deleted in the tenant',
  unchanged: 'not changed in the tenant',
};

function reportText({ connector, dn, status, reason, user, passwordSent, keysSent }: ObjectReport, by: string): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  const keys = keysSent ? ' with keys for Domain Services' : '';
  const password = passwordSent ? `the password was sent${keys}` : 'no password was sent';
  return `${connector}: ${dn}: ${status}${why}; the user was ${USER[user]}, ${password} (by ${by})`;
}

const AFTER_HELP = `
Reads the object from the directory, makes or changes the user in the tenant, and sends the password, acknowledged
before or not. A running agent does it between two pages of a cycle; where none runs, this process does.

Exit codes: 0 the tenant has user and password, 1 it does not, and the reason is told (out of scope, temporary
password, refused by the tenant, …), 2 wrong usage or configuration, 3 directory or tenant could not be asked.

Example:
  phsync sync-object --config agent.yaml --dn 'CN=Ann,OU=Staff,DC=contoso,DC=com'`;

export function command(): Command {
  return new Command('sync-object')
    .description('synchronize one object now, and say what came of it')
    .option('--config <file>', 'agent.yaml')
    .option('--dn <dn>', 'the distinguished name of the object')
    .option('--connector <name>', 'in place of the one whose domain the object lies in')
    .option('--json', 'print one JSON document')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options>, command: Command) => run(withConfig(options, command)));
}
