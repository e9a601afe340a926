/** `phsync systemd`: a hardened unit for agent, tenant or the managed side of Domain Services, made from its configuration. */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { loadAgentConfig } from '../agent/config.js';
import { loadDomainServicesConfig } from '../domain-services/config.js';
import { PhsyncError } from '../hasher/errors.js';
import { loadTenantConfig } from '../tenant/config.js';
import { withConfig } from './required-config.js';
import { sambaPaths } from './systemd/samba-paths.js';
import { agentService, domainServicesService, type Service, tenantService } from './systemd/service.js';
import { systemdUnit } from './systemd/unit.js';

interface Options {
  readonly config: string;
  readonly tenant?: true;
  readonly domainServices?: true;
  readonly user?: string;
}

function serviceOf(file: string, { tenant, domainServices }: Options): Promise<Service> {
  if (tenant) return loadTenantConfig(file).then(tenantService);
  if (domainServices) return managedService(file);
  return loadAgentConfig(file).then(agentService);
}

async function managedService(file: string): Promise<Service> {
  const config = await loadDomainServicesConfig(file);
  return domainServicesService(config, await sambaPaths(config.managedDomain.smbConf));
}

async function systemd(options: Options): Promise<void> {
  const { config: path, tenant, domainServices, user: named } = options;
  if (tenant && domainServices)
    throw new PhsyncError('usage-systemd', '--tenant and --domain-services: one unit at a time');
  if (domainServices && named !== undefined) {
    throw new PhsyncError(
      'usage-user',
      '--user: the managed side writes into the database of a domain controller, as root',
    );
  }
  const user = named ?? (domainServices ? 'root' : tenant ? 'phsync-tenant' : 'phsync');
  // useradd(8), NAME_REGEX of Debian and its kind.
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(user)) {
    throw new PhsyncError('usage-user', '--user: expected the name of a system user, e.g. phsync');
  }
  const file = resolve(path);
  const service = await serviceOf(file, options);
  // Not the link in a directory of PATH: that one asks env(1) for node, which a service may have in another place.
  const program = [process.execPath, fileURLToPath(new URL('main.js', import.meta.url))];
  const { text, warnings } = systemdUnit({ file, service, user, program });
  for (const warning of warnings) process.stderr.write(`phsync: ${warning}\n`);
  process.stdout.write(text);
}

const AFTER_HELP = `
  phsync systemd --config /etc/phsync/agent.yaml > /etc/systemd/system/phsync.service
  phsync systemd --tenant --config /etc/phsync-tenant/tenant.yaml > /etc/systemd/system/phsync-tenant.service
  phsync systemd --domain-services --config /etc/phsync-domain-services/domain-services.yaml \\
    > /etc/systemd/system/phsync-domain-services.service

What is to be done once, as root, stands at the unit's head. How the service gets its secrets:

  { credential: NAME }  from the file NAME beside the configuration, which only root reads (LoadCredential=). For commands by
                        hand, as root:  CREDENTIALS_DIRECTORY=/etc/phsync phsync diagnose --config …
  { file: PATH }        from a file that the service's user reads
  { env: NAME }         from the file environment beside it, lines NAME=SECRET (EnvironmentFile=)`;

export function command(): Command {
  return new Command('systemd')
    .description('print a hardened unit of systemd for the agent, the tenant or the managed side of Domain Services')
    .option(
      '--config <file>',
      'agent.yaml, or tenant.yaml with --tenant, or domain-services.yaml with --domain-services',
    )
    .option('--tenant', 'for the tenant')
    .option('--domain-services', 'for the managed side of Domain Services, which runs as root on its domain controller')
    .option('--user <name>', "the system's user that it runs as: phsync or phsync-tenant, unless it is another")
    .addHelpText('after', AFTER_HELP)
    .action((options: Omit<Options, 'config'> & { config?: string }, command: Command) =>
      systemd(withConfig(options, command)),
    );
}
