/** The program's numbers for Prometheus. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { OpenKey } from '../keys/key-ring.js';
import type { MissingKey } from '../keys/missing-keys.js';
import type { Counts, Observer, Side } from '../observer.js';

export interface MetricsOptions {
  readonly version: string;
  /** Asked at each scrape, as the next two. */
  readonly keys: () => readonly Pick<OpenKey, 'thumbprint' | 'notAfter'>[];
  readonly missing: () => readonly Pick<MissingKey, 'thumbprint' | 'notAfter' | 'isNewest'>[];
  /** Times in milliseconds since 1970. */
  readonly look: () => {
    readonly users: number;
    readonly waiting: number;
    readonly oldestFailure: number | undefined;
    readonly completedAt: number | undefined;
  };
  readonly now: () => number;
}

const USERS = { created: 'created', updated: 'updated', unchanged: 'unchanged', deleted: 'deleted' } as const;
const PASSWORDS = { passwordsWritten: 'written', passwordsUnchanged: 'unchanged', passwordsOlder: 'older' } as const;

export class Metrics implements Observer {
  readonly #registry = new Registry();
  readonly #users: Counter<'outcome'>;
  readonly #passwords: Counter<'outcome'>;
  readonly #failed: Counter;
  readonly #calls: Counter<'side' | 'outcome'>;

  constructor({ version, keys, missing, look, now }: MetricsOptions) {
    const registers = [this.#registry];
    const prefix = 'phsync_domain_services';
    this.#users = new Counter({
      name: `${prefix}_users_total`,
      help: 'Users of the feed that were applied, by what that did.',
      labelNames: ['outcome'],
      registers,
    });
    this.#passwords = new Counter({
      name: `${prefix}_passwords_total`,
      help: 'Passwords of the feed, by what came of them; older: the domain had a later one, which stays.',
      labelNames: ['outcome'],
      registers,
    });
    this.#failed = new Counter({
      name: `${prefix}_failed_total`,
      help: 'Users put (back) into the retry queue.',
      registers,
    });
    this.#calls = new Counter({
      name: `${prefix}_calls_total`,
      help: 'Pages asked of the tenant, batches given to the domain, and batches opened with the keys, by outcome (success, or the code of the error).',
      labelNames: ['side', 'outcome'],
      registers,
    });
    new Gauge({ name: 'phsync_build_info', help: 'The version that runs.', labelNames: ['version'], registers }).set(
      { version },
      1,
    );
    new Gauge({
      name: `${prefix}_certificate_expiry_timestamp_seconds`,
      help: 'Until when a certificate is valid: of the keys, and of those in use whose key is missing.',
      labelNames: ['thumbprint'],
      registers,
      collect() {
        this.reset();
        for (const { thumbprint, notAfter } of [...keys(), ...missing()]) {
          if (notAfter !== undefined) this.set({ thumbprint }, notAfter.getTime() / 1000);
        }
      },
    });
    new Gauge({
      name: `${prefix}_key_missing`,
      help: 'A certificate that the tenant has passwords sealed to, or (newest) agents seal to, and whose key is not here.',
      labelNames: ['thumbprint', 'newest'],
      registers,
      collect() {
        this.reset();
        for (const { thumbprint, isNewest } of missing()) this.set({ thumbprint, newest: String(isNewest) }, 1);
      },
    });
    const gauge = (name: string, help: string, value: () => number | undefined) =>
      new Gauge({
        name: `${prefix}_${name}`,
        help,
        registers,
        collect() {
          const found = value();
          if (found === undefined) this.remove();
          else this.set(found);
        },
      });
    gauge('users', 'Users of the tenant that the state knows.', () => look().users);
    gauge('retry_queue_users', 'Users in the retry queue.', () => look().waiting);
    gauge('retry_queue_oldest_age_seconds', 'For how long the one that waits longest is in the retry queue.', () => {
      const { oldestFailure } = look();
      return oldestFailure === undefined ? 0 : Math.max(0, now() - oldestFailure) / 1000;
    });
    gauge('last_success_timestamp_seconds', 'When the feed was last read to its end.', () => {
      const { completedAt } = look();
      return completedAt === undefined ? undefined : completedAt / 1000;
    });
    collectDefaultMetrics({ register: this.#registry });
  }

  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE;

  /** The text exposition format, version 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  counted(counts: Readonly<Counts>): void {
    for (const [key, outcome] of Object.entries(USERS)) {
      this.#users.inc({ outcome }, counts[key as keyof typeof USERS]);
    }
    for (const [key, outcome] of Object.entries(PASSWORDS)) {
      this.#passwords.inc({ outcome }, counts[key as keyof typeof PASSWORDS]);
    }
    this.#failed.inc(counts.failed);
  }

  worked(side: Side): void {
    this.#calls.inc({ side, outcome: 'success' });
  }

  failed(side: Side, code: string): void {
    this.#calls.inc({ side, outcome: code });
  }
}
