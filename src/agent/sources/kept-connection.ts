/** A connection to a domain controller that is kept between calls, and made anew where it died or its ticket ended. */

import { PhsyncError } from '../../hasher/errors.js';
import type { DrsClient } from '../../protocol/drsr/drs-client.js';
import { type DrsConnection, type DrsConnectionOptions, errorFacts, idleTimeoutOf } from './drs-connection.js';
import type { DrsStage } from './drs-error-facts.js';
import { drsError, isConnectionLost, isRefusal } from './drs-errors.js';
import { limitTime } from './time-limit.js';

export interface KeptConnectionOptions {
  readonly drs: DrsConnectionOptions;
  /** The directory, as errors name it. */
  readonly description: string;
  readonly connect: (signal: AbortSignal | undefined) => Promise<DrsConnection>;
  /** What the former connection was told holds no longer; before a new one is made. */
  readonly onRenewal: () => void;
}

export interface CallOptions {
  readonly stage: DrsStage;
  /** May be made once more, on a new connection, where the kept one had died. */
  readonly mayReconnect: boolean;
  readonly signal: AbortSignal | undefined;
}

export class KeptConnection {
  readonly #options: KeptConnectionOptions;
  #current: Promise<DrsConnection> | undefined;
  /** Of the kept connection's ticket. */
  #expires: Date | undefined;
  #closed = false;

  constructor(options: KeptConnectionOptions) {
    this.#options = options;
  }

  /** False: the next call makes a new one. */
  get isOpen(): boolean {
    return this.#current !== undefined;
  }

  /**
   * Runs on the kept connection, or a new one. A kept connection may have died since: with `mayReconnect` the call is
   * then made once more on a new one, unless `run` has said that it lives: what it was told then may be in use. A
   * connection that failed otherwise than by a refusal is given up.
   */
  async call<T>(options: CallOptions, run: (client: DrsClient, lives: () => void) => Promise<T>): Promise<T> {
    const { stage, mayReconnect, signal } = options;
    const { drs } = this.#options;
    signal?.throwIfAborted();
    if (mayReconnect) this.dropExpired();
    let kept = this.#current;
    const lives = () => {
      kept = undefined;
    };
    const current = this.#open(signal);
    const connection = await current;
    const abort = () => connection.close();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await limitTime(idleTimeoutOf(drs), () => run(connection.client, lives), abort);
    } catch (error) {
      if (!isRefusal(error)) this.#giveUp(current, connection);
      signal?.throwIfAborted();
      if (!(mayReconnect && kept === current && isConnectionLost(error))) {
        throw drsError(error, errorFacts(drs, stage));
      }
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    return this.call({ ...options, mayReconnect: false }, run);
  }

  /** What began with a ticket goes on without it; what begins anew does so with fresh tickets. */
  dropExpired(): void {
    if (this.#expires === undefined || this.#expires.getTime() > Date.now()) return;
    void this.#drop();
  }

  /** For good: calls after it reject with `source-closed`. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#drop();
  }

  #open(signal: AbortSignal | undefined): Promise<DrsConnection> {
    const { description, connect, onRenewal } = this.#options;
    if (this.#closed) return Promise.reject(new PhsyncError('source-closed', `the source ${description} was closed`));
    if (this.#current === undefined) {
      onRenewal();
      const opening = connect(signal).then((connection) => {
        this.#expires = connection.expires;
        return connection;
      });
      opening.catch(() => {
        if (this.#current === opening) this.#current = undefined;
      });
      this.#current = opening;
    }
    return this.#current;
  }

  async #drop(): Promise<void> {
    const connection = this.#current;
    this.#current = undefined;
    this.#expires = undefined;
    // One that never came up has told whoever waited for it.
    await connection?.then(
      (open) => open.close(),
      () => undefined,
    );
  }

  #giveUp(opened: Promise<DrsConnection>, connection: DrsConnection): void {
    if (this.#current === opened) this.#current = undefined;
    connection.close();
  }
}
