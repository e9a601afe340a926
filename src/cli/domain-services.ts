/** `phsync domain-services`: keeps a managed domain as the tenant has it, users and passwords, on its domain controller. */

import { Command } from 'commander';
import { type DomainServicesConfig, loadDomainServicesConfig } from '../domain-services/config.js';
import { createDomainServices, type DomainServices, rehearse } from '../domain-services/create.js';
import type { Counts } from '../domain-services/observer.js';
import { runForever, runOnce } from '../domain-services/runner.js';
import { PhsyncError } from '../hasher/errors.js';
import { createLog } from '../log/log.js';
import { count, counted, exitCodes, printJson } from './output.js';
import { withConfig } from './required-config.js';
import { stopSignal } from './stop-signal.js';

interface Options {
  readonly config: string;
  readonly once?: boolean;
  readonly full?: boolean;
  readonly allowDeletions?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** A stop is over within ten seconds, whoever does not answer. */
const STOP_MS = 9500;

async function run(options: Options): Promise<void> {
  const { once = false, full = false, allowDeletions = false, dryRun = false, json = false } = options;
  if (json && !once) {
    throw new PhsyncError('usage-json', '--json goes with --once: a loop has no end at which to print its document');
  }
  if (dryRun && !once) {
    throw new PhsyncError('usage-dry-run', '--dry-run goes with --once: it tells what would be done to the domain');
  }
  const config = await loadDomainServicesConfig(options.config);
  const log = createLog(config.logLevel);
  const stop = stopSignal({
    deadline: { ms: STOP_MS, giveUp: () => log.warn('what was under way took too long and is given up') },
    ...(once ? {} : { onReload: () => reloads.ask() }),
  });
  const reloads = new Reloads(options.config, log);
  try {
    if (dryRun) return await dry(config, log, { signal: stop.signal, allowDeletions, json });
    const created = await createDomainServices(config, { log, monitored: !once });
    try {
      log.info(
        { event: 'starts', keys: created.keys.length, waiting: created.store.retryCount },
        'domain-services starts',
      );
      const request = { signal: stop.signal, full, allowDeletions };
      if (!once) {
        reloads.begin(created);
        await runForever(created, request);
        log.info({ event: 'ends' }, 'domain-services ends');
        return;
      }
      const counts = await runOnce(created, request);
      const held = created.synchronizer.heldDeletions;
      finish(counts, created.synchronizer.domain?.dnsDomain ?? '', { held, waiting: created.store.retryCount, json });
    } finally {
      await created.close();
    }
  } finally {
    stop.dispose();
  }
}

/** SIGHUPs, one after another; those that come while keys are opened are one. */
class Reloads {
  readonly #file: string;
  readonly #log: ReturnType<typeof createLog>;
  #created: Pick<DomainServices, 'reloadKeys'> | undefined;
  #isAsked = false;
  #isRunning = false;

  constructor(file: string, log: ReturnType<typeof createLog>) {
    this.#file = file;
    this.#log = log;
  }

  /** One that came while the program began is done now: the file may have been read before. */
  begin(created: Pick<DomainServices, 'reloadKeys'>): void {
    this.#created = created;
    if (this.#isAsked) this.ask();
  }

  ask(): void {
    this.#isAsked = true;
    if (this.#created !== undefined && !this.#isRunning) void this.#run(this.#created);
  }

  async #run(created: Pick<DomainServices, 'reloadKeys'>): Promise<void> {
    this.#isRunning = true;
    while (this.#isAsked) {
      this.#isAsked = false;
      await this.#reload(created);
    }
    this.#isRunning = false;
  }

  async #reload(created: Pick<DomainServices, 'reloadKeys'>): Promise<void> {
    let why = 'the configuration cannot be read';
    try {
      const { keys } = await loadDomainServicesConfig(this.#file);
      why = 'the others cannot be opened';
      await created.reloadKeys(keys);
      this.#log.info(
        { event: 'keys-reloaded', keys: keys.length },
        'the keys were opened anew, and who waits is looked at again; whatever else the configuration has is read at the start',
      );
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      const facts = { event: 'keys-not-reloaded', code };
      this.#log.error(facts, `the keys in use stay as they are, since ${why}: ${message}`);
    }
  }
}

interface Ending {
  readonly held: { readonly gone: number; readonly all: number } | undefined;
  readonly waiting: number;
  readonly json: boolean;
}

function finish(counts: Counts, domain: string, { held, waiting, json }: Ending): void {
  const failed = waiting > 0 || held !== undefined;
  if (failed) process.exitCode = exitCodes.failed;
  if (json) {
    printJson({ done: !failed, domain, ...counts, waiting, heldDeletions: held ?? null });
    return;
  }
  process.stdout.write(`${summary(domain, counts)}\n`);
  if (waiting > 0) process.stderr.write(`phsync: ${counted(waiting, 'user')} in the retry queue; the log says why\n`);
  if (held !== undefined) {
    process.stderr.write(
      `phsync: ${count(held.gone)} of ${counted(held.all, 'user')} are not in the tenant and were not deleted, since so many ` +
        'at once are most likely a mistake: --allow-deletions deletes them\n',
    );
  }
}

const summary = (domain: string, counts: Counts): string =>
  [
    `${domain}: ${counted(counts.created, 'user')} made`,
    `${count(counts.updated)} changed`,
    `${count(counts.unchanged)} unchanged`,
    `${count(counts.deleted)} deleted`,
    `${counted(counts.passwordsWritten, 'password')} written`,
    `${count(counts.passwordsUnchanged)} unchanged`,
    ...(counts.passwordsOlder > 0 ? [`${count(counts.passwordsOlder)} older than the domain's`] : []),
    `${count(counts.failed)} failed`,
  ].join(', ');

async function dry(
  config: DomainServicesConfig,
  log: ReturnType<typeof createLog>,
  {
    signal,
    allowDeletions,
    json,
  }: { readonly signal: AbortSignal; readonly allowDeletions: boolean; readonly json: boolean },
): Promise<void> {
  const { domain, counts, held } = await rehearse(config, { log, signal, allowDeletions });
  if (counts.failed > 0 || held !== undefined) process.exitCode = exitCodes.failed;
  if (json) return printJson({ dryRun: true, domain, ...counts, heldDeletions: held ?? null });
  process.stdout.write(`nothing was changed; it would be: ${summary(domain, counts)}\n`);
  if (held === undefined) return;
  const { gone, all } = held;
  const threshold = `deletionThreshold ${count(config.deletionThreshold)}, half of ${count(all)}`;
  process.stdout.write(
    `${counted(gone, 'user')}, not in the tenant, would be held (${threshold}): --allow-deletions deletes them\n`,
  );
}

const AFTER_HELP = `
Runs as root on the domain controller of the managed domain. The log goes to standard error. A configuration, its paths
relative to the file:

  stateDir: /var/lib/phsync-domain-services
  tenant:
    url: https://tenant.example
    auth: { clientId: domain-services, clientSecret: { file: ./client-secret } }
  keys:
    - certificate: ./domain-services.pem
      privateKey: { file: ./domain-services.key, passphrase: { file: ./passphrase } }
  managedDomain: { type: samba }
  monitor: { port: 9466 }

A key in a PKCS #11 token: privateKey: { pkcs11: { module: /usr/lib/softhsm/libsofthsm2.so, token: LABEL, pin: { file: ./pin } } }`;

export function command(): Command {
  return new Command('domain-services')
    .description('the managed side of Domain Services: users and passwords of the tenant into a domain of its own')
    .option('--config <file>', 'domain-services.yaml, as below')
    .option('--once', 'read the feed to its end, then end; otherwise until SIGINT or SIGTERM')
    .option('--full', 'read the whole feed, as if nothing were known')
    .option('--allow-deletions', 'delete users whom the whole feed does not have, however many they are')
    .option('--dry-run', 'with --once: compare the whole feed with the domain, and change nothing')
    .option('--json', 'with --once: print one JSON document at the end')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options>, command: Command) => run(withConfig(options, command)));
}
