/** What the tenant's processes tell one another about write-back: over PostgreSQL's LISTEN and NOTIFY, nothing of it a row. */

import pg from 'pg';
import type { Logger } from 'pino';
import { z } from 'zod';
import { MAX_SEALED, outcomeSchema } from '../../provisioning/write-back.js';

const process = z.uuid();
const id = z.uuid();
const agent = z.string().length(43);

/** Request `id` lives in the process that serves the person, its `owner`; the others carry. */
const messageSchema = z.discriminatedUnion('type', [
  /** To all: which of these agents polls at you? */
  z.strictObject({ type: z.literal('offer'), id, owner: process, agents: z.array(agent).max(8), expires: z.int() }),
  /** To all, or to one that claimed it: it is taken, or over. */
  z.strictObject({ type: z.literal('closed'), id, to: process.optional() }),
  /** To the owner: this agent waits at mine. */
  z.strictObject({ type: z.literal('claim'), id, to: process, agent, by: process }),
  /** To the claimant: hand it over. */
  z.strictObject({ type: z.literal('grant'), id, to: process, agent, sealed: z.string().max(MAX_SEALED) }),
  /** To the owner: the agent was gone before it had the request. */
  z.strictObject({ type: z.literal('decline'), id, to: process, agent }),
  /** To all: the agent has answered here. */
  z.strictObject({ type: z.literal('result'), id, agent, by: process, outcome: outcomeSchema }),
  /** To the one where it answered. */
  z.strictObject({ type: z.literal('taken'), id, to: process }),
]);
export type BusMessage = z.output<typeof messageSchema>;

export interface Bus {
  /** Nobody else can be there. */
  readonly alone: boolean;
  /** Resolves when the message is on its way; never rejects. It is not handed back to the sender. */
  publish(message: BusMessage): Promise<void>;
  listen(onMessage: (message: BusMessage) => void): void;
  close(): Promise<void>;
}

/** Of a tenant that is one process. */
export const noBus: Bus = {
  alone: true,
  publish: async () => undefined,
  listen: () => undefined,
  close: async () => undefined,
};

const CHANNEL = 'phsync_password_writeback';
/** NOTIFY takes less than 8000 bytes. */
const MAX_PAYLOAD = 7900;
const RECONNECT_MS = 1000;
const LONGEST_RECONNECT_MS = 30_000;

export interface PostgresBusOptions {
  readonly pool: pg.Pool;
  readonly tenantId: string;
  /** This process. */
  readonly sender: string;
  readonly log: Logger;
}

const envelopeSchema = z.strictObject({ tenant: z.string(), from: process, message: messageSchema });

/** A connection of its own listens, and comes back when it breaks; what is said meanwhile is lost, and times out. */
export class PostgresBus implements Bus {
  readonly alone = false;
  readonly #options: PostgresBusOptions;
  #client: pg.Client | undefined;
  #onMessage: ((message: BusMessage) => void) | undefined;
  #retry: NodeJS.Timeout | undefined;
  #waitMs = RECONNECT_MS;
  #closed = false;
  #connecting: Promise<void> = Promise.resolve();

  constructor(options: PostgresBusOptions) {
    this.#options = options;
  }

  async publish(message: BusMessage): Promise<void> {
    const { pool, tenantId: tenant, sender: from, log } = this.#options;
    const payload = JSON.stringify({ tenant, from, message } satisfies z.output<typeof envelopeSchema>);
    try {
      if (Buffer.byteLength(payload) > MAX_PAYLOAD) throw new RangeError(`a ${message.type} is too long for NOTIFY`);
      await pool.query('SELECT pg_notify($1, $2)', [CHANNEL, payload]);
    } catch (error) {
      const { code, message: reason } = error as Error & { code?: string };
      log.warn({ code, reason, type: message.type }, 'password write-back: the other processes are not told');
    }
  }

  listen(onMessage: (message: BusMessage) => void): void {
    this.#onMessage = onMessage;
    this.#connecting = this.#connect();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#connecting;
    await this.#client?.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    if (this.#closed) return;
    const { pool, log } = this.#options;
    const client = new pg.Client({ ...pool.options, keepAlive: true });
    let lost = false;
    const again = (error?: Error) => {
      if (lost) return;
      lost = true;
      this.#client = undefined;
      client.removeAllListeners('notification');
      client.end().catch(() => undefined);
      if (this.#closed) return;
      const { code } = (error ?? {}) as { code?: string };
      log.warn({ code, waitMs: this.#waitMs }, 'password write-back: the connection to the other processes broke');
      this.#retry = setTimeout(() => {
        this.#connecting = this.#connect();
      }, this.#waitMs).unref();
      this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_RECONNECT_MS);
    };
    client.on('error', again);
    client.on('end', again);
    client.on('notification', ({ payload }) => this.#take(payload));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      this.#client = client;
      this.#waitMs = RECONNECT_MS;
    } catch (error) {
      again(error as Error);
    }
  }

  #take(payload: string | undefined): void {
    const { tenantId, sender, log } = this.#options;
    let envelope: z.output<typeof envelopeSchema>;
    try {
      envelope = envelopeSchema.parse(JSON.parse(payload ?? ''));
    } catch {
      // Another version's, or somebody else's on this channel: not to be quoted.
      log.warn('password write-back: a message of another process cannot be read');
      return;
    }
    if (envelope.tenant === tenantId && envelope.from !== sender) this.#onMessage?.(envelope.message);
  }
}
