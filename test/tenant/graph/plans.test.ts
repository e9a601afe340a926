/** Lists go along an index, whatever is asked for: the databases' own plans, over enough users that they matter. */

import { type CompiledQuery, sql } from 'kysely';
import { beforeAll, expect, it } from 'vitest';
import { selectAudits } from '#src/tenant/graph/logs/directory-audits.js';
import { selectSignIns } from '#src/tenant/graph/logs/sign-ins.js';
import { parseFilter } from '#src/tenant/graph/odata/filter.js';
import type { Position } from '#src/tenant/graph/odata/skip-tokens.js';
import { findUser, orderOf, selectPage, userFilters } from '#src/tenant/graph/users/user-store.js';
import type { Queries } from '#src/tenant/store/database.js';
import { describeGraph, type GraphTenant } from './graph-tenant.js';

/** Enough for PostgreSQL to prefer indexes. */
const USERS = 8000;
const LOGS = 8000;
const LIMIT = 101;

describeGraph('plans', (tenant, dialect) => {
  let queries: Queries;

  beforeAll(async () => {
    await fill(tenant());
    await tenant().store.database.run(async (database) => {
      queries = database;
      await sql`ANALYZE`.execute(database);
    });
  }, 240_000);

  /** The database's plan of the query, as one text. */
  async function planOf(query: { compile(): CompiledQuery<unknown> }): Promise<string> {
    const compiled = query.compile();
    const prefix = dialect === 'sqlite' ? 'EXPLAIN QUERY PLAN' : 'EXPLAIN';
    const { rows } = await tenant().store.database.run((database) =>
      database.executeQuery<Readonly<Record<string, unknown>>>({ ...compiled, sql: `${prefix} ${compiled.sql}` }),
    );
    return rows.map((row) => String(row.detail ?? row['QUERY PLAN'])).join('\n');
  }

  /** No walk over all rows, and no sorting of what was found. */
  function expectIndexed(plan: string): void {
    if (dialect === 'sqlite') {
      // SCAN … USING INDEX goes along it, and stops at the limit.
      expect(plan).not.toMatch(/SCAN (?!\w+ USING (COVERING )?INDEX)/);
      expect(plan).not.toMatch(/TEMP B-TREE/);
    } else {
      expect(plan).not.toMatch(/Seq Scan on (users|credentials|sign_ins|audit_events)/);
      // What a unique key, or one user, comes to may be sorted.
      for (const [, rows] of plan.matchAll(/Sort +\(cost=\S+ rows=(\d+)/g)) expect(Number(rows)).toBeLessThan(LIMIT);
    }
  }

  const PAGES: readonly { name: string; filter?: string; start?: Position; index?: string }[] = [
    { name: 'all, the first page' },
    { name: 'all, a page in the midst', start: [USERS / 2] },
    { name: 'enabled ones', filter: 'accountEnabled eq true', start: [USERS / 2] },
    { name: 'disabled ones', filter: 'accountEnabled eq false', start: [10], index: 'users_disabled' },
    { name: 'of on premises', filter: 'onPremisesSyncEnabled eq true' },
    { name: 'by beginning', filter: "startswith(userPrincipalName,'user1')", index: 'users_upn' },
    {
      name: 'by beginning, further on',
      filter: "startswith(userPrincipalName,'user1')",
      start: ['user15@phs.test'],
      index: 'users_upn',
    },
    { name: 'by id', filter: "id eq '00000000-0000-7000-8000-000000000001'" },
    { name: 'by name', filter: "userPrincipalName eq 'user7@phs.test'", index: 'users_upn' },
    { name: 'by anchor', filter: "onPremisesImmutableId eq 'anchor-7'" },
  ];

  it.each(PAGES)('users: $name', async ({ filter, start, index }) => {
    const conditions = filter === undefined ? [] : parseFilter(filter, userFilters)[0]!;
    const order = orderOf(conditions, undefined);
    const plan = await planOf(selectPage(queries, conditions, { order, start, limit: LIMIT }));
    expectIndexed(plan);
    if (index !== undefined) expect(plan).toContain(index);
  });

  it('users in the order of names', async () => {
    expectIndexed(
      await planOf(selectPage(queries, [], { order: 'userPrincipalName', start: ['user5@phs.test'], limit: LIMIT })),
    );
  });

  it('one user', async () => {
    expect((await findUser(queries, 'user7@phs.test'))?.user_principal_name).toBe('user7@phs.test');
  });

  const SIGN_IN_FILTERS = {
    createdDateTime: { type: 'dateTime', operators: ['ge', 'le'] },
    userId: { type: 'string', operators: ['eq'] },
  } as const;

  it.each([
    ['all', '', undefined],
    ['all, a page in the midst', '', [1_700_000_010_000, 5000]],
    ['of a time', 'createdDateTime ge 2023-11-14T22:13:20Z', undefined],
    ['of a user', "userId eq 'user-7'", [1_700_000_010_000, 5000]],
  ] as const)('sign-ins: %s', async (_name, filter, start) => {
    const conditions = filter === '' ? [] : parseFilter(filter, SIGN_IN_FILTERS)[0]!;
    expectIndexed(await planOf(selectSignIns(queries, conditions, { start, limit: LIMIT })));
  });

  it('audit log', async () => {
    expectIndexed(await planOf(selectAudits(queries, [], { start: [1_700_000_010_000, 5000], limit: LIMIT })));
  });
});

async function fill({ store }: GraphTenant): Promise<void> {
  const credential = { salt: Buffer.alloc(10), iterations: 1000, hash: Buffer.alloc(32), changeDate: new Date(0) };
  for (let at = 0; at < USERS; at += 4000) {
    await store.applyUsers(
      Array.from({ length: 4000 }, (_, i) => ({
        kind: 'upsert' as const,
        sourceAnchor: `anchor-${at + i}`,
        attributes: {
          userPrincipalName: `user${at + i}@phs.test`,
          displayName: `User ${at + i}`,
          accountEnabled: (at + i) % 20 !== 0,
        },
      })),
    );
    await store.applyCredentials(
      Array.from({ length: 4000 }, (_, i) => ({
        ...credential,
        sourceAnchor: `anchor-${at + i}`,
        objectId: undefined,
        forcePasswordChangeOnLogon: false,
      })),
      { disableExpiration: true, actor: 'agent-1' },
    );
  }
  for (let at = 0; at < LOGS; at += 500) {
    const numbers = Array.from({ length: 500 }, (_, i) => at + i);
    await store.database.transaction(async (queries) => {
      await queries
        .insertInto('sign_ins')
        .values(
          numbers.map((n) => ({
            sign_in_id: `sign-in-${n}`,
            at: 1_700_000_000_000 + n,
            user_object_id: `user-${n % 500}`,
            user_principal_name: `user${n % 500}@phs.test`,
            client_id: 'app',
            flow: 'password',
            address: '127.0.0.1',
            familiar: 1,
            error_code: 0,
            correlation_id: '',
          })),
        )
        .execute();
      await queries
        .insertInto('audit_events')
        .values(
          numbers.map((n) => ({
            audit_id: `audit-${n}`,
            at: 1_700_000_000_000 + n,
            actor_kind: 'app',
            actor_id: 'app',
            activity: 'Update user',
            category: 'UserManagement',
            target_kind: 'User',
            target_id: `user-${n}`,
            target_name: null,
            result: 'success',
            reason: null,
            details: '{}',
            correlation_id: null,
          })),
        )
        .execute();
    });
  }
}
