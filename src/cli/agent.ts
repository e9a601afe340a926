/** `phsync agent`: pulls changed passwords from the directories and sends them to the tenant, once or every two minutes. */

import { Command } from 'commander';
import type { CycleReport, CycleRequest } from '../agent/agent.js';
import { type AgentConfig, loadAgentConfig } from '../agent/config.js';
import { askAgent } from '../agent/control/client.js';
import { type CreatedAgent, createAgent } from '../agent/create-agent.js';
import { PhsyncError } from '../hasher/errors.js';
import { createLog } from '../log/log.js';
import { announce, runService, STOP_MS } from './agent/service.js';
import { dryRun } from './dry-run.js';
import { keepHeapSmall } from './heap.js';
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

async function run(options: Options): Promise<void> {
  if (options.json && !options.once) {
    throw new PhsyncError('usage-json', '--json goes with --once: a loop has no end at which to print its document');
  }
  if (options.dryRun && !options.once) {
    throw new PhsyncError('usage-dry-run', '--dry-run goes with --once: it tells what one cycle would send');
  }
  keepHeapSmall();
  const config = await loadAgentConfig(options.config);
  if (options.dryRun) return rehearse(config, options);
  const log = createLog(config.logLevel);
  const { full = false, allowDeletions = false } = options;
  if (!options.once) {
    if (full && (await demandFull(config))) return;
    await runService({ file: options.config, config, log, full, allowDeletions });
    return;
  }
  const created = await createAgent(config, { log });
  const stop = stopSignal({
    deadline: { ms: STOP_MS, giveUp: () => log.warn('what was under way took too long and is given up') },
  });
  try {
    announce(created, config, log);
    const { signal } = stop;
    finish(await cycleOnce(created, { signal, full, allowDeletions }), signal, options);
  } finally {
    await created.close();
    stop.dispose();
  }
}

/** False: no agent runs on this state. */
async function demandFull({ stateDir }: AgentConfig): Promise<boolean> {
  const asked = await askAgent(stateDir, 'full', {});
  if (asked === undefined) return false;
  process.stdout.write(`the running agent begins a full synchronization: ${asked.connectors.join(', ')}\n`);
  return true;
}

async function rehearse(config: AgentConfig, { full = false, allowDeletions = false, json = false }: Options) {
  const stop = stopSignal();
  try {
    await dryRun(config, { signal: stop.signal, full, allowDeletions }, json);
  } finally {
    stop.dispose();
  }
}

/** Stopped before any directory was asked: no reports, and no failure either. */
async function cycleOnce({ agent }: CreatedAgent, request: CycleRequest): Promise<CycleReport[]> {
  try {
    return await agent.cycle(request);
  } catch (error) {
    if (request.signal.aborted) return [];
    throw error;
  }
}

function finish(reports: readonly CycleReport[], signal: AbortSignal, options: Options): void {
  const failed = reports.some((report) => report.error !== undefined || report.failed > 0);
  if (failed) process.exitCode = exitCodes.failed;
  if (options.json) {
    printJson({ done: !failed && !signal.aborted, connectors: reports });
    return;
  }
  for (const report of reports) {
    const complaint = complaintOf(report);
    if (report.error === undefined) process.stdout.write(`${summaryOf(report, signal.aborted)}\n`);
    if (complaint !== undefined) process.stderr.write(`phsync: connector ${report.connector}: ${complaint}\n`);
  }
}

function summaryOf(report: CycleReport, stopped: boolean): string {
  const { connector, inScope, credentialsSent, deleted, seconds } = report;
  return [
    `${connector}: ${report.staging ? 'staging mode, nothing sent: ' : ''}${counted(inScope, 'user')} in scope looked at`,
    ...(report.filteredByRule > 0 ? [`${count(report.filteredByRule)} left out by adminDescription`] : []),
    ...(report.skipped > 0 ? [`${count(report.skipped)} unchanged`] : []),
    `${counted(credentialsSent, 'password')} sent${report.sealed > 0 ? ` (${count(report.sealed)} with keys for Domain Services)` : ''}`,
    `${count(report.filtered)} must change theirs first`,
    `${count(report.noPassword)} without password`,
    ...(deleted > 0 ? [`${count(deleted)} deleted`] : []),
    `${count(report.failed)} failed`,
    `${seconds.toFixed(1)} s`,
    ...(stopped ? ['stopped before the end'] : []),
  ].join(', ');
}

function complaintOf({ error, failed, firstReason }: CycleReport): string | undefined {
  if (error !== undefined) return error.message;
  if (failed === 0) return undefined;
  const who = failed === 1 ? '1 user was not taken and stands' : `${count(failed)} users were not taken, they stand`;
  return `${who} in the retry queue; first reason: ${firstReason}`;
}

const AFTER_HELP = `
The log goes to standard error. A configuration, its paths relative to the file:

  stateDir: ./agent-state
  tenant:
    url: https://127.0.0.1:8443/provisioningservice.svc
    ca: ./tenant-state/ca.pem
    auth: { clientId: agent-1, clientSecret: { file: ./client-secret } }
  connectors:
    - name: phs.test
      directory:
        type: drs
        server: dc1.phs.test
        domain: phs.test
        auth: { mechanism: negotiate, user: phs.sync, password: { file: ./ad-password } }

The account needs Replicating Directory Changes and Replicating Directory Changes All on the domain.`;

export function command(): Command {
  return new Command('agent')
    .description('the agent: sends users and password credentials from the directories to the tenant')
    .option('--config <file>', 'agent.yaml, as below')
    .option(
      '--once',
      'one cycle, then end; otherwise one every two minutes until SIGINT or SIGTERM; SIGHUP reloads the file',
    )
    .option(
      '--full',
      'send every user and password again, acknowledged or not; an agent that runs already does it at once',
    )
    .option('--allow-deletions', "delete users beyond the tenant's threshold of accidental deletions, this once")
    .option('--dry-run', 'with --once: print what would be sent, and send nothing; an agent may run meanwhile')
    .option('--json', 'with --once: print one JSON document at the end')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options>, command: Command) => run(withConfig(options, command)));
}
