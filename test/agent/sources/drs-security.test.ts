/** When SPNEGO gives Kerberos up for NTLM, over a simulated GSSAPI that refuses; the real one is test/samba's. */

import { describe, expect, it, test } from 'vitest';
import { type DrsAuth, openSecurity } from '#src/agent/sources/drs-security.js';
import type { GssapiAddon } from '#src/protocol/ssp/kerberos/gssapi.js';

/** Refuses with libkrb5's code, or cannot be loaded. */
function refusing(status: number | 'missing'): GssapiAddon {
  return {
    whyNot: () => (status === 'missing' ? 'libkrb5.so.3: not found' : undefined),
    SecurityContext: class {
      async acquire() {
        const facts = { stage: 'credentials', status, major: 0, eData: new Uint8Array(0), kdcTime: 0 };
        throw Object.assign(new Error('refused'), facts);
      }
      dispose() {}
    } as unknown as GssapiAddon['SecurityContext'],
  };
}

async function open(status: number | 'missing', auth: Partial<DrsAuth> = {}, server = 'dc1.phs.test') {
  const notices: string[] = [];
  const { context } = await openSecurity({
    server,
    domain: 'phs.test',
    auth: { mechanism: 'negotiate', user: 'phs.sync', password: 'secret', ...auth },
    onNotice: ({ code, message }) => notices.push(`${code} ${message}`),
    gssapi: refusing(status),
  });
  // SPNEGO's auth_type, and NTLM's OID alone in the offer.
  expect(context.authType).toBe(9);
  const offer = Buffer.from((await context.step(undefined))!).toString('hex');
  expect(offer).toContain('300c060a2b06010401823702020a');
  return notices;
}

describe('negotiate', () => {
  // krb5.h: KRB5_KDC_UNREACH, KRB5_REALM_UNKNOWN, AP_ERR_SKEW, S_PRINCIPAL_UNKNOWN, KRB5_CONFIG_BADFORMAT.
  test.each(['missing', -1765328228, -1765328230, -1765328347, -1765328377, -1765328248] as const)(
    'falls back to NTLM where Kerberos cannot be had, and says so (%s)',
    async (status) => {
      const notices = await open(status);
      expect(notices).toHaveLength(1);
      expect(notices[0]).toMatch(/^kerberos-fell-back dc1\.phs\.test: no Kerberos, so NTLM is spoken instead: /);
    },
  );

  it('falls back where the server has no name', async () => {
    expect(await open(0, {}, '127.0.0.1')).toHaveLength(1);
  });

  // PREAUTH_FAILED, C_PRINCIPAL_UNKNOWN, CLIENT_REVOKED, KEY_EXP, POLICY, ETYPE_NOSUPP.
  test.each([-1765328360, -1765328378, -1765328366, -1765328361, -1765328372, -1765328370])(
    'does not ask again with NTLM where the account is at fault, or AES is missing (%i)',
    async (status) => {
      await expect(open(status)).rejects.toMatchObject({ name: 'ProtocolError' });
    },
  );

  test.each([{ keytab: '/etc/phs.keytab' }, { credentialCache: '/tmp/cc' }])(
    'has nothing to fall back to with %o',
    async (way) => {
      await expect(open('missing', { ...way, password: undefined })).rejects.toMatchObject({
        code: 'kerberos-missing',
      });
    },
  );

  it('is not what kerberos means', async () => {
    await expect(open('missing', { mechanism: 'kerberos' })).rejects.toMatchObject({ code: 'kerberos-missing' });
  });
});
