/** `phsync diagnose`: what is wrong with the whole system or with one object, and what to do about it. */

import { Command } from 'commander';
import { systemClock } from '../agent/clock.js';
import type { CheckResult } from '../agent/diagnosis/check.js';
import { diagnoseObject } from '../agent/diagnosis/object.js';
import { diagnoseSystem } from '../agent/diagnosis/system.js';
import { diagnosisText, tally } from '../agent/diagnosis/text.js';
import { exitCodes, printJson } from './output.js';
import { withConfig } from './required-config.js';

interface Options {
  readonly config: string;
  readonly dn?: string;
  readonly connector?: string;
  readonly strict?: true;
  readonly json?: true;
}

async function run(options: Options): Promise<void> {
  const { config, dn, connector, strict = false, json } = options;
  const shared = { clock: systemClock, env: process.env, connector };
  const checks =
    dn === undefined ? await diagnoseSystem(config, shared) : await diagnoseObject(config, { ...shared, dn });
  const counts = tally(checks);
  const well = counts.error === 0 && !(strict && counts.warning > 0);
  if (json) printJson({ well, ...counts, checks });
  else process.stdout.write(`${diagnosisText(checks)}\n`);
  process.exitCode = configurationBroken(checks) ? exitCodes.usage : well ? exitCodes.done : exitCodes.no;
}

const configurationBroken = (checks: readonly CheckResult[]) =>
  checks.some(({ id, status }) => id === 'configuration' && status === 'error');

const AFTER_HELP = `
Looks at the configuration, the state directory, the tenant, and for each connector at its domain controllers, the
account's rights and what the last cycles have done. Changes nothing, and may run beside the agent: as the agent's
user and with its environment, so that it has the same secrets.

With --dn, one object: whether the directory has it, whether it is in scope or why not, whether the tenant has it, what
would be sent of its password now, its place in the retry queue, and its last ten results.

Exit codes, for monitors: 0 no errors, 1 an error was found (with --strict a warning, too), 2 wrong usage or
configuration, 3 the diagnosis could not be made.

Examples:
  phsync diagnose --config /etc/phsync/agent.yaml
  phsync diagnose --config agent.yaml --dn 'CN=Ann,OU=Staff,DC=contoso,DC=com'
  phsync diagnose --config agent.yaml --connector contoso.com --json | jq '.checks[] | select(.status == "error")'`;

export function command(): Command {
  return new Command('diagnose')
    .description('find out what is wrong with the agent, its tenant and its directories, and what to do about it')
    .option('--config <file>', 'agent.yaml')
    .option('--dn <dn>', 'look at this object: in scope or why not, in the tenant, its password, its last results')
    .option('--connector <name>', 'this connector alone; with --dn in place of the one whose domain the object lies in')
    .option('--strict', 'exit with 1 for a warning, too')
    .option('--json', 'print one JSON document')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options>, command: Command) => run(withConfig(options, command)));
}
