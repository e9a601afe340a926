/** The long poll beside the cycles: asks the tenant for passwords to set, over the agent's own outbound connection alone. */

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { PhsyncError } from '../../hasher/errors.js';
import { type HandOver, makeSealingKeys, type SealingKeys } from '../../provisioning/write-back.js';
import type { Clock } from '../clock.js';
import type { EventSink } from '../events/event.js';
import { type Handled, type HandlerOptions, handleWrite, type WritebackConnector } from './handle.js';
import type { WritebackTenant } from './tenant.js';

export interface WritebackSettings {
  /** Where there are none, nobody is asked. */
  readonly connectors: readonly WritebackConnector[];
  readonly tenant: WritebackTenant;
}

export interface WritebackLoopOptions extends Omit<HandlerOptions, 'now'> {
  readonly clock: Clock;
  readonly events: EventSink;
  readonly log: Logger;
  /** Brings tenant and directory together again, soon. */
  readonly syncObject: (changed: { readonly connector: string; readonly guid: string }) => Promise<unknown>;
}

/** Passwords that are set at the same time; further ones wait at the tenant, or go to another agent. */
const AT_ONCE = 4;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;
/** A synchronization that takes longer is not waited for. */
const QUIET_MS = 3000;
/** Somebody may switch it on. */
const FEATURE_OFF_MS = 60_000;

export class WritebackLoop {
  readonly #options: WritebackLoopOptions;
  readonly #instance = randomUUID();
  #settings: WritebackSettings;
  /** Ends the poll or the wait that is under way, to begin anew. */
  #again = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  /** Objects on their way to the tenant after a password was set, by GUID. */
  readonly #syncing = new Map<string, Promise<unknown>>();
  /** The last failure, so that it is told once and not with each poll. */
  #told: string | undefined;

  constructor(settings: WritebackSettings, options: WritebackLoopOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  /** What is under way ends with the former settings; the caller closes their tenant when it resolves. */
  async reconfigure(settings: WritebackSettings): Promise<void> {
    this.#settings = settings;
    this.#again.abort();
    this.#again = new AbortController();
    await Promise.all(this.#underWay);
  }

  /** Until the signal aborts; then lets the passwords that are being set come to their end. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { events } = this.#options;
    const keys = await makeSealingKeys();
    events.emit(31018);
    let running = false;
    let failures = 0;
    while (!signal.aborted) {
      const again = AbortSignal.any([signal, this.#again.signal]);
      const { connectors, tenant } = this.#settings;
      if (running !== connectors.length > 0) {
        running = !running;
        events.emit(running ? 31015 : 31016, { connectors: connectors.length });
      }
      if (!running) {
        await aborted(again);
        continue;
      }
      if (this.#underWay.size >= AT_ONCE) {
        await Promise.race([...this.#underWay, aborted(again)]);
        continue;
      }
      const poll = {
        instance: this.#instance,
        key: keys.publicKey,
        domains: [...new Set(connectors.map(({ directory }) => directory.domain))],
      };
      try {
        const handOver = await tenant.next(poll, again);
        failures = 0;
        this.#recovered();
        if (handOver !== undefined) this.#take(handOver, keys, this.#settings);
      } catch (error) {
        if (again.aborted) continue;
        failures++;
        await this.#options.clock.sleep(this.#waitAfter(error, failures), again);
      }
    }
    await Promise.all(this.#underWay);
    if (running) events.emit(31016, { connectors: 0 });
  }

  #take(handOver: HandOver, keys: SealingKeys, { connectors, tenant }: WritebackSettings): void {
    const { clock, log } = this.#options;
    const work = async () => {
      const handled: Handled = await handleWrite(handOver, keys, connectors, {
        ...this.#options,
        now: () => clock.now(),
        quiet: (guid) => this.#quiet(guid),
      });
      const { outcome, changed } = handled;
      try {
        const taken = await tenant.result(handOver.id, { instance: this.#instance, outcome });
        if (!taken) log.warn({ requestId: handOver.id }, 'password write-back: nobody waits for the result any more');
      } catch (error) {
        log.warn(
          { requestId: handOver.id, code: codeOf(error) },
          'password write-back: the tenant does not take the result',
        );
      }
      if (changed !== undefined) {
        // Not waited for: it may have to wait for a cycle.
        this.#sync(changed);
      }
    };
    const task: Promise<void> = work()
      .catch((err: unknown) => log.error({ err }, 'password write-back failed'))
      .finally(() => this.#underWay.delete(task));
    this.#underWay.add(task);
  }

  #sync(changed: NonNullable<Handled['changed']>): void {
    const { log, syncObject } = this.#options;
    const { guid } = changed;
    const task: Promise<void> = syncObject(changed)
      .then(
        () => undefined,
        (error: unknown) =>
          log.debug({ code: codeOf(error), ...changed }, 'password write-back: left to the next cycle'),
      )
      .finally(() => {
        if (this.#syncing.get(guid) === task) this.#syncing.delete(guid);
      });
    this.#syncing.set(guid, task);
  }

  /**
   * Times of changes are whole seconds: a password that was read before the next one was set, and arrives after it, would
   * stand in the tenant until the next cycle.
   */
  async #quiet(guid: string): Promise<void> {
    const task = this.#syncing.get(guid);
    if (task === undefined) return;
    const over = new AbortController();
    await Promise.race([task, this.#options.clock.sleep(QUIET_MS, over.signal)]);
    over.abort();
  }

  #recovered(): void {
    if (this.#told === undefined) return;
    this.#told = undefined;
    this.#options.log.info('password write-back: the tenant is asked again');
  }

  /** Milliseconds; with jitter, so that the agents of a tenant that comes back do not come all at once. */
  #waitAfter(error: unknown, failures: number): number {
    const { events, random } = this.#options;
    const code = codeOf(error);
    if (code !== this.#told) {
      this.#told = code;
      const message = error instanceof Error ? error.message : String(error);
      events.emit(code === 'writeback-feature-off' ? 32005 : 32014, { code, message });
    }
    const asked = error instanceof PhsyncError ? error.facts.retryAfterMs : undefined;
    const growing = Math.min(FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10), LONGEST_WAIT_MS);
    const wait = code === 'writeback-feature-off' ? FEATURE_OFF_MS : Math.max(growing, Number(asked ?? 0));
    return wait * (0.5 + random() / 2);
  }
}

function codeOf(error: unknown): string {
  return error instanceof PhsyncError ? error.code : error instanceof Error ? error.name : 'unknown';
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
