/** `phsync tenant unlock` beside a running tenant. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher, writeText } from './harness.js';
import { addPerson, PASSWORD } from './oidc/people.js';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;
let file: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startTestTenant({ stateDir: directory.path, hasher });
  const config = { stateDir: '.', listen: { port: 0 }, domains: [{ name: 'phs.test' }] };
  file = await writeText(directory.path, 'tenant.yaml', JSON.stringify(config));
});
afterAll(async () => {
  await tenant?.close();
  await hasher?.close();
  await directory?.remove();
});

const unlock = (...more: string[]) => run(process.execPath, [cli, 'tenant', 'unlock', '--config', file, ...more]);
const code = async (name: string, password: string): Promise<number> =>
  (await tenant.signIn(`${name}@phs.test`, password)).json.error_codes?.[0] ?? 0;

it('ends the lockout of this account, for familiar places and others, and writes it into the audit log', async () => {
  const objectId = await addPerson(tenant, 'lena');
  await addPerson(tenant, 'otto');
  expect(await code('lena', PASSWORD)).toBe(0);
  // From a place that has become familiar; and the count of other places beside it.
  await tenant.signInService.log.flush();
  for (const name of ['lena', 'otto']) for (let i = 0; i < 10; i++) await code(name, `wrong ${i}`);
  const { database } = tenant.store;
  await database.run(async (queries) => {
    const row = await queries.selectFrom('lockouts').selectAll().where('familiar', '=', 1).executeTakeFirstOrThrow();
    await queries
      .insertInto('lockouts')
      .values({ ...row, familiar: 0 })
      .execute();
  });
  expect([await code('lena', PASSWORD), await code('otto', PASSWORD)]).toEqual([50053, 50053]);

  const { stdout } = await unlock('--user', 'LENA@phs.test', '--json');
  expect(JSON.parse(stdout)).toEqual({
    tenantId: tenant.tenantId,
    objectId,
    userPrincipalName: 'lena@phs.test',
    wasLocked: true,
    failures: 20,
  });
  expect([await code('lena', PASSWORD), await code('otto', PASSWORD)]).toEqual([0, 50053]);
  const entry = await database.run((queries) =>
    queries.selectFrom('audit_events').selectAll().where('target_id', '=', objectId).executeTakeFirstOrThrow(),
  );
  expect(entry).toMatchObject({
    actor_kind: 'system',
    actor_id: 'phsync tenant unlock',
    activity: 'Unlock user account',
    target_name: 'lena@phs.test',
    result: 'success',
  });
  expect((await unlock('--user', 'lena@phs.test')).stdout).toBe(
    'lena@phs.test was not locked; 0 wrong passwords forgotten\n',
  );
});

it('says whom it does not know, and what it wants', async () => {
  await expect(unlock('--user', 'nobody@phs.test')).rejects.toMatchObject({
    stderr: expect.stringContaining('no user of this tenant has the name nobody@phs.test'),
  });
  await expect(unlock()).rejects.toMatchObject({ stderr: expect.stringContaining("option '--user <name>'") });
  await expect(run(process.execPath, [cli, 'tenant', '--config', file, '--user', 'x'])).rejects.toMatchObject({
    stderr: expect.stringContaining("option '--user' belongs to phsync tenant unlock"),
  });
});
