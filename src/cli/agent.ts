/** `phsync agent`: pulls changed passwords from the directories and sends them to the tenant, once or every two minutes. */

import { Command } from 'commander';
import { pino } from 'pino';
import type { CycleReport, CycleRequest } from '../agent/agent.js';
import { systemClock } from '../agent/clock.js';
import { loadAgentConfig } from '../agent/config.js';
import { type CreatedAgent, createAgent } from '../agent/create-agent.js';
import { runEveryTwoMinutes } from '../agent/scheduler.js';
import { keepHeapSmall } from './heap.js';
import { exitCodes, printJson } from './output.js';
import { withConfig } from './required-config.js';
import { stopSignal } from './stop-signal.js';

interface Options {
  readonly config: string;
  readonly once?: boolean;
  readonly full?: boolean;
  readonly allowDeletions?: boolean;
  readonly json?: boolean;
}

async function run(options: Options): Promise<void> {
  keepHeapSmall();
  const config = await loadAgentConfig(options.config);
  const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const created = await createAgent(config, { log });
  const stop = stopSignal();
  try {
    const { backend, kernel, threads } = created.hasher;
    log.info({ backend, kernel, threads, connectors: config.connectors.map(({ name }) => name) }, 'agent starts');
    const { signal } = stop;
    const { full = false, allowDeletions = false } = options;
    const request = { signal, full, allowDeletions };
    if (options.once) finish(await cycleOnce(created, request), signal, options);
    else await schedule(created.agent, log, request);
  } finally {
    stop.dispose();
    await created.close();
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

async function schedule(agent: CreatedAgent['agent'], log: pino.Logger, request: CycleRequest): Promise<void> {
  const { signal } = request;
  let next = request;
  const cycle = async () => {
    try {
      const reports = await agent.cycle(next);
      // One that failed on its way starts over: behind its cookie stand users who have not been sent again.
      if (reports.every(({ error }) => error === undefined)) next = { signal };
    } catch (error) {
      if (signal.aborted) return;
      const { code, message } = error as Error & { code?: string };
      log.error({ code, message }, 'cycle failed: the tenant could not be asked; trying again at the next one');
    }
  };
  await runEveryTwoMinutes(cycle, systemClock, signal);
  log.info('agent ends');
}

function finish(reports: readonly CycleReport[], signal: AbortSignal, options: Options): void {
  const failed = reports.filter(({ error }) => error !== undefined);
  if (options.json) {
    printJson({ done: failed.length === 0 && !signal.aborted, connectors: reports });
  }
  if (failed.length === 0) return;
  process.exitCode = exitCodes.failed;
  if (options.json) return;
  for (const { connector, error } of failed) {
    process.stderr.write(`phsync: connector ${connector}: ${error!.message}\n`);
  }
}

const AFTER_HELP = `
The log goes to standard error. A configuration, its paths relative to the file:

  stateDir: ./agent-state
  tenant:
    url: https://127.0.0.1:8443/provisioningservice.svc
    ca: ./tenant-state/ca.pem
    auth: { clientId: agent-1, clientSecret: { env: PHSYNC_AGENT_SECRET } }   # or { file: PATH }
  connectors:
    - name: phs.test
      directory:
        type: drs
        server: dc1.phs.test
        domain: phs.test
        auth: { mechanism: ntlm, user: phs.sync, password: { env: PHSYNC_AD_PASSWORD } }

The account needs Replicating Directory Changes and Replicating Directory Changes All on the domain.`;

export function command(): Command {
  return new Command('agent')
    .description('the agent: sends users and password credentials from the directories to the tenant')
    .option('--config <file>', 'agent.yaml, as below')
    .option('--once', 'one cycle, then end; otherwise one every two minutes until SIGINT or SIGTERM')
    .option('--full', 'send every user and password again, acknowledged or not')
    .option('--allow-deletions', "delete users beyond the tenant's threshold of accidental deletions, this once")
    .option('--json', 'with --once: print one JSON document at the end')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options>, command: Command) => run(withConfig(options, command)));
}
