/** The keys that sign tokens (RFC 7517, RFC 7518 3.1), in the store and so the same in every process of the tenant. */

import { createPrivateKey, createPublicKey, generateKeyPair, type JsonWebKey, type KeyObject } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { PhsyncError } from '../../hasher/errors.js';
import { readIfThere } from '../state-dir.js';
import type { Queries, TenantDatabase } from '../store/database.js';

/** RS256 for id tokens, which every client knows (Core 15.1); ES256, a tenth of the work, for access tokens. */
export const ALGORITHMS = ['RS256', 'ES256'] as const;
export type SigningAlgorithm = (typeof ALGORITHMS)[number];

/** Below stateDir: where versions before kept their RSA key. */
export const FORMER_KEY_FILE = 'token-key.json';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A key signs for this long, then the next one does. */
export const KEY_LIFETIME = 90 * DAY;
/** A new key is published before it signs: clients keep a key set for up to a day. */
export const PUBLISHED_BEFORE = DAY;
/** An old key stays published: the last token lives an hour, and clocks differ. */
export const PUBLISHED_AFTER = DAY;
/** Other processes' keys are seen this late at most. */
const REFRESH_INTERVAL = MINUTE;
/** A token with an unknown key id makes one look at the store, but not each such token. */
const UNKNOWN_KEY_INTERVAL = 5000;

export interface SigningKey {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** With the private members. */
  readonly jwk: JWK;
  readonly activeFrom: number;
  readonly retiredAt: number | null;
}

export interface SigningKeysOptions {
  readonly database: TenantDatabase;
  readonly now: () => Date;
  /** Where versions before kept their RSA key: it is taken over once, and the file removed. */
  readonly formerFile: string;
  /** Told, once for each key, of one that signs before its time. */
  readonly onEarlyKey?: (key: Pick<SigningKey, 'kid' | 'alg' | 'activeFrom'>) => void;
}

export class SigningKeys {
  readonly #options: SigningKeysOptions;
  #keys: readonly SigningKey[] = [];
  #readAt = 0;
  #refreshing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #listeners: (() => void)[] = [];
  /** Told of already. */
  readonly #early = new Set<string>();
  /** Which keys signed when the listeners were called last. */
  #told = '';

  private constructor(options: SigningKeysOptions) {
    this.#options = options;
  }

  /** Reads the keys, makes what is missing. @throws PhsyncError `token-key` when the former file or a row is damaged. */
  static async open(options: SigningKeysOptions): Promise<SigningKeys> {
    const keys = new SigningKeys(options);
    await keys.#takeOver();
    await keys.maintain();
    return keys;
  }

  /** The key that signs now. */
  current(alg: SigningAlgorithm): SigningKey {
    const key = this.#currentOf(alg);
    if (key === undefined) {
      const words = `the store has no ${alg} key: somebody has deleted it; phsync tenant rotate-keys makes new ones`;
      throw new PhsyncError('token-key', words, { facts: { alg } });
    }
    return key;
  }

  /** Each with the one that signs first: what a client may meet or still hold a token of. */
  published(): readonly SigningKey[] {
    const current = ALGORITHMS.map((alg) => this.current(alg));
    const now = this.#options.now().getTime();
    return [...current, ...this.#keys.filter((key) => !current.includes(key) && !isOver(key, now))];
  }

  /** By key id, among the published; looks into the store for one that is new. */
  async find(kid: string): Promise<SigningKey | undefined> {
    const known = () => this.published().find((key) => key.kid === kid);
    const key = known();
    if (key !== undefined || this.#options.now().getTime() - this.#readAt < UNKNOWN_KEY_INTERVAL) return key;
    await this.refresh();
    return known();
  }

  /** Called after each change of the set, also one by another process, and when the next key begins to sign. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Keeps up with the other processes and with time until `stop()`. */
  watch(onError: (error: unknown) => void): void {
    this.#timer = setInterval(() => this.maintain().catch(onError), REFRESH_INTERVAL).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reads the store; makes the next key when it is time, drops those that are over. */
  async maintain(): Promise<void> {
    await this.refresh();
    const now = this.#options.now().getTime();
    for (const alg of ALGORITHMS) {
      const newest = this.#keys.filter((key) => key.alg === alg).at(-1);
      if (newest === undefined) await this.#add(alg, now, { newest: undefined });
      else if (newest.activeFrom + KEY_LIFETIME - PUBLISHED_BEFORE <= now) {
        const activeFrom = Math.max(now + PUBLISHED_BEFORE, newest.activeFrom + KEY_LIFETIME);
        await this.#add(alg, activeFrom, { newest: newest.kid });
      }
    }
    if (this.#keys.some((key) => isOver(key, now))) {
      await this.#options.database.run((queries) =>
        queries.deleteFrom('signing_keys').where('retired_at', '<=', now).execute(),
      );
      await this.refresh();
    }
    // Time alone makes the next key the one that signs.
    if (this.#signing() !== this.#told) this.#tell();
  }

  /**
   * The next keys, before their time: published now, signing in a day. `atOnce`, where a key is known to others: signing
   * now, and no token of the keys before is taken any more.
   */
  async rotate({ atOnce }: { readonly atOnce: boolean }): Promise<readonly SigningKey[]> {
    await this.refresh();
    const now = this.#options.now().getTime();
    const made: string[] = [];
    for (const alg of ALGORITHMS) made.push(await this.#add(alg, atOnce ? now : now + PUBLISHED_BEFORE));
    if (atOnce) {
      await this.#options.database.run((queries) =>
        queries.deleteFrom('signing_keys').where('kid', 'not in', made).execute(),
      );
      await this.refresh();
    }
    return this.#keys.filter(({ kid }) => made.includes(kid));
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #read(): Promise<void> {
    const rows = await this.#options.database.run((queries) =>
      queries.selectFrom('signing_keys').selectAll().orderBy('active_from').orderBy('created_at').execute(),
    );
    this.#readAt = this.#options.now().getTime();
    const before = this.#keys;
    const same = (key: SigningKey | undefined, row: (typeof rows)[number]) =>
      key?.kid === row.kid && key.retiredAt === row.retired_at;
    if (before.length === rows.length && rows.every((row, i) => same(before[i], row))) return;
    this.#keys = rows.map(
      (row) => before.find((key) => same(key, row)) ?? toSigningKey(row.jwk, row.active_from, row.retired_at),
    );
    this.#tell();
  }

  #tell(): void {
    this.#told = this.#signing();
    for (const listener of this.#listeners) listener();
  }

  #signing(): string {
    return ALGORITHMS.map((alg) => this.#currentOf(alg)?.kid).join(' ');
  }

  /**
   * Where none is active yet by this clock, which is behind the one that the keys were made by, or was stepped back: the
   * first that will be, which the others sign with, too. Every token of it is taken: it is published.
   */
  #currentOf(alg: SigningAlgorithm): SigningKey | undefined {
    const now = this.#options.now().getTime();
    const active = this.#keys.findLast((key) => key.alg === alg && key.activeFrom <= now);
    if (active !== undefined) return active;
    const first = this.#keys.find((key) => key.alg === alg);
    if (first !== undefined && !this.#early.has(first.kid)) {
      this.#early.add(first.kid);
      this.#options.onEarlyKey?.(first);
    }
    return first;
  }

  /** With `expected` only while that is the newest one: another process may have been first. Returns the new key's id. */
  async #add(
    alg: SigningAlgorithm,
    activeFrom: number,
    expected?: { readonly newest: string | undefined },
  ): Promise<string> {
    const { jwk, kid } = await makeKey(alg);
    await this.#options.database.transaction(async (queries) => {
      await lockKeys(queries, this.#options.database);
      const rows = await queries
        .selectFrom('signing_keys')
        .selectAll()
        .orderBy('active_from')
        .orderBy('created_at')
        .execute();
      const ofAlg = rows.filter((row) => algorithmOf(row.jwk) === alg);
      if (expected !== undefined && ofAlg.at(-1)?.kid !== expected.newest) return;
      await insertKey(queries, { kid, jwk, createdAt: this.#options.now().getTime(), activeFrom });
      const toRetire = ofAlg.filter((row) => row.retired_at === null).map((row) => row.kid);
      if (toRetire.length === 0) return;
      await queries
        .updateTable('signing_keys')
        .set({ retired_at: activeFrom + PUBLISHED_AFTER })
        .where('kid', 'in', toRetire)
        .execute();
    });
    await this.refresh();
    return kid;
  }

  async #takeOver(): Promise<void> {
    const { database, formerFile, now } = this.#options;
    const text = await readIfThere(formerFile);
    if (text === undefined) return;
    const { kid, jwk } = await readFormerKey(text, formerFile);
    await database.transaction(async (queries) => {
      await lockKeys(queries, database);
      const there = await queries.selectFrom('signing_keys').select('kid').limit(1).executeTakeFirst();
      const time = now().getTime();
      if (there === undefined) await insertKey(queries, { kid, jwk, createdAt: time, activeFrom: time });
    });
    await rm(formerFile, { force: true });
  }
}

const isOver = (key: SigningKey, now: number) => key.retiredAt !== null && key.retiredAt <= now;

/** One writer of keys at a time. SQLite's transactions are that by themselves. */
async function lockKeys(queries: Queries, database: TenantDatabase): Promise<void> {
  if (database.dialect === 'postgres') await queries.selectFrom('tenant').select('id').forUpdate().execute();
}

async function insertKey(
  queries: Queries,
  key: { readonly kid: string; readonly jwk: JWK; readonly createdAt: number; readonly activeFrom: number },
): Promise<void> {
  const { kid, jwk, createdAt, activeFrom } = key;
  await queries
    .insertInto('signing_keys')
    .values({ kid, jwk: JSON.stringify(jwk), created_at: createdAt, active_from: activeFrom, retired_at: null })
    .execute();
}

async function makeKey(alg: SigningAlgorithm): Promise<{ readonly kid: string; readonly jwk: JWK }> {
  const generate = promisify(generateKeyPair);
  const { privateKey } =
    alg === 'RS256' ? await generate('rsa', { modulusLength: 2048 }) : await generate('ec', { namedCurve: 'P-256' });
  return named({ ...(privateKey.export({ format: 'jwk' }) as JWK), alg });
}

/** The key id is the key's thumbprint (RFC 7638). */
async function named(jwk: JWK): Promise<{ readonly kid: string; readonly jwk: JWK }> {
  const kid = await calculateJwkThumbprint(jwk);
  return { kid, jwk: { ...jwk, use: 'sig', kid } };
}

function algorithmOf(text: string): unknown {
  return (JSON.parse(text) as JWK).alg;
}

function toSigningKey(text: string, activeFrom: number, retiredAt: number | null): SigningKey {
  const jwk = JSON.parse(text) as JWK;
  const privateKey = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
  const alg = ALGORITHMS.find((name) => name === jwk.alg);
  if (alg === undefined) throw new PhsyncError('token-key', `a signing key in the store has the algorithm ${jwk.alg}`);
  const kid = jwk.kid ?? '';
  return { kid, alg, privateKey, publicKey: createPublicKey(privateKey), jwk, activeFrom, retiredAt };
}

async function readFormerKey(text: string, file: string): Promise<{ readonly kid: string; readonly jwk: JWK }> {
  const damaged = () =>
    new PhsyncError(
      'token-key',
      `${file} is not an RSA key in JWK form: restore it, or remove it to end all sessions`,
      {
        facts: { file },
      },
    );
  try {
    const jwk = JSON.parse(text) as JWK;
    // Also refuses what is no RSA key, and one without its private members.
    if (jwk.kty !== 'RSA' || createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' }).type !== 'private') {
      throw damaged();
    }
    return await named({ ...jwk, alg: 'RS256' });
  } catch {
    // Not the parser's message: it would quote the key.
    throw damaged();
  }
}
