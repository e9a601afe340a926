/** `phsync permissions`: whether the accounts may replicate, and the commands that let them. */

import { Command } from 'commander';
import { systemClock } from '../agent/clock.js';
import { loadAgentConfig } from '../agent/config.js';
import { checkPermissions, type Grant, grantFor } from '../agent/diagnosis/permissions.js';
import { chosen } from '../agent/diagnosis/system.js';
import { diagnosisText, tally } from '../agent/diagnosis/text.js';
import { PhsyncError } from '../hasher/errors.js';
import { exitCodes, printJson } from './output.js';
import { withConfig } from './required-config.js';

interface Options {
  readonly config: string;
  readonly check?: true;
  readonly grantCommand?: true;
  readonly writeBack?: true;
  readonly account?: string;
  readonly connector?: string;
  readonly json?: true;
}

async function run(options: Options): Promise<void> {
  const { check = false, grantCommand = false, writeBack = false, account } = options;
  if (check === grantCommand) {
    throw new PhsyncError('usage-permissions', 'expected one of --check and --grant-command');
  }
  if (check && account !== undefined) {
    throw new PhsyncError(
      'usage-account',
      '--account goes with --grant-command: a check logs on as the configured one',
    );
  }
  if (check && writeBack) {
    throw new PhsyncError(
      'usage-write-back',
      '--write-back goes with --grant-command: phsync diagnose checks the account that writes passwords back',
    );
  }
  const config = await loadAgentConfig(options.config);
  const connectors = chosen(config, options.connector);
  const shared = { clock: systemClock, env: process.env, allowMd5InFips: config.allowMd5InFips };
  if (check) {
    const checks = (await Promise.all(connectors.map((connector) => checkPermissions(connector, shared)))).flat();
    finishCheck(checks, options);
    return;
  }
  const grants = await Promise.all(
    connectors.map((connector) => grantFor(connector, account, { ...shared, writeBack })),
  );
  const known = grants.filter((grant) => grant !== undefined);
  if (options.json) printJson({ connectors: known });
  else process.stdout.write(known.map((grant) => grantText(grant, writeBack)).join('\n'));
}

function finishCheck(checks: Awaited<ReturnType<typeof checkPermissions>>, { json }: Options): void {
  const well = tally(checks).error === 0;
  if (json) printJson({ well, checks });
  else process.stdout.write(`${diagnosisText(checks)}\n`);
  const toldNothing = checks.some(({ id, status }) => !id.startsWith('right-') && status === 'error');
  process.exitCode = well ? exitCodes.done : toldNothing ? exitCodes.failed : exitCodes.no;
}

/** Every line is a comment or a command. */
function grantText(
  { connector, account, domain, nameIsCertain, dsacls, sambaTool }: Grant,
  writeBack: boolean,
): string {
  const what = writeBack
    ? `may reset the passwords of the users of ${domain}`
    : `may replicate ${domain}, passwords included`;
  return [
    `# ${connector}: ${account} ${what}.`,
    ...(nameIsCertain ? [] : ['# No domain controller could be asked for the NetBIOS name of the domain: check it.']),
    '# On Windows, at a command prompt, as a domain administrator:',
    ...dsacls,
    '# On a Samba domain controller, in a shell, as root:',
    ...sambaTool,
    '',
  ].join('\n');
}

const AFTER_HELP = `
An account needs "Replicating Directory Changes" and "Replicating Directory Changes All" on the domain, and no others.
With both it can read the password hashes of the whole domain: let nobody else use it.

With --write-back: the right to reset the passwords of users, for the account that writes passwords back. Changes by
people who show the old password need no right.

Exit codes: 0 done, or all accounts have both rights; 1 one lacks a right; 2 wrong usage or configuration; 3 a domain
controller could not be asked.

Examples:
  phsync permissions --config agent.yaml --check
  phsync permissions --config agent.yaml --grant-command
  phsync permissions --config agent.yaml --grant-command --account 'PHS\\phs.sync' --connector phs.test`;

export function command(): Command {
  return new Command('permissions')
    .description("check the accounts' replication rights, or print the commands that grant them")
    .option('--config <file>', 'agent.yaml')
    .option('--check', 'ask the domain controllers whether each account has both rights')
    .option('--grant-command', 'print the commands for Windows (dsacls) and Samba (samba-tool)')
    .option('--write-back', 'with --grant-command: the right to reset passwords, for password write-back, instead')
    .option('--account <name>', 'with --grant-command: this account in place of the configured one')
    .option('--connector <name>', 'this connector alone')
    .option('--json', 'print one JSON document')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options>, command: Command) => run(withConfig(options, command)));
}
