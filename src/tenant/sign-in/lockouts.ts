/** Smart lockout in the tenant's database: tries are decided one after another, in every process that shares it. */

import { setTimeout as sleep } from 'node:timers/promises';
import { PhsyncError } from '../../hasher/errors.js';
import type { Queries, TenantDatabase } from '../store/database.js';
import type { Find, LookUp } from '../store/look-up.js';
import { judge, type LockoutSettings, type LockoutState, NO_FAILURES, type Try, type Verdict } from './lockout.js';

/** Whose count: 16 bytes of a name's digest, and where the try came from. */
export interface LockoutKey {
  readonly name: Buffer;
  readonly familiar: boolean;
}

export interface LockoutsOptions extends LockoutSettings {
  readonly now: () => Date;
}

interface Decision extends LockoutKey, Try {
  readonly id: string;
  resolve(verdict: Verdict): void;
  reject(error: unknown): void;
}

interface Row {
  readonly name_digest: Uint8Array;
  readonly familiar: number;
  readonly failures: number;
  readonly locked_until: number;
  readonly locks: number;
  readonly wrong: Uint8Array;
}

const COUNT: LookUp<[Buffer, number], object> = {
  name: 'lockout_count',
  types: ['bytea', 'bigint'],
  sql: (name, familiar) => `SELECT failures FROM lockouts WHERE name_digest = ${name} AND familiar = ${familiar}`,
};

/** Decisions a transaction: many at once cost one commit. */
const BATCH = 256;
/** Another transaction was in the way: once more, so often. */
const TRIES = 4;

const idOf = ({ name, familiar }: LockoutKey) => `${name.toString('latin1')}${familiar ? 1 : 0}`;
const idOfRow = ({ name_digest, familiar }: Row) => `${Buffer.from(name_digest).toString('latin1')}${familiar}`;
const stateOf = ({ failures, locked_until, locks, wrong }: Row): LockoutState => ({
  failures,
  lockedUntil: locked_until,
  locks,
  wrong,
});

/** A name's counts are over, from familiar places and others. @returns what was forgotten. */
export async function forget(
  queries: Queries,
  name: Buffer,
  now: Date,
): Promise<{ readonly failures: number; readonly wasLocked: boolean }> {
  const rows = await queries
    .deleteFrom('lockouts')
    .where('name_digest', '=', name)
    .returning(['failures', 'locked_until'])
    .execute();
  return {
    failures: rows.reduce((sum, { failures }) => sum + failures, 0),
    wasLocked: rows.some(({ locked_until }) => locked_until > now.getTime()),
  };
}

/**
 * A try is decided after its password was checked, and wrong ones are on disk before they are answered: who sends many at
 * once learns of as many as the threshold lets by, since the others find the count that these have left. A right one, which
 * alone needs no writing, joins the queue where wrong ones of the same name are under way, and does not overtake them.
 */
export class Lockouts {
  readonly #database: TenantDatabase;
  readonly #options: LockoutsOptions;
  readonly #queue: Decision[] = [];
  /** Wrong tries that are not decided yet, by key. */
  readonly #undecided = new Map<string, number>();
  readonly #count: Find<[Buffer, number], object>;
  #running: Promise<void> | undefined;

  constructor(database: TenantDatabase, options: LockoutsOptions) {
    this.#database = database;
    this.#options = options;
    this.#count = database.lookUp(COUNT);
  }

  /** @throws PhsyncError `store-busy` or `store-failed`; then the try counts for nothing and must not be answered. */
  async decide(key: LockoutKey, { right, fingerprint }: Try): Promise<Verdict> {
    const id = idOf(key);
    const alone = !this.#undecided.has(id);
    if (!right) this.#undecided.set(id, (this.#undecided.get(id) ?? 0) + 1);
    try {
      // Right or wrong makes no difference up to here: behind a lock the time must not tell the one from the other.
      if (alone && (await this.#isClear(key)) && right) return 'right';
      return await new Promise<Verdict>((resolve, reject) => {
        this.#queue.push({ ...key, id, right, fingerprint, resolve, reject });
        this.#running ??= this.#work();
      });
    } finally {
      if (!right) {
        const left = this.#undecided.get(id)! - 1;
        if (left === 0) this.#undecided.delete(id);
        else this.#undecided.set(id, left);
      }
    }
  }

  /** A new password: nothing that was tried on the old one stands against it. */
  async reset(queries: Queries, name: Buffer): Promise<void> {
    await forget(queries, name, this.#options.now());
  }

  /** When nothing is left to decide. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #isClear({ name, familiar }: LockoutKey): Promise<boolean> {
    return (await this.#count(name, familiar ? 1 : 0)) === undefined;
  }

  async #work(): Promise<void> {
    // Tries of the same turn come together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH);
      try {
        const verdicts = await this.#decideAll(batch);
        for (const [i, { resolve }] of batch.entries()) resolve(verdicts[i]!);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #decideAll(batch: readonly Decision[]): Promise<Verdict[]> {
    for (let left = TRIES; ; left--) {
      try {
        return await this.#database.transaction((queries) => this.#decideWithin(queries, batch));
      } catch (error) {
        if (left === 1 || !(error instanceof PhsyncError) || error.code !== 'store-busy') throw error;
        await sleep(5 * (TRIES - left + 1));
      }
    }
  }

  async #decideWithin(queries: Queries, batch: readonly Decision[]): Promise<Verdict[]> {
    const now = this.#options.now().getTime();
    const keys = new Map(batch.map((decision) => [decision.id, decision]));
    // Always in this order: two processes that lock the same rows in different orders would wait for each other.
    const ids = [...keys.keys()].sort();
    // Makes the row or locks the one that is there, and reads it: nobody slips in between.
    const rows = await queries
      .insertInto('lockouts')
      .values(ids.map((id) => toRow(keys.get(id)!, NO_FAILURES, now)))
      .onConflict((conflict) => conflict.columns(['name_digest', 'familiar']).doUpdateSet({ updated_at: now }))
      .returning(['name_digest', 'familiar', 'failures', 'locked_until', 'locks', 'wrong'])
      .execute();
    const before = new Map(rows.map((row) => [idOfRow(row as Row), stateOf(row as Row)]));
    const after = new Map(before);
    const verdicts = batch.map((decision) => {
      const { verdict, next } = judge(after.get(decision.id)!, decision, now, this.#options);
      after.set(decision.id, next);
      return verdict;
    });
    const changed = ids.filter((id) => after.get(id) !== before.get(id) && after.get(id)!.failures > 0);
    if (changed.length > 0) {
      await queries
        .insertInto('lockouts')
        .values(changed.map((id) => toRow(keys.get(id)!, after.get(id)!, now)))
        .onConflict((conflict) =>
          conflict.columns(['name_digest', 'familiar']).doUpdateSet((excluded) => ({
            failures: excluded.ref('excluded.failures'),
            locked_until: excluded.ref('excluded.locked_until'),
            locks: excluded.ref('excluded.locks'),
            wrong: excluded.ref('excluded.wrong'),
          })),
        )
        .execute();
    }
    for (const familiar of [0, 1]) {
      const names = ids
        .filter((id) => after.get(id)!.failures === 0 && (keys.get(id)!.familiar ? 1 : 0) === familiar)
        .map((id) => keys.get(id)!.name);
      if (names.length === 0) continue;
      await queries.deleteFrom('lockouts').where('familiar', '=', familiar).where('name_digest', 'in', names).execute();
    }
    return verdicts;
  }
}

const toRow = ({ name, familiar }: LockoutKey, state: LockoutState, now: number) => ({
  name_digest: name,
  familiar: familiar ? 1 : 0,
  failures: state.failures,
  locked_until: state.lockedUntil,
  locks: state.locks,
  wrong: state.wrong,
  updated_at: now,
});
