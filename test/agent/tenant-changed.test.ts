import { afterEach, beforeEach, expect, test } from 'vitest';
import { altered, TestSite } from './site.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

test('a state that belongs to another tenant is refused until it is sent as a whole', async () => {
  const lab = site.lab({ users: 20 });
  const first = await site.sync(site.agent(lab));
  // The same tenant under another id: what a rebuilt one answers.
  const client = altered(site.client, {
    getCompanyConfiguration: async (options) => ({
      ...(await site.client.getCompanyConfiguration(options)),
      tenantId: '00000000-0000-0000-0000-00000000abcd',
    }),
  });
  const rebuilt = site.agent(lab, { client });
  const refused = await site.try(rebuilt);
  expect(refused.error?.code).toBe('tenant-changed');
  expect(refused.error?.message).toContain(site.tenant.tenantId);
  expect(refused.credentialsSent).toBe(0);
  const full = await site.sync(rebuilt, true);
  expect(full.credentialsSent).toBe(first.credentialsSent);
  expect((await site.sync(rebuilt)).credentialsSent).toBe(0);
});

test('a state of a first synchronization that was cut off belongs to its tenant, too', async () => {
  const lab = site.lab({ users: 20 });
  const failing = altered(site.client, { provisionCredentials: () => Promise.reject(new Error('cut off')) });
  expect((await site.try(site.agent(lab, { client: failing }))).error?.message).toBe('cut off');
  const other = altered(failing, {
    getCompanyConfiguration: async (options) => ({
      ...(await site.client.getCompanyConfiguration(options)),
      tenantId: '00000000-0000-0000-0000-00000000abcd',
    }),
  });
  expect((await site.try(site.agent(lab, { client: other }))).error?.code).toBe('tenant-changed');
});
