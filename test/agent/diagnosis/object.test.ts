/** The diagnosis of one object where the agent's state is what is broken: a real tenant, and a simulated directory. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '#src/agent/clock.js';
import { agentConfigSchema } from '#src/agent/config.js';
import { checkObject, diagnoseObject } from '#src/agent/diagnosis/object.js';
import type { DirectoryObject } from '#src/agent/source.js';
import { LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { configSchemas } from '#src/config/schemas.js';
import type { Hasher } from '#src/hasher/types.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { type CompanyConfiguration, DirSyncFeature } from '#src/provisioning/types.js';
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

test('the keys of a user whose password is not sent are not said to be on their way', async () => {
  const lab = new LabDirectory({ users: 20, now: () => 0 });
  const source = new LabSource(lab);
  const page: { objects: DirectoryObject[] } = (await source.pages(undefined).next()).value;
  const person = page.objects.find(({ userPrincipalName, pwdLastSet }) => userPrincipalName && pwdLastSet !== 0n)!;
  const [connector] = agentConfigSchema(configSchemas(folder)).parse({
    stateDir: './none',
    tenant: { url: tenant.url, auth: { clientId: 'a', clientSecret: { env: 'A' } } },
    connectors: [{ name: 'lab', directory: { type: 'lab', users: 20 } }],
  }).connectors;
  const keys = { legacy: 'AA==', supplemental: 'AA==', keysMissing: false, failure: undefined };
  const company = (dirSyncFeatures: number) => ({ dirSyncFeatures }) as CompanyConfiguration;
  const keysOf = (object: DirectoryObject, features: number = DirSyncFeature.PasswordHashSync) => {
    const certificate = { der: new Uint8Array(), thumbprint: '', subject: '', validFrom: 0, validTo: 0 };
    const checks = checkObject({
      ...{ object, connector: connector!, source, reader: undefined, keys, staging: false, now: 0 },
      guid: guidFromText(object.guid),
      company: company(features),
      domainServices: { kind: 'on', ntlm: true, kerberos: true, epoch: null, certificate },
    });
    return checks.find(({ id }) => id === 'object-keys');
  };
  expect(keysOf(person)).toMatchObject({
    status: 'ok',
    finding: 'NT hash and Kerberos keys sealed, to be sent with the next cycle',
  });
  const mustChange = { ...person, pwdLastSet: 0n };
  expect(keysOf(mustChange)).toMatchObject({
    status: 'skipped',
    finding: 'not sent, as the password is not (FilteredByTarget)',
  });
  const forced = DirSyncFeature.PasswordHashSync | DirSyncFeature.EnableUserForcePasswordChangeOnLogon;
  expect(keysOf(mustChange, forced)).toMatchObject({ status: 'ok' });
});
