/** The diagnosis of one object where the agent's state is what is broken: a real tenant, and a simulated directory. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '#src/agent/clock.js';
import { diagnoseObject } from '#src/agent/diagnosis/object.js';
import type { DirectoryObject } from '#src/agent/source.js';
import { LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import type { Hasher } from '#src/hasher/types.js';
import { AGENT, startTestTenant, testHasher } from '../../tenant/harness.js';

let folder: string;
let hasher: Hasher;
let tenant: Awaited<ReturnType<typeof startTestTenant>>;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'phsync-diagnose-object-'));
  hasher = testHasher();
  const config = { domains: [{ name: 'lab.test' }] };
  tenant = await startTestTenant({ stateDir: join(folder, 'tenant'), hasher, config });
});
afterAll(async () => {
  await tenant?.close();
  await hasher?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a state that cannot be read is an error, as it is without --dn', async () => {
  const stateDir = join(folder, 'state');
  mkdirSync(stateDir, { mode: 0o700 });
  writeFileSync(join(stateDir, 'agent.sqlite'), 'no database, whatever its name says'.repeat(100));
  const file = join(folder, 'agent.yaml');
  writeFileSync(
    file,
    stringify({
      stateDir,
      tenant: {
        url: `${tenant.url}/provisioningservice.svc`,
        ca: tenant.caPath,
        auth: { clientId: AGENT.clientId, clientSecret: { env: 'AGENT_SECRET' } },
      },
      connectors: [{ name: 'lab', directory: { type: 'lab', users: 20 } }],
    }),
  );
  const lab = new LabDirectory({ users: 20, now: () => 0 });
  const { objects } = (await new LabSource(lab).pages(undefined).next()).value!;
  const { dn } = objects.find(({ userPrincipalName }: DirectoryObject) => userPrincipalName !== undefined);
  const options = { clock: systemClock, env: { AGENT_SECRET: AGENT.secret }, connector: undefined, dn };
  const checks = await diagnoseObject(file, options);
  expect(checks.filter(({ status }) => status === 'error').map(({ id }) => id)).toEqual(['state-directory']);
});
