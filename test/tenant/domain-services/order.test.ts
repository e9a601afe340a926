/**
 * No change is missed: writers whose transactions end in another order than they began, beside a reader who has seen what
 * came in between; and many of them at once.
 */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KyselyPlugin } from 'kysely';
import { beforeAll, expect, it } from 'vitest';
import { recipientOf } from '#src/provisioning/ad-auth-info.js';
import type { FeedChange, FeedUser } from '#src/provisioning/domain-services-feed.js';
import { Feed } from '#src/tenant/domain-services/feed.js';
import { numberChanges } from '#src/tenant/domain-services/sequence.js';
import type { Queries } from '#src/tenant/store/database.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { createCertificate, type TestCertificate } from '../../provisioning/certificates.js';
import { describeStores, type StoreSite } from '../stores.js';
import { ADMIN, sealed, serviceOf, windowsOf } from './site.js';

let certificate: TestCertificate;
beforeAll(async () => {
  certificate = await createCertificate(2048);
});

const now = () => new Date();
const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `n${from + i}`);
const upsert = (store: TenantStore, anchors: readonly string[], displayName: string) =>
  store.applyUsers(
    anchors.map((sourceAnchor) => ({
      kind: 'upsert',
      sourceAnchor,
      attributes: { userPrincipalName: `${sourceAnchor}@phs.test`, displayName },
    })),
  );
const rename = (queries: Queries, anchor: string, display_name: string) =>
  queries.updateTable('users').set({ display_name }).where('source_anchor', '=', anchor).execute();

/** Reads on from where it was, and keeps what it was told. */
class Reader {
  readonly known = new Map<string, FeedUser>();
  readonly #feed: Feed;
  #cookie: string | undefined;

  constructor({ database }: TenantStore) {
    this.#feed = new Feed({ database, now });
  }

  /** @returns the changes of all pages. */
  async read(limit = 500): Promise<FeedChange[]> {
    const all: FeedChange[] = [];
    for (let more = true; more; ) {
      const page = await this.#feed.page(this.#cookie, limit);
      ({ more } = page);
      this.#cookie = page.cookie;
      all.push(...page.value);
    }
    for (const change of all) {
      if ('deleted' in change) this.known.delete(change.id);
      else this.known.set(change.id, change);
    }
    return all;
  }

  displayNames() {
    return new Map([...this.known.values()].map(({ mailNickname, displayName }) => [mailNickname, displayName]));
  }
}

/** A promise, and what fulfils it. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describeStores('the order of changes', (newSite) => {
  async function withTwoStores(work: (one: TenantStore, other: TenantStore, site: StoreSite) => Promise<void>) {
    const site = await newSite();
    const one = await site.open();
    const other = await site.open();
    try {
      await upsert(one, names(0, 40), 'first');
      await serviceOf(one).enable({ domainName: 'aadds.phs.test', certificate: certificate.der }, ADMIN);
      await work(one, other, site);
    } finally {
      await one.close();
      await other.close();
    }
  }

  it('tells of a change that began before another one and was committed after it was read', () =>
    withTwoStores(async (one, other, { kind }) => {
      const reader = new Reader(other);
      await reader.read();
      const [written, end] = [gate(), gate()];
      const late = one.database.transaction(async (queries) => {
        await rename(queries, 'n1', 'late');
        written.open();
        await end.opened;
      });
      await written.opened;
      if (kind === 'postgres') {
        // SQLite has one writer: the second would wait for the first.
        await other.database.transaction((queries) => rename(queries, 'n2', 'early'));
        expect(await reader.read()).toMatchObject([{ mailNickname: 'n2', displayName: 'early' }]);
      }
      expect(await reader.read()).toEqual([]);
      end.open();
      await late;
      expect(await reader.read()).toMatchObject([{ mailNickname: 'n1', displayName: 'late' }]);
      expect(await reader.read()).toEqual([]);
    }));

  it('tells of a change that was committed between any two statements of the numbering', () =>
    withTwoStores(async (one, other, { kind }) => {
      // SQLite has one writer: nothing is committed while changes are numbered.
      if (kind === 'sqlite') return;
      for (let statement = 1; statement <= 4; statement++) {
        const reader = new Reader(other);
        await reader.read();
        const [written, end] = [gate(), gate()];
        const late = one.database.transaction(async (queries) => {
          await rename(queries, 'n1', `late ${statement}`);
          written.open();
          await end.opened;
        });
        await written.opened;
        await other.database.run((queries) => rename(queries, 'n2', `early ${statement}`));
        let statements = 0;
        const between: KyselyPlugin = {
          transformQuery: ({ node }) => node,
          async transformResult({ result }) {
            if (++statements === statement) {
              end.open();
              await late;
            }
            return result;
          },
        };
        const { database } = other;
        await numberChanges(
          {
            dialect: database.dialect,
            run: (work) => database.run(work),
            transaction: (work) => database.transaction((queries) => work(queries.withPlugin(between))),
          },
          new Date(),
        );
        expect(statements).toBe(4);
        await reader.read();
        const told = reader.displayNames();
        expect([told.get('n1'), told.get('n2')]).toEqual([`late ${statement}`, `early ${statement}`]);
      }
    }));

  it('tells of a change that was committed while the first reading went on, whether it had come by or not', () =>
    withTwoStores(async (one, other) => {
      const feed = new Feed({ database: other.database, now });
      const [written, end] = [gate(), gate()];
      const late = one.database.transaction(async (queries) => {
        await rename(queries, 'n1', 'late');
        await rename(queries, 'n30', 'late');
        written.open();
        await end.opened;
      });
      await written.opened;
      const first = await feed.page(undefined, 10);
      expect(first.value[1]).toMatchObject({ displayName: 'first' });
      end.open();
      await late;
      let { cookie, more } = first;
      const told: FeedChange[] = [];
      for (let round = 0; round < 5 || more; round++) {
        const page = await feed.page(cookie, 10);
        ({ cookie, more } = page);
        told.push(...page.value);
      }
      const late1 = told.filter((change) => 'displayName' in change && change.displayName === 'late');
      expect(late1.map((change) => (change as FeedUser).mailNickname)).toEqual(['n30', 'n1', 'n30']);
    }));

  it('tells of changes in the order in which they were made', () =>
    withTwoStores(async (one) => {
      const all = names(0, 20);
      await upsert(one, all, 'before');
      const reader = new Reader(one);
      await reader.read();
      const order = [...all.slice(10), ...all.slice(0, 10).reverse()];
      for (const anchor of order) await one.database.run((queries) => rename(queries, anchor, 'after'));
      const told = await reader.read();
      expect(told.map((change) => ('deleted' in change ? '' : change.mailNickname))).toEqual(order);
    }));

  it('leaves nothing out and never goes back, with writers and readers at once', { timeout: 240_000 }, () =>
    withTwoStores(async (one, second, { kind }) => {
      // Two of SQLite in one process would wait for each other with the thread that both need.
      const other = kind === 'sqlite' ? one : second;
      const { thumbprint } = recipientOf(certificate.der);
      const pool = Array.from({ length: 8 }, () => sealed(certificate.der));
      const all = names(0, 40);
      const seen = new Map<string, number>();
      let backwards = 0;
      let running = true;
      const watch = async (store: TenantStore, number: number) => {
        const reader = new Reader(store);
        while (running) {
          for (const change of await reader.read(7)) {
            const at = 'credentials' in change ? Date.parse(change.credentials?.changeDate ?? '') : Number.NaN;
            if (Number.isNaN(at)) continue;
            const key = `${number} ${change.id}`;
            if (at < (seen.get(key) ?? 0)) backwards++;
            seen.set(key, at);
          }
        }
        await reader.read();
        return reader;
      };
      let clock = 1_000_000;
      const write = async (store: TenantStore, rounds: number) => {
        for (let round = 0; round < rounds; round++) {
          const from = (round * 7) % 30;
          const some = all.slice(from, from + 10);
          await upsert(store, some, `round ${clock++}`);
          // Of whom nothing is told again.
          await upsert(store, [`once${clock++}`], 'once');
          const changes = some.map((sourceAnchor, i) => ({
            ...{ sourceAnchor, objectId: undefined, changeDate: new Date(clock++), iterations: 1000 },
            ...{ salt: randomBytes(10), hash: randomBytes(32), forcePasswordChangeOnLogon: false },
            windows: windowsOf(thumbprint, pool[(round + i) % pool.length]!),
          }));
          await store.applyCredentials(changes, { disableExpiration: true, actor: 'agent-1' });
          if (round % 5 === 0) await store.applyUsers([{ kind: 'delete', sourceAnchor: `n${30 + (round % 10)}` }]);
        }
      };
      const readers = [watch(one, 1), watch(other, 2)];
      await Promise.all([write(one, 40), write(other, 40), write(one, 40), write(other, 40)]);
      running = false;
      const truth = new Reader(one);
      await truth.read();
      expect(truth.known.size).toBeGreaterThan(180);
      for (const reader of await Promise.all(readers)) {
        expect(new Map([...reader.known].sort())).toEqual(new Map([...truth.known].sort()));
      }
      expect(backwards).toBe(0);
      expect(seen.size).toBeGreaterThan(40);
    }),
  );

  it(
    'stores nothing and notes nothing once they are disabled, though batches were under way',
    { timeout: 240_000 },
    () =>
      withTwoStores(async (one, second, { kind }) => {
        const other = kind === 'sqlite' ? one : second;
        const service = serviceOf(one);
        const { thumbprint } = recipientOf(certificate.der);
        const blobs = sealed(certificate.der);
        const anchors = names(0, 40);
        let running = true;
        let clock = 1;
        const outcomes = new Map<string, number>();
        const send = async (store: TenantStore) => {
          while (running) {
            // The promises of SQLite's alone let no timer come.
            await sleep(1);
            const changeDate = new Date(clock++);
            await upsert(store, anchors, `round ${clock++}`);
            await store.applyCredentials(
              anchors.map((sourceAnchor) => ({
                ...{ sourceAnchor, objectId: undefined, changeDate, iterations: 1000 },
                ...{ salt: randomBytes(10), hash: randomBytes(32), forcePasswordChangeOnLogon: false },
                windows: windowsOf(thumbprint, blobs),
              })),
              {
                ...{ disableExpiration: true, actor: 'agent-1' },
                onWindows: (_, outcome) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1),
              },
            );
          }
        };
        const senders = [send(one), send(other)];
        const left = () =>
          one.database.run(async (queries) => [
            await queries.selectFrom('windows_credentials').select('user_id').execute(),
            await queries.selectFrom('domain_services_pending').select('id').execute(),
            await queries.selectFrom('domain_services_feed').select('sequence').execute(),
          ]);
        /** Until a batch that comes from now on has had this outcome. */
        const another = async (outcome: string) => {
          const before = outcomes.get(outcome);
          while (outcomes.get(outcome) === before) await sleep(1);
        };
        for (let round = 0; round < 6; round++) {
          await another('stored');
          await service.disable(ADMIN);
          await another('off');
          expect(await left()).toEqual([[], [], []]);
          await service.enable({}, ADMIN);
        }
        running = false;
        await Promise.all(senders);
      }),
  );
});
