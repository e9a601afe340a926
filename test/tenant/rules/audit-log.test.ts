/** The audit log: on disk with its act or not at all, on both databases. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAuditLog } from '#src/tenant/audit/audit-log.js';
import type { AuditEntry, AuditLog } from '#src/tenant/audit/types.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { describeStores } from '../stores.js';

describeStores('the audit log', (newSite) => {
  const now = new Date('2026-03-01T12:00:00.123Z');
  let store: TenantStore;
  let audit: AuditLog;
  beforeAll(async () => {
    store = await (await newSite()).open();
    audit = createAuditLog(store.database, () => now);
  });
  afterAll(() => store.close());

  const entry = (id: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
    actor: { kind: 'user', id: 'admin' },
    activity: 'Reset user password',
    category: 'UserManagement',
    target: { kind: 'User', id, name: 'a@phs.test' },
    result: 'success',
    ...more,
  });
  const rows = (target: string) =>
    store.database.run((queries) =>
      queries.selectFrom('audit_events').selectAll().where('target_id', '=', target).execute(),
    );

  it('keeps who did what to whom, and how it ended', async () => {
    const details = { passwordPolicies: { old: null, new: 'None' } };
    await audit.record(entry('whole', { result: 'failure', reason: 'complexity', details, correlationId: 'c' }));
    const [{ id, audit_id, ...row } = { id: 0, audit_id: '' }, ...others] = await rows('whole');
    expect(others).toEqual([]);
    expect(id).toBeGreaterThan(0);
    expect(audit_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(row).toEqual({
      at: now.getTime(),
      actor_kind: 'user',
      actor_id: 'admin',
      activity: 'Reset user password',
      category: 'UserManagement',
      target_kind: 'User',
      target_id: 'whole',
      target_name: 'a@phs.test',
      result: 'failure',
      reason: 'complexity',
      details: '{"passwordPolicies":{"old":null,"new":"None"}}',
      correlation_id: 'c',
    });
  });

  it('has the entry of an act that is done, and none of one that is not', async () => {
    await store.database.transaction((queries) => audit.record(entry('done'), queries));
    const act = store.database.transaction(async (queries) => {
      await audit.record(entry('undone'), queries);
      throw new Error('planted');
    });
    await expect(act).rejects.toThrow('planted');
    expect([(await rows('done')).length, (await rows('undone')).length]).toEqual([1, 0]);
  });

  it('cuts what is too long, and takes what a database does not', async () => {
    const name = '\0'.repeat(5000);
    await audit.record(
      entry('long', { target: { kind: 'User', id: 'long', name }, details: { text: 'x'.repeat(100_000) } }),
    );
    const [row] = await rows('long');
    expect(row?.target_name).toBe('\ufffd'.repeat(1024));
    expect(row?.details).toBe('{"truncated":true}');
  });
});
