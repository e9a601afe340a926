/** `phsync agent` as a service: cycles until it is told to stop, a control socket, a configuration that can be reloaded. */

import type { Logger } from 'pino';
import { systemClock } from '../../agent/clock.js';
import { type AgentConfig, loadAgentConfig } from '../../agent/config.js';
import { type ControlServer, startControlServer } from '../../agent/control/server.js';
import { type CreatedAgent, createAgent } from '../../agent/create-agent.js';
import { EventLog } from '../../agent/events/event-log.js';
import { stopSignal } from '../stop-signal.js';

/** A stop is over within ten seconds, whoever does not answer. */
export const STOP_MS = 9500;

export interface ServiceOptions {
  /** agent.yaml, to be read again at SIGHUP. */
  readonly file: string;
  readonly config: AgentConfig;
  readonly log: Logger;
  readonly full: boolean;
  readonly allowDeletions: boolean;
}

/** Resolves after a clean stop. Rejects where the agent cannot start. */
export async function runService({ file, config, log, full, allowDeletions }: ServiceOptions): Promise<void> {
  const created = await start(config, log);
  const { agent, events } = created;
  const reloads = new Reloads(file, created, log);
  const stop = stopSignal({
    onReload: () => reloads.ask(),
    deadline: {
      ms: STOP_MS,
      giveUp() {
        events.emit(610, { seconds: STOP_MS / 1000, reason: 'what was under way took too long and is given up' });
        created.flush();
      },
    },
  });
  stop.signal.addEventListener('abort', () => events.emit(602), { once: true });
  let control: ControlServer | undefined;
  try {
    announce(created, config, log);
    events.emit(601, { connectors: config.connectors.length });
    control = await startControlServer(
      config.stateDir,
      {
        status: () => agent.status(),
        full: (request) => ({ connectors: agent.demandFull(request) }),
        syncObject: (request) => agent.syncObject(request),
      },
      log,
    ).catch((error: Error & { code?: string }) => {
      log.warn({ code: error.code }, `${error.message}; it runs without`);
      return undefined;
    });
    await Promise.all([
      agent.run({ signal: stop.signal, full, allowDeletions }),
      // Beside the cycles, and for as long as they go on.
      created.writeBack(stop.signal),
    ]);
    await control?.close();
    events.emit(609);
    log.info('agent ends');
  } finally {
    await control?.close();
    await created.close();
    stop.dispose();
  }
}

/** 607 goes to the log alone: the state may be what cannot be opened. */
async function start(config: AgentConfig, log: Logger): Promise<CreatedAgent> {
  try {
    return await createAgent(config, { log, monitored: true });
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const events = new EventLog({ log, store: undefined, clock: systemClock });
    if (code === 'config-fips') events.emit(667, { code, message });
    events.emit(607, { code, message });
    throw error;
  }
}

export function announce({ hasher }: CreatedAgent, { connectors }: AgentConfig, log: Logger): void {
  const { backend, kernel, threads } = hasher;
  log.info({ backend, kernel, threads, connectors: connectors.map(({ name }) => name) }, 'agent starts');
  if (!connectors.some(({ enabled }) => enabled)) log.warn('no connector is enabled');
}

/** SIGHUPs, one after another; those that come while one is read are one. */
class Reloads {
  readonly #file: string;
  readonly #created: CreatedAgent;
  readonly #log: Logger;
  #running = false;
  #again = false;

  constructor(file: string, created: CreatedAgent, log: Logger) {
    this.#file = file;
    this.#created = created;
    this.#log = log;
  }

  ask(): void {
    this.#again = true;
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#again) {
      this.#again = false;
      await this.#reload();
    }
    this.#running = false;
  }

  #failed(task: string, error: unknown): void {
    const { code, message } = error as Error & { code?: string };
    this.#created.events.emit(604, { task, code, message });
  }

  async #reload(): Promise<void> {
    const log = this.#log;
    try {
      const config = await loadAgentConfig(this.#file);
      const { taken } = await this.#created.reconfigure(config);
      log.level = config.logLevel;
      log.info({ connectors: config.connectors.map(({ name }) => name) }, 'configuration reloaded');
      taken.catch((error: unknown) => this.#failed('taking up the new configuration', error));
    } catch (error) {
      this.#failed('reloading the configuration: the former one goes on', error);
    }
  }
}
