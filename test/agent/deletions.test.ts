import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CycleReport } from '#src/agent/agent.js';
import { deletionThreshold } from '#src/agent/deletions.js';
import { UnseenOus } from '#src/agent/scope.js';
import type { LabDirectory } from '#src/agent/sources/lab-source.js';
import { altered, connector, TestSite } from './site.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

const MISTYPED = 'OU=Lap,DC=lab,DC=test';
const inOu = (dn: string) => [connector({ scope: { include: [dn], exclude: [] } })];

async function cycle(lab: LabDirectory, parts: Parameters<TestSite['agent']>[1], allowDeletions = false) {
  const agent = site.agent(lab, { pageSize: 100, ...parts });
  const [report] = await agent.cycle({ signal: new AbortController().signal, allowDeletions });
  return report as CycleReport;
}

const warnings = () => site.logged.map((line) => JSON.parse(line)).filter(({ ou }) => ou !== undefined);

describe('a mistyped OU', () => {
  test('deletes no more users than the threshold, in no number of cycles, until it is allowed', async () => {
    const lab = site.lab({ users: 1200 });
    const { created } = await site.sync(site.agent(lab));
    const stopped = await cycle(lab, { connectors: inOu(MISTYPED) });
    expect(stopped.error).toMatchObject({ code: 'too-many-deletions' });
    expect(stopped.error!.message).toMatch(
      /at least \d+ more would follow, the threshold is 500\. .*OU=Lap,DC=lab,DC=test\..*--allow-deletions/,
    );
    expect(stopped.deleted).toBeGreaterThan(300);
    expect(stopped.deleted).toBeLessThanOrEqual(500);
    site.closeStore();
    const again = await cycle(lab, { connectors: inOu(MISTYPED) });
    expect(again.error?.code).toBe('too-many-deletions');
    expect(stopped.deleted + again.deleted).toBeLessThanOrEqual(500);
    expect(await site.tenant.store.counts()).toMatchObject({ users: created - stopped.deleted - again.deleted });
    const allowed = await cycle(lab, { connectors: inOu(MISTYPED) }, true);
    expect(allowed.error).toBeUndefined();
    expect(await site.tenant.store.counts()).toMatchObject({ users: 0 });
    // That settles it: the threshold counts from here.
    expect(site.store.connector('lab').deletions).toBe(0);
  });

  test('is mended by the right name, which brings everybody back', async () => {
    const lab = site.lab({ users: 1200 });
    const { created } = await site.sync(site.agent(lab));
    const stopped = await cycle(lab, { connectors: inOu(MISTYPED) });
    const mended = await cycle(lab, { connectors: inOu('OU=Lab,DC=lab,DC=test') });
    expect(mended).toMatchObject({ error: undefined, created: stopped.deleted, deleted: 0 });
    expect(await site.tenant.store.counts()).toMatchObject({ users: created });
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('sends nothing of a page that would pass the threshold by itself', async () => {
    const lab = site.lab({ users: 1200 });
    await site.sync(site.agent(lab));
    const stopped = await cycle(lab, { connectors: inOu(MISTYPED), pageSize: 1000 });
    expect(stopped).toMatchObject({ deleted: 0, error: { code: 'too-many-deletions' } });
  });

  test('is named where the whole directory was looked at, and a right one is not', async () => {
    const lab = site.lab();
    const scope = { include: ['OU=Lab,DC=lab,DC=test'], exclude: ['OU=Former,DC=lab,DC=test'] };
    const parts = { connectors: [connector({ scope })] };
    await cycle(lab, parts);
    expect(warnings()).toEqual([expect.objectContaining({ level: 'warn', connector: 'lab', ou: scope.exclude[0] })]);
    site.logged.length = 0;
    await cycle(lab, parts);
    expect(warnings()).toEqual([]);
  });
});

test('users who do not exist in the tenant do not count: all that makes up for a broken cycle may', async () => {
  const lab = site.lab({ users: 1200 });
  const client = altered(site.client, {
    provisionAzureADSyncObjects: () => Promise.reject(new Error('cut off')),
  });
  const scope = { include: ['OU=Unit 3,OU=Lab,DC=lab,DC=test'], exclude: [] };
  expect((await cycle(lab, { client, connectors: [connector({ scope })] })).error).toBeDefined();
  expect(await cycle(lab, { connectors: [connector({ scope })] })).toMatchObject({ error: undefined, failed: 0 });
});

test.each([
  ['EnabledForCount', 500, 0, 500],
  ['EnabledForCount', 0, 0, Number.POSITIVE_INFINITY],
  ['EnabledForPercentage', 500, 10, 101],
  ['Disabled', 500, 10, Number.POSITIVE_INFINITY],
  ['', 500, 10, Number.POSITIVE_INFINITY],
])(
  '%s, count %d, percentage %d: a threshold of %d',
  (deletionPrevention, thresholdCount, thresholdPercentage, users) => {
    const announced = { deletionPrevention, thresholdCount, thresholdPercentage };
    expect(deletionThreshold(announced, () => 1001)).toBe(users);
  },
);

test('an OU is seen in itself and in whatever lies below', () => {
  const ous = new UnseenOus({ include: ['OU=A,DC=x', 'OU=B,OU=A,DC=x'], exclude: ['OU=C,DC=x', 'OU=D,DC=x'] });
  ous.note('ou=c,dc=X');
  ous.note('CN=Ann,OU=B,OU=A,DC=x');
  ous.note('CN=Ann,OU=NotD,DC=x');
  expect(ous.names).toEqual(['OU=D,DC=x']);
});
