/** `phsync tenant`: the tenant server, until SIGINT or SIGTERM. */

import { once } from 'node:events';
import { Command } from 'commander';
import { pino } from 'pino';
import { createHasher } from '../hasher/create-hasher.js';
import { loadTenantConfig } from '../tenant/config.js';
import { type RunningTenant, startTenant } from '../tenant/server.js';
import { printJson } from './output.js';
import { withConfig } from './required-config.js';
import { stopSignal } from './stop-signal.js';

interface Options {
  readonly config: string;
  readonly json?: boolean;
}

async function tenant({ config: file, json = false }: Options): Promise<void> {
  const config = await loadTenantConfig(file);
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const hasher = createHasher({ ...config.hasher, allowMd5InFips: config.allowMd5InFips });
  // Before the start: whoever reads the ready line may send the signal at once.
  const stop = stopSignal();
  try {
    const running = await startTenant(config, { hasher, logger });
    announce(running, json);
    if (!stop.signal.aborted) await once(stop.signal, 'abort');
    await running.close();
  } finally {
    stop.dispose();
    await hasher.close();
  }
}

function announce({ url, caPath, tenantId, provisioningUrl, tokenUrl }: RunningTenant, json: boolean): void {
  if (json) {
    printJson({ url, ca: caPath, tenantId, provisioningUrl, tokenUrl, pid: process.pid });
    return;
  }
  process.stdout.write(`tenant ${tenantId} at ${url}\n`);
  process.stdout.write(`  provisioning  ${provisioningUrl}\n  sign-in       ${tokenUrl}\n`);
  if (caPath !== undefined) process.stdout.write(`  trust         ${caPath}\n`);
}

const AFTER_HELP = `
Runs until SIGINT or SIGTERM; the log goes to standard error. A configuration, its paths relative to the file:

  stateDir: ./tenant-state
  listen: { host: 127.0.0.1, port: 8443 }
  domains: [{ name: phs.test }]
  agents: [{ clientId: agent-1, clientSecret: { file: ./client-secret } }]

Clients trust tenant-state/ca.pem, which the first start makes.`;

export function command(): Command {
  return new Command('tenant')
    .description('the tenant: takes users and credentials from agents, and signs people in')
    .option('--config <file>', 'tenant.yaml, as below')
    .option('--json', 'print one JSON document when ready: url, ca, tenantId, provisioningUrl, tokenUrl, pid')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options>, command: Command) => tenant(withConfig(options, command)));
}
