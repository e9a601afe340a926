import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '#src/agent/clock.js';
import { agentConfigSchema } from '#src/agent/config.js';
import { openTenantClient } from '#src/agent/tenant-client.js';
import { parseConfig } from '#src/config/load-config.js';
import { ConnectProxy } from '../provisioning/connect-proxy.js';
import { SECRET, TestSite } from './site.js';

let site: TestSite;
let proxy: ConnectProxy;
beforeEach(async () => {
  site = await TestSite.start();
  proxy = await ConnectProxy.start('agent', 'through');
});
afterEach(async () => {
  await proxy.close();
  await site.stop();
});

const configure = (proxyLines: string) =>
  parseConfig(
    `stateDir: ./agent
tenant:
  url: ${site.tenant.provisioningUrl}
  ca: ${site.tenant.caPath}
  auth: { clientId: agent-1, clientSecret: { env: SECRET } }
  proxy: ${proxyLines}
connectors: [{ name: lab, directory: { type: lab, users: 20 } }]
`,
    join(site.directory, 'agent.yaml'),
    agentConfigSchema,
  );

test('a whole synchronization goes through the proxy of agent.yaml, whose password stands in a file', async () => {
  writeFileSync(join(site.directory, 'proxy-password'), 'through\n', { mode: 0o600 });
  const { tenant } = configure(`{ url: '${proxy.url}', user: agent, password: { file: ./proxy-password } }`);
  const { client, close } = await openTenantClient(tenant, { env: { SECRET }, clock: systemClock });
  const lab = site.lab({ users: 20 });
  expect(await site.sync(site.agent(lab, { client }))).toMatchObject({ credentialsSent: 20, failed: 0 });
  const { host } = new URL(site.tenant.provisioningUrl);
  // Token and provisioning, each over connections of its own.
  expect(proxy.targets.length).toBeGreaterThan(1);
  expect(new Set(proxy.targets)).toEqual(new Set([host]));
  await close();
});

test('user and password of the proxy are keys of their own, and come together', () => {
  const url = new URL(proxy.url);
  url.username = 'agent';
  url.password = 'inline';
  expect(() => configure(`{ url: '${url.href}' }`)).toThrow(
    /tenant.proxy.url: name user and password in keys of their own/,
  );
  expect(() => configure(`{ url: '${proxy.url}', user: agent }`)).toThrow(
    /tenant.proxy: expected both user and password/,
  );
});
