/** Finding out which names there are: by what is answered, and by the time it takes, over 2,000 tries and more. */

import { randomInt, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCredential } from '#src/hasher/credential.js';
import type { Hasher } from '#src/hasher/types.js';
import { REFUSAL_MS } from '#src/tenant/sign-in/even-refusal.js';
import type { SignInHasher } from '#src/tenant/sign-in/password-check.js';
import {
  credentialText,
  type Reply,
  startTestTenant,
  type TestTenant,
  temporaryDirectory,
  testHasher,
  vectors,
} from '../harness.js';
import { Browser, follow, hiddenFields, PASSWORD } from '../oidc/people.js';
import { ALARM, median, signedRank } from './signed-rank.js';

/** A round has one try of each kind. */
const ROUNDS = 250;
/** Until the planted fault is noticed; on a quiet machine a few dozen are enough. */
const MOST_ROUNDS = 3000;
const THRESHOLD = 10;
/**
 * A row in hand, and a line of the log that names it, are up to 3 % of a try (seen over 2,000 rounds), which the moment
 * that refusals wait for hides; a hash is 30 %.
 */
const SHARE = 0.1;
/** What tells does so whenever it is measured; chance, and what else the machine does, are not there every time. */
const MEASUREMENTS = 3;

/** Names that answer "wrong": each is tried once, so that none is locked. */
const KINDS = ['unknown', 'known', 'withoutPassword', 'disabled', 'deleted'] as const;
type Kind = (typeof KINDS)[number];
/** Names that are locked; there is nothing to learn from the password either. */
const LOCKED_KINDS = ['lockedUnknown', 'lockedKnown', 'lockedRight'] as const;

const hasher: Hasher = testHasher();
const credential = parseCredential(credentialText(vectors[0]!));
let directories: Awaited<ReturnType<typeof temporaryDirectory>>[];
let tenant: TestTenant;
/** Verifies nothing where there is no credential. */
let planted: TestTenant;

/** All of one length. */
const nameOf = (kind: Kind | 'locked' | 'lockedUnknown', i: number) =>
  `user-${'abcdefg'[[...KINDS, 'locked', 'lockedUnknown'].indexOf(kind)]}${String(i).padStart(4, '0')}@phs.test`;

beforeAll(async () => {
  directories = await Promise.all([quietDirectory(), quietDirectory()]);
  const [stateDir = '', second = ''] = directories.map(({ path }) => path);
  const config = {
    signIn: { lockoutSeconds: 18_000 },
    applications: [{ clientId: 'app', redirectUris: ['https://app.example/'] }],
  };
  const hasty: SignInHasher & Pick<Hasher, 'info'> = {
    info: hasher.info,
    ntHash: (password) => hasher.ntHash(password),
    derive: async (ntHash, options) =>
      Buffer.compare(options?.salt ?? Buffer.of(), credential.salt) === 0
        ? hasher.derive(ntHash, options)
        : { ...credential, hash: Buffer.alloc(32) },
  };
  // What the work takes, without the moment that refusals wait for.
  tenant = await startTestTenant({ stateDir, hasher, config, refusalMs: 0 });
  planted = await startTestTenant({ stateDir: second, hasher: hasty, config, refusalMs: 0 });
  await Promise.all([tenant, planted].map(populate));
});
afterAll(async () => {
  await Promise.all([tenant, planted].map((each) => each.close()));
  await hasher.close();
  await Promise.all(directories.map((directory) => directory.remove()));
});

/** In memory where the system has a place for that: how long a disk takes to write hides what is measured here. */
async function quietDirectory(): ReturnType<typeof temporaryDirectory> {
  const path = await mkdtemp('/dev/shm/phsync-tenant-').catch(() => undefined);
  return path === undefined ? temporaryDirectory() : { path, remove: () => rm(path, { recursive: true, force: true }) };
}

async function populate({ store }: TestTenant): Promise<void> {
  const people = KINDS.filter((kind) => kind !== 'unknown').flatMap((kind) =>
    Array.from({ length: ROUNDS + 10 }, (_, i) => ({ kind, name: nameOf(kind, i) })),
  );
  people.push({ kind: 'known', name: nameOf('locked', 0) });
  const upsert = people.map(({ kind, name }) => ({
    kind: 'upsert' as const,
    sourceAnchor: name,
    attributes: { userPrincipalName: name, displayName: name, accountEnabled: kind !== 'disabled' },
  }));
  await store.applyUsers(upsert);
  await store.applyCredentials(
    people
      .filter(({ kind }) => kind !== 'withoutPassword')
      .map(({ name }) => ({
        sourceAnchor: name,
        objectId: undefined,
        changeDate: new Date(),
        ...credential,
        forcePasswordChangeOnLogon: false,
      })),
    { disableExpiration: true, actor: 'agent-1' },
  );
  const deleted = people.filter(({ kind }) => kind === 'deleted');
  await store.applyUsers(deleted.map(({ name }) => ({ kind: 'delete' as const, sourceAnchor: name })));
}

const attempt = (at: TestTenant, username: string, password = 'not the password') =>
  at.token(
    { grant_type: 'password', client_id: 'app', username, password },
    { headers: { 'client-request-id': '5ca1ab1e-0000-4000-8000-000000000002' } },
  );

const lock = async (at: TestTenant, name: string) => {
  for (let i = 0; i < THRESHOLD; i++) await attempt(at, name, randomUUID());
};

/** What is the same for all, whatever the name: without ids, times and the name itself. */
const seen = ({ status, headers, text }: Pick<Reply, 'status' | 'headers' | 'text'>, name: string) => ({
  status,
  headers: Object.entries(headers)
    .filter(([header]) => !['date', 'set-cookie', 'location'].includes(header))
    .sort(),
  text: text
    .replaceAll(name, '{name}')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '{id}')
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)/g, '{time}'),
});

describe('the answer is the same for names that there are and names that there are not', () => {
  const i = ROUNDS + 1;

  it('at the token endpoint, to the byte and the header', async () => {
    const answers = await Promise.all(
      KINDS.map(async (kind) => seen(await attempt(tenant, nameOf(kind, i)), nameOf(kind, i))),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]?.text).toContain('AADSTS50126');
  });

  it('where a name is locked', async () => {
    const answers: unknown[] = [];
    for (const kind of KINDS) {
      const name = nameOf(kind, i + 1);
      await lock(tenant, name);
      answers.push(seen(await attempt(tenant, name), name), seen(await attempt(tenant, name, PASSWORD), name));
    }
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(JSON.stringify(answers[0])).toContain('AADSTS50053');
  });

  it('where the realm is asked for', async () => {
    const answers = await Promise.all(
      KINDS.map(async (kind) => seen(await tenant.get(`/common/userrealm/${nameOf(kind, i)}`), nameOf(kind, i))),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });

  it('at the sign-in page, from the name to the refusal', async () => {
    const walk = async (name: string) => {
      const browser = new Browser(tenant.dispatcher);
      const query = new URLSearchParams({
        client_id: 'app',
        redirect_uri: 'https://app.example/',
        response_type: 'code',
        scope: 'openid',
        code_challenge: 'x'.repeat(43),
        code_challenge_method: 'S256',
      });
      const pages = [
        await follow(browser, tenant, await browser.get(`${tenant.url}/common/oauth2/v2.0/authorize?${query}`)),
      ];
      for (const fields of [{ name }, { password: 'not the password' }]) {
        const { text } = pages.at(-1)!;
        const action = `${tenant.url}${/<form method="post" action="([^"]+)"/.exec(text)![1]}`;
        const reply = await browser.post(action, { ...hiddenFields(text), ...fields });
        pages.push(await follow(browser, tenant, reply));
      }
      return pages.map((page) => {
        const { text, ...rest } = seen(page, name);
        // The interaction's own id and token.
        return { ...rest, text: text.replace(/\/sign-in\/[\w-]+|value="[\w-]{43}"/g, '{own}') };
      });
    };
    const walks: Awaited<ReturnType<typeof walk>>[] = [];
    for (const kind of KINDS) walks.push(await walk(nameOf(kind, i + 2)));
    for (const pages of walks) expect(pages).toEqual(walks[0]);
    expect(walks[0]?.at(-1)?.text).toMatch(/password/i);
  });
});

describe('a refusal waits for a moment that was set before anything was known', () => {
  let stateDir: Awaited<ReturnType<typeof temporaryDirectory>>;
  let even: TestTenant;

  beforeAll(async () => {
    stateDir = await quietDirectory();
    even = await startTestTenant({ stateDir: stateDir.path, hasher });
    await populate(even);
    for (const name of [nameOf('locked', 0), nameOf('lockedUnknown', 0)]) await lock(even, name);
  });
  afterAll(async () => {
    await even.close();
    await stateDir.remove();
  });

  it.each([...KINDS.map((kind) => nameOf(kind, 0)), nameOf('locked', 0), nameOf('lockedUnknown', 0)])(
    'for %s',
    async (name) => {
      const began = performance.now();
      const { status } = await attempt(even, name);
      expect(status).toBe(400);
      // Timers count whole milliseconds.
      expect(performance.now() - began).toBeGreaterThan(REFUSAL_MS - 2);
    },
  );
});

describe('the time is the same', () => {
  type Times = Readonly<Record<string, number[]>>;

  /** One after the other, in rounds, each round in an order of its own, until `enough`. */
  async function measure(
    tries: Readonly<Record<string, (round: number) => Promise<unknown>>>,
    enough: (times: Times, rounds: number) => boolean,
  ): Promise<Times> {
    const names = Object.keys(tries);
    const times: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
    for (const name of names) for (let i = 0; i < 3; i++) await tries[name]!(0);
    for (let round = 0; !enough(times, round); round++) {
      const order = [...names];
      for (let k = order.length - 1; k > 0; k--) {
        const other = randomInt(k + 1);
        [order[k], order[other]] = [order[other]!, order[k]!];
      }
      for (const name of order) {
        const began = performance.now();
        // From the first again, after the last; one wrong password counts once.
        await tries[name]!(round % ROUNDS);
        times[name]!.push(performance.now() - began);
      }
    }
    return times;
  }

  const compare = (times: Times, one: string, other: string) => {
    const differences = times[one]!.map((time, round) => time - times[other]![round]!);
    const share = median(differences) / median(times[other]!);
    return { z: signedRank(differences), share };
  };
  type Comparison = ReturnType<typeof compare>;
  const isAlarm = ({ z, share }: Comparison) => Math.abs(z) >= ALARM && Math.abs(share) >= SHARE;
  const told = (times: Times) =>
    Object.entries(times)
      .map(([name, values]) => `${name} ${Math.round(median(values) * 1000)} µs`)
      .join(', ');

  const firstTries = (at: TestTenant, kinds: readonly Kind[]) =>
    Object.fromEntries(kinds.map((kind) => [kind, (round: number) => attempt(at, nameOf(kind, round))]));

  it('for wrong passwords, behind a lock, and for the realm, over 2,000 tries and more', {
    timeout: 360_000,
  }, async () => {
    for (const name of [nameOf('locked', 0), nameOf('lockedUnknown', 0)]) await lock(tenant, name);
    const tries = {
      ...firstTries(tenant, KINDS),
      lockedUnknown: () => attempt(tenant, nameOf('lockedUnknown', 0)),
      lockedKnown: () => attempt(tenant, nameOf('locked', 0)),
      lockedRight: () => attempt(tenant, nameOf('locked', 0), PASSWORD),
      realmUnknown: (round: number) => tenant.get(`/common/userrealm/${nameOf('unknown', round)}`),
      realmKnown: (round: number) => tenant.get(`/common/userrealm/${nameOf('known', round)}`),
    };
    const pairs = [
      ...KINDS.slice(1).map((kind) => [kind, KINDS[0]] as const),
      ...LOCKED_KINDS.slice(1).map((kind) => [kind, LOCKED_KINDS[0]] as const),
      ['realmKnown', 'realmUnknown'] as const,
    ];
    let times: Times = {};
    const again = async () => {
      times = await measure(tries, (_times, rounds) => rounds === ROUNDS);
      return pairs.map(([one, other]) => [`${one} / ${other}`, compare(times, one, other)] as const);
    };
    let alarms = await again();
    for (let n = 1; n < MEASUREMENTS && alarms.some(([, comparison]) => isAlarm(comparison)); n++) {
      // Of those that it was told of before.
      const before = new Map(alarms.filter(([, comparison]) => isAlarm(comparison)));
      alarms = (await again()).filter(([pair]) => before.has(pair));
    }
    if (process.env.PHSYNC_SHOW_TIMES) {
      const differences = times.known!.map((time, round) => time - times.unknown![round]!);
      const noticed = Array.from({ length: 200 }, (_, i) => (i + 1) * 10).find(
        (us) => signedRank(differences.map((difference) => difference + us / 1000)) > ALARM,
      );
      const shuffled = Array.from({ length: 2000 }, () =>
        Math.abs(signedRank(differences.map((difference) => (randomInt(2) === 0 ? difference : -difference)))),
      );
      const false3 = shuffled.filter((z) => z > 3).length / shuffled.length;
      console.log(
        told(times),
        alarms,
        `noticed from ${noticed} µs on`,
        `beyond 3: ${false3}, most ${Math.max(...shuffled)}`,
      );
    }
    const shown = alarms.filter(([, comparison]) => isAlarm(comparison)).map(([pair]) => pair);
    expect(shown, told(times)).toEqual([]);
  });

  it('and where it is not, this is noticed: a tenant that does not hash for names without password', {
    timeout: 360_000,
  }, async () => {
    const isNoticed = (times: Times) => {
      const comparison = compare(times, 'known', 'unknown');
      return isAlarm(comparison) && comparison.z > 0;
    };
    const times = await measure(
      firstTries(planted, ['unknown', 'known']),
      (soFar, rounds) => rounds === MOST_ROUNDS || (rounds % 25 === 0 && rounds > 0 && isNoticed(soFar)),
    );
    if (process.env.PHSYNC_SHOW_TIMES) console.log(told(times), times.known?.length);
    expect(isNoticed(times), told(times)).toBe(true);
  });
});
