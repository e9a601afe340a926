/** Familiar places of smart lockout: networks from which a user has signed in, as keyed digests of their prefixes. */

import { isIP, isIPv4 } from 'node:net';
import type { TenantDatabase } from '../store/database.js';
import type { Find, LookUp } from '../store/look-up.js';
import type { KeyedDigests } from './digests.js';

const NOTED_AGAIN_AFTER = 24 * 60 * 60 * 1000;
/** No user has this id. */
const NOBODY = 0;

/** The /24 of an IPv4 address, the /48 of an IPv6 address; undefined for what is none. */
export function networkOf(address: string): string | undefined {
  const bare = bareAddress(address);
  if (isIPv4(bare)) return `${bare.slice(0, bare.lastIndexOf('.'))}.0/24`;
  const words = ipv6Words(bare);
  return words && `${words.slice(0, 3).join(':')}::/48`;
}

/** Without zone, which names an interface of this machine; an IPv4 address that came as IPv6 as itself. */
export function bareAddress(address: string): string {
  const bare = address.replace(/%.*$/, '');
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare;
}

/** The eight words of an IPv6 address, however it is written; undefined for what is none. */
export function ipv6Words(address: string): string[] | undefined {
  if (isIP(address) !== 6) return undefined;
  // URL spells an IPv6 address in one way only (RFC 5952).
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right];
}

export interface Place {
  /** Undefined: a name that no user has. */
  readonly userId: number | undefined;
  readonly address: string;
}

interface PlaceRow {
  readonly last_used: number;
}

const PLACE: LookUp<[number, Buffer], PlaceRow> = {
  name: 'familiar_place',
  types: ['bigint', 'bytea'],
  sql: (user, digest) => `SELECT last_used FROM familiar_places WHERE user_id = ${user} AND place_digest = ${digest}`,
};

export class FamiliarPlaces {
  readonly #database: TenantDatabase;
  readonly #digests: KeyedDigests;
  readonly #now: () => Date;
  readonly #find: Find<[number, Buffer], PlaceRow>;

  constructor(database: TenantDatabase, digests: KeyedDigests, now: () => Date) {
    this.#database = database;
    this.#digests = digests;
    this.#now = now;
    this.#find = database.lookUp(PLACE);
  }

  /** Looks it up for names without user as well. `fresh`: noted not long ago, and need not be again. */
  async look({ userId = NOBODY, address }: Place): Promise<{ readonly familiar: boolean; readonly fresh: boolean }> {
    const digest = this.#digests.place(userId, networkOf(address) ?? '');
    const place = await this.#find(userId, digest);
    return {
      familiar: place !== undefined,
      fresh: (place?.last_used ?? 0) > this.#now().getTime() - NOTED_AGAIN_AFTER,
    };
  }

  /** After successful sign-ins. Users who are gone meanwhile are left out. */
  async remember(places: readonly { readonly userId: number; readonly address: string }[]): Promise<void> {
    const now = this.#now().getTime();
    const rows = new Map<string, { user_id: number; place_digest: Buffer; last_used: number }>();
    for (const { userId, address } of places) {
      const network = networkOf(address);
      if (network === undefined) continue;
      const digest = this.#digests.place(userId, network);
      rows.set(digest.toString('latin1'), { user_id: userId, place_digest: digest, last_used: now });
    }
    if (rows.size === 0) return;
    await this.#database.transaction(async (queries) => {
      const present = await queries
        .selectFrom('users')
        .select('id')
        .where('id', 'in', [...new Set([...rows.values()].map(({ user_id }) => user_id))])
        .execute();
      const ids = new Set(present.map(({ id }) => id));
      // In one order in all processes, as with lockouts.
      const values = [...rows.entries()]
        .filter(([, { user_id }]) => ids.has(user_id))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, row]) => row);
      if (values.length === 0) return;
      await queries
        .insertInto('familiar_places')
        .values(values)
        .onConflict((conflict) => conflict.columns(['user_id', 'place_digest']).doUpdateSet({ last_used: now }))
        .execute();
    });
  }
}
