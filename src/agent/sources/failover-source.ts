/** A domain as a source, whichever of its domain controllers answers: the best one first, another one when that fails. */

import type { Logger } from 'pino';
import { PhsyncError } from '../../hasher/errors.js';
import type { Clock } from '../clock.js';
import type { EventSink } from '../events/event.js';
import type { Cookie, DirectoryPage, DirectorySource, ReadOptions } from '../source.js';
import type { DomainController } from './dc-locator.js';
import { SessionKeys } from './session-keys.js';

/** A better domain controller than the one in use is tried again so often; one that failed waits so long. */
const FAIL_BACK_MS = 10 * 60_000;

/** What another domain controller may do better. Not a refused logon: tried at each of them, it locks the account. */
const FAIL_OVER: ReadonlySet<string> = new Set([
  'dc-busy',
  'dc-clock-skew',
  'dc-connection-lost',
  'dc-kdc-unreachable',
  'dc-name-unknown',
  'dc-no-replication-service',
  'dc-protocol-error',
  'dc-spn-unknown',
  'dc-timeout',
  'dc-unreachable',
  'dc-wrong-domain',
]);

export interface FailoverOptions {
  /** Asked for each new choice; at least one. */
  readonly locate: () => Promise<readonly DomainController[]>;
  /** The source leaves its session keys in `keys`, which it does not wipe. */
  readonly open: (
    controller: DomainController,
    keys: SessionKeys,
    signal: AbortSignal | undefined,
  ) => Promise<DirectorySource>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventSink;
}

interface Chosen {
  readonly controller: DomainController;
  readonly source: DirectorySource;
}

/** Rejects with a PhsyncError: why the only one, or each of them, could not be used. */
export async function openFailoverSource(
  options: FailoverOptions,
  signal: AbortSignal | undefined,
): Promise<DirectorySource> {
  const source = new FailoverSource(options);
  await source.connect(signal);
  return source;
}

class FailoverSource implements DirectorySource {
  readonly kind = 'drs';
  readonly #options: FailoverOptions;
  /** Shared: pages of one domain controller may be under way while another one is asked already. */
  readonly #keys = new SessionKeys();
  #chosen: Chosen | undefined;
  /** The chosen one, or the one before it. */
  #last: Chosen | undefined;
  /** Server (lower case) → when it failed. */
  readonly #failures = new Map<string, number>();
  /** Connected in the background, for the next cycle. */
  #better: Promise<Chosen | undefined> | undefined;
  #ready: Chosen | undefined;
  #triedAt: number;
  readonly #closing = new AbortController();

  constructor(options: FailoverOptions) {
    this.#options = options;
    this.#triedAt = options.clock.now();
  }

  get description(): string {
    return this.#last!.source.description;
  }

  get domain(): DirectorySource['domain'] {
    return this.#last!.source.domain;
  }

  async connect(signal: AbortSignal | undefined): Promise<Chosen> {
    return this.#connect(new Map(), signal);
  }

  async *pages(
    cookie: Cookie | undefined,
    signal?: AbortSignal,
    options?: ReadOptions,
  ): AsyncGenerator<DirectoryPage, void> {
    await this.#failBack();
    const failed = new Map<string, unknown>();
    let position = cookie;
    for (;;) {
      const chosen = this.#chosen ?? (await this.#connect(failed, signal));
      try {
        for await (const page of chosen.source.pages(position, signal, options)) {
          position = page.cookie;
          yield page;
        }
        return;
      } catch (error) {
        // An object that was read meanwhile has found the next one: the page that was under way ended with the former.
        const hasFailedOver = this.#chosen !== undefined && this.#chosen !== chosen;
        if (!hasFailedOver || signal?.aborted) await this.#failOver(chosen, error, failed, signal);
      }
    }
  }

  async object(
    reference: { readonly guid: string } | { readonly dn: string },
    signal?: AbortSignal,
    options?: ReadOptions,
  ): Promise<DirectoryPage> {
    const failed = new Map<string, unknown>();
    for (;;) {
      const chosen = this.#chosen ?? (await this.#connect(failed, signal));
      try {
        return await chosen.source.object(reference, signal, options);
      } catch (error) {
        await this.#failOver(chosen, error, failed, signal);
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const better = await this.#better;
    await Promise.all([better?.source.close(), this.#ready?.source.close(), this.#chosen?.source.close()]);
    this.#chosen = undefined;
    this.#keys.wipe();
  }

  /** Rethrows what no other domain controller can do better, or where there is none that has not failed by now. */
  async #failOver(
    chosen: Chosen,
    error: unknown,
    failed: Map<string, unknown>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (signal?.aborted || !mayFailOver(error)) throw error;
    this.#note(chosen.controller, error, failed);
    // Where it is the only one, the next cycle tries it again, wherever it is by then.
    this.#chosen = undefined;
    await this.#close(chosen);
    await this.#connect(failed, signal);
  }

  async #connect(failed: Map<string, unknown>, signal: AbortSignal | undefined): Promise<Chosen> {
    if (this.#closing.signal.aborted) throw new PhsyncError('source-closed', 'the source was closed');
    for (const controller of this.#inOrder(await this.#options.locate())) {
      if (failed.has(keyOf(controller))) continue;
      try {
        return this.#take({ controller, source: await this.#options.open(controller, this.#keys, signal) });
      } catch (error) {
        if (signal?.aborted || !mayFailOver(error)) throw error;
        this.#note(controller, error, failed);
      }
    }
    throw failed.size === 1 ? [...failed.values()][0] : allFailed(failed);
  }

  #take(chosen: Chosen): Chosen {
    const former = this.#last;
    this.#chosen = chosen;
    this.#last = chosen;
    this.#failures.delete(keyOf(chosen.controller));
    if (former !== undefined && keyOf(former.controller) !== keyOf(chosen.controller)) {
      this.#options.log.warn(
        { from: former.controller.server, to: chosen.controller.server },
        'another domain controller is asked from here on',
      );
    }
    return chosen;
  }

  /** Those that failed a short while ago come last: each of them may take the whole of a connection's timeout. */
  #inOrder(controllers: readonly DomainController[]): DomainController[] {
    const since = this.#options.clock.now() - FAIL_BACK_MS;
    const failedLately = (each: DomainController) =>
      (this.#failures.get(keyOf(each)) ?? Number.NEGATIVE_INFINITY) > since;
    return [...controllers.filter((each) => !failedLately(each)), ...controllers.filter(failedLately)];
  }

  #note(controller: DomainController, error: unknown, failed: Map<string, unknown>): void {
    const { clock, events, log } = this.#options;
    const { code, message } = error as PhsyncError;
    failed.set(keyOf(controller), error);
    this.#failures.set(keyOf(controller), clock.now());
    const { server } = controller;
    if (controller.listed) events.emit(616, { server, code, message });
    else log.warn({ server, code, reason: message }, 'a domain controller cannot be used');
  }

  /** At the start of a cycle: takes a better domain controller that has answered meanwhile, or has it looked for. */
  async #failBack(): Promise<void> {
    const { clock } = this.#options;
    const ready = this.#ready;
    if (ready !== undefined) {
      this.#ready = undefined;
      const former = this.#chosen;
      this.#take(ready);
      if (former !== undefined) await this.#close(former);
      return;
    }
    const chosen = this.#chosen;
    const now = clock.now();
    // A clock that was set back must not put it off for long.
    const due = now - this.#triedAt >= FAIL_BACK_MS || now < this.#triedAt;
    if (chosen === undefined || chosen.controller.rank === 0 || this.#better !== undefined || !due) return;
    this.#triedAt = now;
    // Beside the cycle, which it shall not hold up; the next one has it.
    this.#better = this.#findBetter(chosen.controller).finally(() => {
      this.#better = undefined;
    });
  }

  /** Never rejects. */
  async #findBetter({ rank }: DomainController): Promise<Chosen | undefined> {
    const { signal } = this.#closing;
    try {
      for (const controller of await this.#options.locate()) {
        if (controller.rank >= rank) continue;
        try {
          const source = await this.#options.open(controller, this.#keys, signal);
          this.#ready = { controller, source };
          return this.#ready;
        } catch (error) {
          if (signal.aborted) return undefined;
          this.#note(controller, error, new Map());
        }
      }
    } catch (error) {
      this.#options.log.debug({ err: error }, 'looking for a better domain controller failed');
    }
    return undefined;
  }

  async #close({ source }: Chosen): Promise<void> {
    await source.close().catch((error: unknown) => this.#options.log.debug({ err: error }, 'closing failed'));
  }
}

function mayFailOver(error: unknown): boolean {
  if (!(error instanceof PhsyncError)) return false;
  // Of one object it is a refusal, and another domain controller would say the same.
  const isBroken = error.code === 'dc-replication-failed' && error.facts.stage === 'replicate';
  return FAIL_OVER.has(error.code) || isBroken;
}

const keyOf = ({ server }: DomainController): string => server.toLowerCase();

/** With the code of the first, which was the best. */
function allFailed(failed: ReadonlyMap<string, unknown>): PhsyncError {
  const errors = [...failed.values()] as PhsyncError[];
  const [first] = errors;
  return new PhsyncError(
    first!.code,
    `none of ${failed.size} domain controllers can be used: ${errors.map(({ message }) => message).join('; ')}`,
    { cause: first, facts: { ...first!.facts, servers: [...failed.keys()].join(', ') } },
  );
}
