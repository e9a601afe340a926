/** `phsync systemd`: a hardened unit for the agent or the tenant, made from its configuration. */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { loadAgentConfig } from '../agent/config.js';
import { PhsyncError } from '../hasher/errors.js';
import { loadTenantConfig } from '../tenant/config.js';
import { withConfig } from './required-config.js';
import { agentService, tenantService } from './systemd/service.js';
import { systemdUnit } from './systemd/unit.js';

interface Options {
  readonly config: string;
  readonly tenant?: true;
  readonly user?: string;
}

async function systemd({ config: path, tenant, user: named }: Options): Promise<void> {
  const user = named ?? (tenant ? 'phsync-tenant' : 'phsync');
  // useradd(8), NAME_REGEX of Debian and its kind.
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(user)) {
    throw new PhsyncError('usage-user', '--user: expected the name of a system user, e.g. phsync');
  }
  const file = resolve(path);
  const service = tenant ? tenantService(await loadTenantConfig(file)) : agentService(await loadAgentConfig(file));
  // Not the link in a directory of PATH: that one asks env(1) for node, which a service may have in another place.
  const program = [process.execPath, fileURLToPath(new URL('main.js', import.meta.url))];
  const { text, warnings } = systemdUnit({ file, service, user, program });
  for (const warning of warnings) process.stderr.write(`phsync: ${warning}\n`);
  process.stdout.write(text);
}

const AFTER_HELP = `
  phsync systemd --config /etc/phsync/agent.yaml > /etc/systemd/system/phsync.service
  phsync systemd --tenant --config /etc/phsync-tenant/tenant.yaml > /etc/systemd/system/phsync-tenant.service

What is to be done once, as root, stands at the unit's head. How the service gets its secrets:

  { credential: NAME }  from the file NAME beside the configuration, which only root reads (LoadCredential=). For commands by
                        hand, as root:  CREDENTIALS_DIRECTORY=/etc/phsync phsync diagnose --config …
  { file: PATH }        from a file that the service's user reads
  { env: NAME }         from the file environment beside it, lines NAME=SECRET (EnvironmentFile=)`;

export function command(): Command {
  return new Command('systemd')
    .description('print a hardened unit of systemd for the agent or the tenant')
    .option('--config <file>', 'agent.yaml, or tenant.yaml with --tenant')
    .option('--tenant', 'for the tenant')
    .option('--user <name>', "the system's user that it runs as: phsync or phsync-tenant, unless it is another")
    .addHelpText('after', AFTER_HELP)
    .action((options: Omit<Options, 'config'> & { config?: string }, command: Command) =>
      systemd(withConfig(options, command)),
    );
}
