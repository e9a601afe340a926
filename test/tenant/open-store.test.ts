/** Which database tenant.yaml names, and what is refused before anything is sent to it. */

import { describe, expect, it } from 'vitest';
import { openStore } from '#src/tenant/store/open-store.js';

const open = (url: string) =>
  openStore(
    { stateDir: '/nowhere', store: { type: 'postgres', url: { env: 'URL' }, maxConnections: 1 } },
    { initialFeatures: 1, now: () => new Date(), env: { URL: url } },
  );

describe('a PostgreSQL on another machine', () => {
  it.each(['db.contoso.com', '192.0.2.7', '[2001:db8::7]'])(
    'is not spoken to in the clear by default: %s',
    async (host) => {
      const refusal: unknown = await open(`postgres://phsync:secret-word@${host}:5432/phsync`).catch((error) => error);
      expect(refusal).toMatchObject({ code: 'config-store-tls' });
      expect(String(refusal)).toContain('sslmode=verify-full');
      expect(String(refusal)).not.toContain('secret-word');
    },
  );
});

describe('a PostgreSQL on this machine', () => {
  // Port 1 is nobody's: that it was tried shows in the refusal.
  it.each([
    'postgres://u:p@127.0.0.1:1/d',
    'postgres://u:p@localhost:1/d',
    'postgres://u:p@[::1]:1/d',
    'postgres:///d?host=/nowhere',
  ])('needs no TLS: %s', async (url) => {
    await expect(open(url)).rejects.toMatchObject({ code: 'store-open' });
  });
});
