/** `phsync systemd`: a hardened unit for the agent, made from its configuration. */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { loadAgentConfig } from '../agent/config.js';
import { PhsyncError } from '../hasher/errors.js';
import { withConfig } from './required-config.js';
import { systemdUnit } from './systemd/unit.js';

interface Options {
  readonly config: string;
  readonly user: string;
}

async function systemd({ config: path, user }: Options): Promise<void> {
  // useradd(8), NAME_REGEX of Debian and its kind.
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(user)) {
    throw new PhsyncError('usage-user', '--user: expected the name of a system user, e.g. phsync');
  }
  const file = resolve(path);
  const config = await loadAgentConfig(file);
  // Not the link in a directory of PATH: that one asks env(1) for node, which a service may have in another place.
  const program = [process.execPath, fileURLToPath(new URL('main.js', import.meta.url))];
  const { text, warnings } = systemdUnit({ file, config, user, program });
  for (const warning of warnings) process.stderr.write(`phsync: ${warning}\n`);
  process.stdout.write(text);
}

const AFTER_HELP = `
  phsync systemd --config /etc/phsync/agent.yaml > /etc/systemd/system/phsync.service

What is to be done once, as root, stands at the unit's head. How the service gets its secrets:

  { credential: NAME }  from the file NAME beside agent.yaml, which only root reads (LoadCredential=). For commands by
                        hand, as root:  CREDENTIALS_DIRECTORY=/etc/phsync phsync diagnose --config …
  { file: PATH }        from a file that the service's user reads
  { env: NAME }         from the file environment beside agent.yaml, lines NAME=SECRET (EnvironmentFile=)`;

export function command(): Command {
  return new Command('systemd')
    .description('print a hardened unit of systemd for the agent')
    .option('--config <file>', 'agent.yaml')
    .option('--user <name>', "the system's user that it runs as", 'phsync')
    .addHelpText('after', AFTER_HELP)
    .action((options: Omit<Options, 'config'> & { config?: string }, command: Command) =>
      systemd(withConfig(options, command)),
    );
}
