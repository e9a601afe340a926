/**
 * Whether the time of an answer tells anything of a name or a password: ranks of interleaved tries, by the CPU time of the
 * whole process, hasher's thread included, which other programs on the machine do not lengthen by a disk's or a turn's
 * wait. That what is waited for is the same, by number and order of queries, is in sign-in.test.ts.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import type { SignInHasher } from '#src/tenant/sign-in/password-check.js';
import { createSignIn, type SignInService } from '#src/tenant/sign-in/sign-in.js';
import type { SqliteStore } from '#src/tenant/store/sqlite-store.js';
import { testHasher } from '../harness.js';
import { openSqlite } from '../open-sqlite.js';

const RIGHT = 'Right.Passw0rd';
/** Of each kind, so that no name comes to its tenth failure. */
const NAMES = 100;
const ROUNDS = 5;
/**
 * The chance that one kind's try takes longer than another's, away from a half. By chance it is off by 0.018 (the standard
 * deviation of the rank sum of 500 and 500); a look-up or a derivation more is 0.3 and beyond.
 */
const TOLERANCE = 0.1;
/** What is off is measured again, with other names: chance is not off every time, and what tells is. */
const TIMES = 3;

/** The chance that a value of `a` is greater than one of `b`: Mann and Whitney's U over all pairs. */
function chanceGreater(a: readonly number[], b: readonly number[]): number {
  const all = [...a.map((value) => ({ value, ofA: true })), ...b.map((value) => ({ value, ofA: false }))];
  all.sort((x, y) => x.value - y.value);
  let ranks = 0;
  for (const [i, { ofA }] of all.entries()) if (ofA) ranks += i + 1;
  return (ranks - (a.length * (a.length + 1)) / 2) / (a.length * b.length);
}

/** An order that nobody's garbage collector keeps step with. */
function shuffled<T>(items: readonly T[]): T[] {
  const keys = new Map(items.map((item) => [item, randomBytes(6).readUIntBE(0, 6)]));
  return [...items].sort((a, b) => keys.get(a)! - keys.get(b)!);
}

describe('the time of an answer', () => {
  let directory: string;
  let hasher: Hasher;
  let store: SqliteStore;
  beforeAll(async () => {
    // In memory where the system has such a place: two thousand failures are two thousand commits.
    directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'phsync-timing-'));
    hasher = testHasher();
    store = openSqlite(directory);
    const names = ['known', 'without'].flatMap((kind) =>
      Array.from({ length: TIMES * NAMES }, (_, i) => `${kind}${i}`),
    );
    await store.applyUsers(
      names.map((name) => ({
        kind: 'upsert',
        sourceAnchor: name,
        attributes: { userPrincipalName: `${name}@phs.test` },
      })),
    );
    const credential = await hasher.derive(hasher.ntHash(RIGHT));
    await store.applyCredentials(
      names
        .filter((name) => !name.startsWith('without'))
        .map((name) => ({
          sourceAnchor: name,
          objectId: undefined,
          changeDate: new Date(),
          ...credential,
          forcePasswordChangeOnLogon: false,
        })),
      { disableExpiration: true, actor: 'agent-1' },
    );
  });
  afterAll(async () => {
    await store?.close();
    await hasher?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = (with_: SignInHasher) =>
    createSignIn({
      store,
      hasher: with_,
      settings: { threshold: 10, seconds: 3600, blockHighRisk: false },
      now: () => new Date(),
      log: pino({ level: 'silent' }),
    });

  async function timed(signIn: SignInService, name: string, password: string): Promise<number> {
    const began = process.cpuUsage();
    const outcome = await signIn.signIn({
      userPrincipalName: `${name}@phs.test`,
      password,
      clientId: 'app',
      address: '203.0.113.7',
      flow: 'password',
      correlationId: 'timing',
    });
    const { user, system } = process.cpuUsage(began);
    if (outcome.status !== 'refused') throw new Error(outcome.status);
    return user + system;
  }

  /** Microseconds by kind. */
  async function measure(signIn: SignInService, kinds: readonly string[], rounds: number, first = 0) {
    const times = new Map(kinds.map((kind) => [kind, [] as number[]]));
    for (let round = 0; round < rounds; round++) {
      const names = kinds.flatMap((kind) =>
        Array.from({ length: NAMES }, (_, i) => [kind, `${kind}${first + i}`] as const),
      );
      for (const [kind, name] of shuffled(names)) {
        times.get(kind)!.push(await timed(signIn, name, randomBytes(8).toString('hex')));
      }
    }
    return times;
  }

  it('is the same for users, users without password, and names that nobody has', {
    timeout: 360_000,
  }, async () => {
    const signIn = await start(hasher);
    const kinds = ['known', 'unknown', 'without'] as const;
    const off: string[] = [];
    const isOff = async (first: number) => {
      const times = await measure(signIn, kinds, ROUNDS, first);
      const chances = kinds
        .slice(1)
        .map((kind) => [kind, chanceGreater(times.get('known')!, times.get(kind)!)] as const);
      const found = chances.filter(([, chance]) => Math.abs(chance - 0.5) >= TOLERANCE);
      off.push(...found.map(([kind, chance]) => `${kind}: ${chance}`));
      return found.length > 0;
    };
    let times = 0;
    while (times < TIMES && (await isOff(times * NAMES))) times++;
    expect(times, off.join()).toBeLessThan(TIMES);
    await signIn.close();
  });

  it('is the same for right and wrong passwords of an account that is locked', { timeout: 360_000 }, async () => {
    const signIn = await start(hasher);
    for (let i = 0; i < 10; i++) await timed(signIn, 'known0', randomBytes(8).toString('hex'));
    const chance = async () => {
      const right: number[] = [];
      const wrong: number[] = [];
      for (const isRight of shuffled(Array.from({ length: 800 }, (_, i) => ({ isRight: i % 2 === 0 }))).map(
        (x) => x.isRight,
      )) {
        // Made alike, of the same length: drawing a string just before, and a literal, were 2% apart by themselves.
        const other = randomBytes(8).toString('hex').slice(0, RIGHT.length);
        const password = Buffer.from(isRight ? RIGHT : other).toString();
        (isRight ? right : wrong).push(await timed(signIn, 'known0', password));
      }
      return chanceGreater(right, wrong);
    };
    const chances = [await chance()];
    const isOff = () => Math.abs(chances.at(-1)! - 0.5) >= TOLERANCE;
    while (isOff() && chances.length < TIMES) chances.push(await chance());
    expect(isOff(), chances.join()).toBe(false);
    await signIn.close();
  });

  it('would tell on a sign-in that derives nothing for names that nobody has: the measure sees it', async () => {
    const { credential } = (await store.findSignInUser('known0@phs.test'))!;
    const users = Buffer.from(credential!.salt);
    const faulty: SignInHasher = {
      ntHash: (password) => hasher.ntHash(password),
      derive: async (ntHash, options) => {
        const { salt = new Uint8Array(10), iterations = 1000 } = options ?? {};
        return users.equals(salt) ? hasher.derive(ntHash, options) : { salt, iterations, hash: randomBytes(32) };
      },
    };
    const signIn = await start(faulty);
    const times = await measure(signIn, ['known', 'unknown'], 2);
    expect(chanceGreater(times.get('known')!, times.get('unknown')!)).toBeGreaterThan(0.5 + 2 * TOLERANCE);
    await signIn.close();
  });
});
