/** Brings a sealed request to one agent and its answer back, in memory alone; the agent may poll at another process. */

import { randomUUID } from 'node:crypto';
import type { HandOver, WriteOutcome } from '../../provisioning/write-back.js';
import type { Bus, BusMessage } from './bus.js';

export interface BrokerOptions {
  readonly bus: Bus;
  /** This process, on the bus. */
  readonly process: string;
  readonly now: () => number;
}

export type Brought =
  | { readonly status: 'answered'; readonly outcome: WriteOutcome }
  /** No agent took it. */
  | { readonly status: 'notTaken' }
  /** One took it and said nothing in time: what became of it is not known. */
  | { readonly status: 'noAnswer' }
  /** Too many wait already, or the tenant stops. */
  | { readonly status: 'refused' };

interface Waiting {
  readonly id: string;
  /** Agent's name → what only it can open. */
  readonly sealed: ReadonlyMap<string, string>;
  readonly expires: number;
  takenBy: string | undefined;
  readonly settle: (brought: Brought) => void;
}

interface Offer {
  readonly owner: string;
  readonly agents: ReadonlySet<string>;
  readonly expires: number;
  readonly timer: NodeJS.Timeout;
}

interface WaitingPoll {
  readonly agent: string;
  /** The request that was asked for at its owner. */
  claiming: string | undefined;
  claimTimer?: NodeJS.Timeout | undefined;
  readonly answer: (handOver: HandOver | undefined) => void;
}

/** Hands itself, its password sealed, to no more than so many people at once. */
const MOST_WAITING = 1000;
const MOST_POLLS = 1000;
/** Of one agent. */
const MOST_POLLS_EACH = 8;
/** The owner answers a claim at once; if it does not it is gone, and the poll is free again. */
const CLAIM_MS = 3000;

export class Broker {
  readonly #options: BrokerOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #offers = new Map<string, Offer>();
  readonly #polls = new Set<WaitingPoll>();
  readonly #answers = new Map<string, (taken: boolean) => void>();
  #closed = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    options.bus.listen((message) => this.#hear(message));
  }

  get counts(): { readonly waiting: number; readonly polls: number } {
    return { waiting: this.#waiting.size, polls: this.#polls.size };
  }

  isPolling(agent: string): boolean {
    return [...this.#polls].some((poll) => poll.agent === agent);
  }

  /** Waits for the answer of whichever agent takes the request first, at most until `expires`. */
  bring(id: string, sealed: ReadonlyMap<string, string>, expires: number): Promise<Brought> {
    const { bus } = this.#options;
    if (this.#closed || this.#waiting.size >= MOST_WAITING) return Promise.resolve({ status: 'refused' });
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => waiting.settle({ status: waiting.takenBy === undefined ? 'notTaken' : 'noAnswer' }),
        this.#left(expires),
      );
      const waiting: Waiting = {
        id,
        sealed,
        expires,
        takenBy: undefined,
        settle: (brought) => {
          clearTimeout(timer);
          if (!this.#waiting.delete(id)) return;
          if (waiting.takenBy === undefined) void bus.publish({ type: 'closed', id });
          resolve(brought);
        },
      };
      this.#waiting.set(id, waiting);
      this.#offer(waiting);
    });
  }

  #offer(waiting: Waiting): void {
    const { bus, process: owner } = this.#options;
    for (const poll of this.#polls) if (poll.claiming === undefined && this.#give(waiting, poll)) return;
    const { id, sealed, expires } = waiting;
    void bus.publish({ type: 'offer', id, owner, agents: [...sealed.keys()], expires });
  }

  /** What the agent shall do next; undefined: nothing until the signal aborted. Rejects with RangeError for too many polls. */
  next(agent: string, signal: AbortSignal): Promise<HandOver | undefined> {
    const own = [...this.#polls].filter((poll) => poll.agent === agent).length;
    if (own >= MOST_POLLS_EACH || this.#polls.size >= MOST_POLLS) {
      return Promise.reject(new RangeError('too many polls at once'));
    }
    return new Promise((resolve) => {
      const over = () => poll.answer(undefined);
      const poll: WaitingPoll = {
        agent,
        claiming: undefined,
        answer: (handOver) => {
          if (!this.#polls.delete(poll)) return;
          clearTimeout(poll.claimTimer);
          signal.removeEventListener('abort', over);
          resolve(handOver);
        },
      };
      this.#polls.add(poll);
      if (this.#closed || signal.aborted) return over();
      signal.addEventListener('abort', over, { once: true });
      this.#seek(poll);
    });
  }

  /** False where nobody waits for it: late, answered before, or never handed to this agent. */
  async result(agent: string, id: string, outcome: WriteOutcome): Promise<boolean> {
    const { bus, process: by } = this.#options;
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) return this.#settle(waiting, agent, outcome);
    if (bus.alone || this.#answers.has(id)) return false;
    return new Promise((resolve) => {
      const answered = (taken: boolean) => {
        clearTimeout(timer);
        this.#answers.delete(id);
        resolve(taken);
      };
      const timer = setTimeout(() => answered(false), CLAIM_MS);
      this.#answers.set(id, answered);
      void bus.publish({ type: 'result', id, agent, by, outcome });
    });
  }

  /** Ends every wait at once. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const poll of [...this.#polls]) poll.answer(undefined);
    for (const waiting of [...this.#waiting.values()]) {
      waiting.settle({ status: waiting.takenBy === undefined ? 'refused' : 'noAnswer' });
    }
    for (const answered of [...this.#answers.values()]) answered(false);
    for (const { timer } of this.#offers.values()) clearTimeout(timer);
    this.#offers.clear();
    await this.#options.bus.close();
  }

  #left = (expires: number): number => Math.max(Math.round(expires - this.#options.now()), 0);

  #settle(waiting: Waiting, agent: string, outcome: WriteOutcome): boolean {
    if (waiting.takenBy !== agent) return false;
    waiting.settle({ status: 'answered', outcome });
    return true;
  }

  /** To a poll of this process. False where it is not the agent's to take. */
  #give(waiting: Waiting, poll: WaitingPoll): boolean {
    const sealed = waiting.sealed.get(poll.agent);
    if (sealed === undefined || waiting.takenBy !== undefined) return false;
    waiting.takenBy = poll.agent;
    void this.#options.bus.publish({ type: 'closed', id: waiting.id });
    poll.answer({ id: waiting.id, sealed, expiresIn: this.#left(waiting.expires) });
    return true;
  }

  /** Whatever waits here or elsewhere for this agent. */
  #seek(poll: WaitingPoll): void {
    for (const waiting of this.#waiting.values()) if (this.#give(waiting, poll)) return;
    for (const [id, { owner, agents }] of this.#offers) {
      if (!agents.has(poll.agent)) continue;
      const { bus, process: by } = this.#options;
      poll.claiming = id;
      poll.claimTimer = setTimeout(() => this.#release(poll), CLAIM_MS);
      void bus.publish({ type: 'claim', id, to: owner, agent: poll.agent, by });
      return;
    }
  }

  /** Its request went elsewhere. */
  #release(poll: WaitingPoll): void {
    clearTimeout(poll.claimTimer);
    const { claiming } = poll;
    poll.claiming = undefined;
    if (claiming !== undefined) this.#forget(claiming);
    if (this.#polls.has(poll)) this.#seek(poll);
  }

  #forget(id: string): void {
    clearTimeout(this.#offers.get(id)?.timer);
    this.#offers.delete(id);
  }

  #hear(message: BusMessage): void {
    const { bus, process } = this.#options;
    if (this.#closed || ('to' in message && message.to !== undefined && message.to !== process)) return;
    const { id } = message;
    const waiting = this.#waiting.get(id);
    switch (message.type) {
      case 'offer': {
        const timer = setTimeout(() => this.#offers.delete(id), this.#left(message.expires)).unref();
        this.#offers.set(id, {
          owner: message.owner,
          agents: new Set(message.agents),
          expires: message.expires,
          timer,
        });
        const free = [...this.#polls].find(
          ({ agent, claiming }) => claiming === undefined && message.agents.includes(agent),
        );
        if (free !== undefined) this.#seek(free);
        return;
      }
      case 'closed':
        this.#forget(id);
        for (const poll of this.#polls) if (poll.claiming === id) this.#release(poll);
        return;
      case 'claim': {
        const sealed = waiting?.sealed.get(message.agent);
        if (waiting === undefined || sealed === undefined || waiting.takenBy !== undefined) {
          // To this one alone: a grant to another may be on its way, and NOTIFYs of several connections overtake.
          void bus.publish({ type: 'closed', id, to: message.by });
          return;
        }
        waiting.takenBy = message.agent;
        void bus.publish({ type: 'grant', id, to: message.by, agent: message.agent, sealed });
        return;
      }
      case 'grant': {
        const poll = [...this.#polls].find(({ claiming }) => claiming === id);
        const offer = this.#offers.get(id);
        this.#forget(id);
        if (offer === undefined) return;
        if (poll !== undefined && poll.agent === message.agent) {
          poll.answer({ id, sealed: message.sealed, expiresIn: this.#left(offer.expires) });
        } else {
          void bus.publish({ type: 'decline', id, to: offer.owner, agent: message.agent });
        }
        // Others may have claimed it for another agent.
        for (const other of this.#polls) if (other.claiming === id) this.#release(other);
        return;
      }
      case 'decline':
        if (waiting?.takenBy !== message.agent) return;
        waiting.takenBy = undefined;
        this.#offer(waiting);
        return;
      case 'result':
        if (waiting !== undefined && this.#settle(waiting, message.agent, message.outcome)) {
          void bus.publish({ type: 'taken', id, to: message.by });
        }
        return;
      case 'taken':
        this.#answers.get(id)?.(true);
    }
  }
}

export const newProcessName = (): string => randomUUID();
