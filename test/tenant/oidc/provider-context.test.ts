/** oidc-provider's AsyncLocalStorage costs every promise of the process, as long as it is on: Node before 24 says so by `enabled`. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { providerStorage, withinProviderContext } from '#src/tenant/oidc/provider-context.js';
import { type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { startOidcTenant } from './site.js';

const storage = providerStorage!;
const isOn = () => (storage as unknown as { readonly enabled: boolean }).enabled;

it('is found in the version of oidc-provider that is installed', () => {
  expect(providerStorage).toBeDefined();
});

describe.skipIf(!('enabled' in storage))('oidc-provider’s storage', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let hasher: Hasher;
  let tenant: TestTenant;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    hasher = testHasher();
    tenant = await startOidcTenant({ stateDir: directory.path, hasher });
  });
  afterAll(async () => {
    await tenant.close();
    await hasher.close();
    await directory.remove();
  });

  it('is on until the last of the requests that are under way is answered', async () => {
    const seen: unknown[] = [];
    let end = () => {};
    const until = new Promise<void>((resolve) => {
      end = resolve;
    });
    const long = withinProviderContext(() =>
      storage.run('long', async () => {
        await until;
        seen.push(storage.getStore());
      }),
    );
    await withinProviderContext(() =>
      storage.run('short', async () => {
        await Promise.resolve();
        seen.push(storage.getStore());
      }),
    );
    expect(isOn()).toBe(true);
    end();
    await long;
    expect(seen).toEqual(['short', 'long']);
    expect(isOn()).toBe(false);
  });

  it('is off behind a request that fails', async () => {
    const failing = withinProviderContext(() => storage.run('x', () => Promise.reject(new Error('failed'))));
    await expect(failing).rejects.toThrow('failed');
    expect(isOn()).toBe(false);
  });

  it.each([
    ['metadata', '/v2.0/.well-known/openid-configuration', 200],
    ['a request for a code that is refused', '/oauth2/v2.0/authorize?client_id=nobody', 400],
  ])('is off behind %s', async (_what, path, status) => {
    storage.run('used before', () => {});
    expect(isOn()).toBe(true);
    expect(await tenant.get(`/${tenant.tenantId}${path}`)).toMatchObject({ status });
    await expect.poll(isOn).toBe(false);
  });
});
