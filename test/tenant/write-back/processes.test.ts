/** Password write-back where the person is served by one process of the tenant and the agent asks another, over one PostgreSQL. */

import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { describePostgres } from '../../postgres.js';
import { setFeatures } from '../features.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { killAgents, WireAgent } from './wire-agent.js';

const OLD = 'Old-Passw0rd-äöü-1742';
const NEW = 'New-Passw0rd-ЖЖЖ-𝄞-8361';
const ANCHOR = 'AAECAwQFBgcICQoLDA0ODw==';
const WAIT = { timeout: 60_000, interval: 20 };

describePostgres(
  'two processes of the tenant',
  (postgres) => {
    let hasher: Hasher;
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    let one: TestTenant;
    let two: TestTenant;

    beforeAll(async () => {
      hasher = testHasher();
      directory = await temporaryDirectory();
      const databaseUrl = await postgres().createDatabase();
      const config = { passwordWriteback: { timeoutSeconds: 10 } };
      one = await startTestTenant({ stateDir: directory.path, databaseUrl, hasher, config });
      two = await startTestTenant({ stateDir: directory.path, databaseUrl, hasher, config });
      await setFeatures(one.store, DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
      await one.store.applyUsers([
        {
          kind: 'upsert',
          sourceAnchor: ANCHOR,
          attributes: { userPrincipalName: 'ann@phs.test', dnsDomainName: 'phs.test' },
        },
      ]);
      await vi.waitFor(async () => expect(await listeners()).toHaveLength(2), WAIT);
    });
    afterEach(async () => {
      killAgents();
      await polls(one, 0);
      await polls(two, 0);
      await one.store.database.run((queries) => queries.deleteFrom('writeback_agents').execute());
    });
    afterAll(async () => {
      await one?.close();
      await two?.close();
      await hasher?.close();
      await directory?.remove();
    });

    async function write(at: TestTenant) {
      const user = (await at.store.findSignInUser('ann@phs.test'))!;
      return at.writeback.write({ user, oldPassword: OLD, newPassword: NEW });
    }
    const polls = (at: TestTenant, count: number) =>
      vi.waitFor(async () => expect((await at.writeback.status()).polls).toBe(count), WAIT);
    /** The server's processes. */
    const listeners = async (): Promise<number[]> => {
      const { rows } = await one.store.database.run((queries) =>
        sql<{ pid: number }>`SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`.execute(queries),
      );
      return rows.map(({ pid }) => pid);
    };

    it('a request reaches the agent at the other one, and the answer the person', async () => {
      const agent = await WireAgent.make(two);
      const polled = agent.poll();
      await polls(two, 1);
      const written = write(one);
      const { json } = await polled;
      const opened = await agent.keys.open(json.sealed);
      expect(opened.newPassword.toString()).toBe(NEW);
      expect((await agent.result(json.id, { status: 'done' })).status).toBe(204);
      expect(await written).toEqual({ status: 'done' });
      const moved = await agent.at(one);
      expect((await moved.result(json.id, { status: 'done' })).status).toBe(410);
    });

    it('an agent may answer at another one than where it asked', async () => {
      const agent = await WireAgent.make(one);
      const polled = agent.poll();
      await polls(one, 1);
      const written = write(one);
      const { json } = await polled;
      const moved = await agent.at(two);
      expect((await moved.result(json.id, { status: 'refused', reason: 'history' })).status).toBe(204);
      expect(await written).toMatchObject({ status: 'refused', reason: 'onPremisesPolicy' });
    });

    it('a request that waits is found by a poll that comes later, at the other one', async () => {
      const agent = await WireAgent.make(one);
      const asked = new AbortController();
      const polled = agent.poll({ signal: asked.signal }).catch(() => undefined);
      await polls(one, 1);
      asked.abort();
      await polled;
      await polls(one, 0);
      const moved = await agent.at(two);
      const written = write(one);
      const opened = await moved.take();
      await moved.result(opened.id, { status: 'done' });
      expect(await written).toEqual({ status: 'done' });
    });

    it('of agents at both, one gets it', async () => {
      const agents = await Promise.all([WireAgent.make(one), WireAgent.make(two), WireAgent.make(two)]);
      const taken: string[] = [];
      const polling = agents.map(async (agent) => {
        const { json } = await agent.poll();
        taken.push(json.id);
        await agent.result(json.id, { status: 'done' });
      });
      await polls(one, 1);
      await polls(two, 2);
      const written = await Promise.all([write(two), write(two)]);
      expect(written).toEqual([{ status: 'done' }, { status: 'done' }]);
      expect(new Set(taken).size).toBe(2);
      expect(taken).toHaveLength(2);
      killAgents();
      await Promise.allSettled(polling);
    });

    it('the connection between them comes back when it breaks', async () => {
      const broken = await listeners();
      for (const pid of broken) {
        await one.store.database.run((queries) => sql`SELECT pg_terminate_backend(${pid}::int)`.execute(queries));
      }
      // Those that are told to end may still be seen.
      const fresh = async () => (await listeners()).filter((pid) => !broken.includes(pid));
      await vi.waitFor(async () => expect(await fresh()).toHaveLength(2), WAIT);
      const agent = await WireAgent.make(two);
      const polled = agent.poll();
      await polls(two, 1);
      const written = write(one);
      await agent.result((await polled).json.id, { status: 'done' });
      expect(await written).toEqual({ status: 'done' });
    });

    it('no password is in a row, in what PostgreSQL writes down of every statement, or in a log', async () => {
      // It is on: the requests themselves are there.
      expect(postgres().log).toContain('pg_notify');
      const { rows } = await one.store.database.run((queries) =>
        sql<{
          text: string;
        }>`SELECT query_to_xml('SELECT * FROM writeback_agents', true, false, '')::text AS text`.execute(queries),
      );
      const texts = [postgres().log, one.logText(), two.logText(), JSON.stringify(rows)];
      for (const secret of [OLD, NEW]) {
        for (const encoding of ['utf8', 'utf16le'] as const) {
          const bytes = Buffer.from(secret, encoding);
          for (const needle of [secret, bytes.toString('hex'), bytes.toString('base64').slice(0, -4)]) {
            expect(texts.map((text) => text.includes(needle))).toEqual([false, false, false, false]);
          }
        }
      }
    });
  },
  { settings: { fsync: 'off', log_statement: 'all' } },
);
