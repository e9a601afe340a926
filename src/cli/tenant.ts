/** `phsync tenant`: the tenant server, until SIGINT or SIGTERM; its backup and restore, change of signing keys, unlocking, handing over of users, and Domain Services. */

import { once } from 'node:events';
import { resolve } from 'node:path';
import { Argument, Command } from 'commander';
import { createHasher } from '../hasher/create-hasher.js';
import { createLog } from '../log/log.js';
import { loadTenantConfig } from '../tenant/config.js';
import type { RunningTenant } from '../tenant/server.js';
import { backUp, restore } from '../tenant/store/backup/backup.js';
import { handOver } from './hand-over.js';
import { count, counted, printJson } from './output.js';
import { withConfig } from './required-config.js';
import { rotateKeys } from './rotate-keys.js';
import { stopSignal } from './stop-signal.js';
import { type DomainServicesAction, domainServices, domainServicesActions } from './tenant-domain-services.js';
import { unlock } from './unlock.js';

interface Options {
  readonly config: string;
  readonly out?: string;
  readonly from?: string;
  readonly replace?: boolean;
  readonly json?: boolean;
  readonly atOnce?: boolean;
  readonly user?: string;
  readonly anchor?: string;
  readonly of?: string;
  readonly to?: string;
  readonly domain?: string;
  readonly certificate?: string;
  readonly setting?: readonly string[];
  readonly thumbprint?: string;
  readonly force?: boolean;
}

const tasks = ['backup', 'restore', 'rotate-keys', 'unlock', 'hand-over', 'domain-services'] as const;
type Task = (typeof tasks)[number];
/** Options that one task has, or the server (undefined). */
const taskOptions = {
  out: 'backup',
  from: 'restore',
  replace: 'restore',
  atOnce: 'rotate-keys',
  user: 'unlock',
  anchor: 'hand-over',
  of: 'hand-over',
  to: 'hand-over',
  domain: 'domain-services',
  certificate: 'domain-services',
  setting: 'domain-services',
  thumbprint: 'domain-services',
  force: 'domain-services',
} as const;

async function tenant({ config: file, json = false }: Options): Promise<void> {
  const config = await loadTenantConfig(file);
  // Only here: oidc-provider, which it loads, warns of Node.js 20, and that is no part of `phsync --help`.
  const { startTenant } = await import('../tenant/server.js');
  const logger = createLog(config.logLevel);
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

/** The tenant may run meanwhile. */
async function backup({ config: file, out, json = false }: Options, command: Command): Promise<void> {
  if (out === undefined) return missing('--out <file>', command);
  const config = await loadTenantConfig(file);
  const stop = stopSignal();
  try {
    const report = await backUp(config, resolve(out), process.env, stop.signal);
    if (json) {
      printJson(report);
      return;
    }
    process.stdout.write(`wrote ${report.file}, ${count(report.bytes)} bytes: ${tenantText(report)}\n`);
    process.stdout.write(restText(report));
    process.stdout.write(
      'It holds every credential and the keys that sign tokens' +
        `${report.files.includes('ca-key.pem') ? ' and certificates' : ''}: keep it as you keep the database itself.\n`,
    );
  } finally {
    stop.dispose();
  }
}

async function bringBack({ config: file, from, replace = false, json = false }: Options, command: Command) {
  if (from === undefined) return missing('--from <file>', command);
  const config = await loadTenantConfig(file);
  const stop = stopSignal();
  try {
    const report = await restore(config, resolve(from), { replace, env: process.env, signal: stop.signal });
    if (json) {
      printJson(report);
      return;
    }
    process.stdout.write(`restored from ${report.file}, made at ${report.madeAt}: ${tenantText(report)}\n`);
    process.stdout.write(restText(report));
    const { store, stateDir } = config;
    process.stdout.write(`  into ${store.type === 'sqlite' ? `SQLite, ${stateDir}` : 'PostgreSQL (store.url)'}\n`);
    for (const name of report.kept) process.stdout.write(`  ${name} was there and is another: left as it is\n`);
  } finally {
    stop.dispose();
  }
}

function tenantText({ tenantId, tables }: { tenantId: string; tables: Readonly<Record<string, number>> }): string {
  return `tenant ${tenantId}, ${counted(tables.users ?? 0, 'user')}, ${counted(tables.credentials ?? 0, 'password')}`;
}

/** What else is in it, by the tables that people know. */
function restText({ tables, files }: { tables: Readonly<Record<string, number>>; files: readonly string[] }): string {
  const all = Object.values(tables).reduce((sum, n) => sum + n, 0);
  const told = [
    counted(tables.groups ?? 0, 'group'),
    counted(tables.domains ?? 0, 'domain'),
    counted(tables.sign_ins ?? 0, 'sign-in'),
    `${count(tables.audit_events ?? 0)} of the audit log`,
  ];
  const more = files.length === 0 ? '' : `; ${files.join(', ')}`;
  return `  also ${told.join(', ')}; ${counted(all, 'row')} in all${more}\n`;
}

function missing(option: string, command: Command): never {
  command.error(`required option '${option}' not specified`, { code: 'commander.missingMandatoryOptionValue' });
}

async function run(
  task: Task | undefined,
  action: DomainServicesAction | undefined,
  options: Options,
  command: Command,
): Promise<void> {
  if (action !== undefined && task !== 'domain-services') {
    command.error(`'${action}' belongs to phsync tenant domain-services`, { code: 'commander.excessArguments' });
  }
  for (const [option, owner] of Object.entries(taskOptions)) {
    if (owner === task || options[option as keyof Options] === undefined) continue;
    const name = option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    command.error(`option '--${name}' belongs to phsync tenant ${owner}`, { code: 'commander.conflictingOption' });
  }
  if (task === 'backup') return backup(options, command);
  if (task === 'restore') return bringBack(options, command);
  if (task === 'domain-services') return domainServices(action, options, command);
  if (task === 'rotate-keys') {
    const { config, atOnce = false, json = false } = options;
    return rotateKeys(await loadTenantConfig(config), { atOnce, json });
  }
  if (task === 'unlock') {
    const { config, user, json = false } = options;
    if (user === undefined) return missing('--user <name>', command);
    return unlock(await loadTenantConfig(config), { user, json });
  }
  if (task === 'hand-over') {
    const { config, anchor, of, to, json = false } = options;
    if (to === undefined) return missing('--to <client id>', command);
    if ((anchor === undefined) === (of === undefined)) {
      command.error('phsync tenant hand-over takes either --anchor or --of', { code: 'commander.conflictingOption' });
    }
    if (of === to) command.error('--of and --to are the same agent', { code: 'commander.conflictingOption' });
    const what = anchor === undefined ? { of: of! } : { anchor };
    return handOver(await loadTenantConfig(config), { what, to, json });
  }
  return tenant(options);
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

Clients trust tenant-state/ca.pem, which the first start makes.

Backup and restore, on SQLite and PostgreSQL and from one to the other:

  phsync tenant backup --config tenant.yaml --out tenant.backup
  phsync tenant restore --config tenant.yaml --from tenant.backup

A backup is taken while the tenant runs. It holds every credential and the keys that sign tokens. A restore wants the
tenant stopped, and its database empty unless --replace says to drop what is there.

Signing keys change every 90 days by themselves; sooner, while the tenant runs:

  phsync tenant rotate-keys --config tenant.yaml

The next keys are published at once and sign a day later, when clients have seen them. --at-once is for a key that others
know: every token that it has signed is refused, and agents and applications fetch new ones.

Who is locked out after too many wrong passwords can try again at once, while the tenant runs:

  phsync tenant unlock --config tenant.yaml --user rosa@phs.test

Where agents are kept apart (agents[].domains), a user belongs to the agent that brought it first. It goes to another agent,
while the tenant runs, one user by its source anchor (the user is deleted, and the other agent makes it anew), or all as
they are:

  phsync tenant hand-over --config tenant.yaml --anchor 3J5SRR+jq0mJ6cWRRsKJOA== --to agent-2
  phsync tenant hand-over --config tenant.yaml --of agent-1 --to agent-2

Domain Services, a managed domain with the same passwords for Kerberos, NTLM and LDAP, also while the tenant runs:

  phsync tenant domain-services enable --config tenant.yaml --domain aadds.phs.test --certificate domain-services.pem
  phsync tenant domain-services show --config tenant.yaml
  phsync tenant domain-services set --config tenant.yaml --setting SyncNtlmPasswords=Disabled
  phsync tenant domain-services add-certificate --config tenant.yaml --certificate next.pem
  phsync tenant domain-services remove-certificate --config tenant.yaml --thumbprint 6F1C…
  phsync tenant domain-services disable --config tenant.yaml

The certificate is that of the managed domain's key, RSA of 2048 bits or more; the tenant never has the key. Enabling has
agents send NT hashes and Kerberos keys, sealed to it. Disabling deletes what is stored of them here.`;

export function command(): Command {
  return new Command('tenant')
    .description('the tenant: takes users and credentials from agents, and signs people in')
    .addArgument(new Argument('[task]', 'in place of serving').choices(tasks))
    .addArgument(new Argument('[action]', 'with domain-services').choices(domainServicesActions))
    .option('--config <file>', 'tenant.yaml, as below')
    .option('--out <file>', 'with backup: where it goes, a file that is not there yet')
    .option('--from <file>', 'with restore: a backup')
    .option('--replace', 'with restore: drop what the database holds')
    .option('--at-once', 'with rotate-keys: refuse the tokens of the keys before, as where a key was stolen')
    .option('--user <name>', 'with unlock: a user principal name')
    .option('--anchor <source anchor>', 'with hand-over: of one user, as agents send it')
    .option('--of <client id>', 'with hand-over: the agent whose users all go')
    .option('--to <client id>', 'with hand-over: the agent that gets them, one of tenant.yaml')
    .option('--domain <name>', "with domain-services enable: the managed domain's DNS name")
    .option('--certificate <file>', "with domain-services enable, add-certificate: the managed domain's, PEM or DER")
    .option('--setting <name=value...>', 'with domain-services enable, set: SyncNtlmPasswords=Disabled and the like')
    .option('--thumbprint <hex>', "with domain-services remove-certificate: the certificate's")
    .option(
      '--force',
      'with domain-services enable, add-certificate: even one that is not valid now; remove-certificate: even where stored credentials are sealed to it',
    )
    .option(
      '--json',
      'print one JSON document when ready: url, ca, tenantId, provisioningUrl, tokenUrl, pid; or when done',
    )
    .addHelpText('after', AFTER_HELP)
    .action(
      (task: Task | undefined, action: DomainServicesAction | undefined, options: Partial<Options>, command: Command) =>
        run(task, action, withConfig(options, command), command),
    );
}
