/** Applications of tenant.yaml that could not work are told at the start, not at their first sign-in. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { startTestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { SECRETS } from './site.js';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
});
afterAll(async () => {
  await hasher.close();
  await directory.remove();
});

const secret = { env: 'WEB_SECRET' };

it.each([
  ['a secret with a scheme of its own', { clientSecret: secret, redirectUris: ['com.example.app:/back'] }],
  ['a native one with TLS on the loopback address', { redirectUris: ['http://127.0.0.1/', 'https://localhost/x'] }],
])('refuses %s', async (_what, more) => {
  const config = { applications: [{ clientId: 'odd', ...more }] };
  const started = startTestTenant({ stateDir: directory.path, hasher, env: SECRETS, config });
  await expect(started).rejects.toMatchObject({
    code: 'config-application',
    message: expect.stringMatching(/^applications, odd: .*redirect_uris/),
  });
});

it('starts with what can work, and says nothing of the runtime', async () => {
  const said: unknown[] = [];
  const { warn } = console;
  console.warn = (...args) => said.push(args);
  try {
    const config = {
      applications: [
        { clientId: 'web', clientSecret: secret, redirectUris: ['https://app.example/', 'http://localhost:3000/back'] },
        { clientId: 'native', redirectUris: ['http://127.0.0.1/', 'com.example.app:/back', 'https://app.example/'] },
        { clientId: 'service', clientSecret: secret, permissions: ['User.Read.All'] },
      ],
    };
    const tenant = await startTestTenant({ stateDir: directory.path, hasher, env: SECRETS, config });
    await tenant.close();
  } finally {
    console.warn = warn;
  }
  expect(said).toEqual([]);
});
