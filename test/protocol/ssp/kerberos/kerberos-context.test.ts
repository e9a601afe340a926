/** What a Kerberos context takes of the GSSAPI and what it refuses, over a simulated one; the real one is test/samba's. */

import { describe, expect, it, test } from 'vitest';
import type { GssapiAddon, GssapiContext, KerberosRequest } from '#src/protocol/ssp/kerberos/gssapi.js';
import { KerberosContext } from '#src/protocol/ssp/kerberos/kerberos-context.js';

const GRANTED = 0x103e;

interface Answers {
  readonly whyNot?: string;
  readonly client?: string;
  readonly sessionEnctype?: number;
  readonly ticketEnctype?: number;
  readonly flags?: number;
  readonly keyEnctype?: number;
}

/** A GSSAPI that says what it is told to. */
function simulated(answers: Answers = {}) {
  const requests: { request: KerberosRequest; password: string | undefined }[] = [];
  const given: Uint8Array[] = [];
  let disposed = 0;
  class SecurityContext implements GssapiContext {
    constructor(request: KerberosRequest) {
      if (request.password !== undefined) given.push(request.password);
      requests.push({ request, password: request.password && Buffer.from(request.password).toString() });
    }
    async acquire() {
      const { client = 'phs.sync@PHS.TEST', sessionEnctype = 18, ticketEnctype = 18 } = answers;
      return { client, sessionEnctype, ticketEnctype, expires: 1_800_000_000 };
    }
    async step(token: Uint8Array | undefined) {
      return { token: Uint8Array.of(1), complete: token !== undefined, flags: answers.flags ?? GRANTED };
    }
    tokenSize = () => 76;
    wrap = () => new Uint8Array(76);
    unwrap = () => {};
    mic = () => new Uint8Array(28);
    verifyMic = () => {};
    sessionKey = () => ({ key: new Uint8Array(32).fill(7), enctype: answers.keyEnctype ?? 18 });
    dispose = () => {
      disposed += 1;
    };
  }
  const gssapi: GssapiAddon = { whyNot: () => answers.whyNot, SecurityContext };
  return { gssapi, requests, given, disposed: () => disposed };
}

const OPTIONS = {
  realm: 'PHS.TEST',
  kdcs: ['127.0.0.1'],
  allowRc4: false,
  client: 'phs.sync@PHS.TEST',
  service: 'ldap/dc1.phs.test@PHS.TEST',
  now: () => new Date(0),
};

async function established(answers: Answers = {}, more: { allowRc4?: boolean; credentialCache?: string } = {}) {
  const context = new KerberosContext({ ...OPTIONS, password: 'secret', ...more, gssapi: simulated(answers).gssapi });
  await context.step(undefined);
  await context.step(Uint8Array.of(2));
  return context;
}

describe('a Kerberos context', () => {
  it('has three legs, and then a key of its own, whose copies are the callers', async () => {
    const context = await established();
    expect(context).toMatchObject({ authType: 16, complete: true, signatureSize: 76 });
    expect(context.expires).toEqual(new Date(1_800_000_000_000));
    context.sessionKey().fill(0);
    expect(context.sessionKey()).toEqual(new Uint8Array(32).fill(7));
    await expect(context.step(Uint8Array.of(2))).rejects.toMatchObject({ code: 'malformed' });
  });

  it('wipes the bytes of the password that it made', () => {
    const { gssapi, given, requests } = simulated();
    new KerberosContext({ ...OPTIONS, password: 'Pässwörd', gssapi });
    expect(requests[0]?.password).toBe('Pässwörd');
    expect(given).toEqual([new Uint8Array(10)]);
  });

  test.each([
    [{ sessionEnctype: 23 }, 'rc4-refused'],
    [{ ticketEnctype: 23 }, 'rc4-refused'],
    [{ keyEnctype: 23 }, 'rc4-refused'],
  ])('refuses RC4 wherever it is met: %o', async (answers, code) => {
    await expect(established(answers)).rejects.toMatchObject({ code });
    expect((await established(answers, { allowRc4: true })).complete).toBe(true);
  });

  test.each([1, 3, 16, 24])('refuses encryption type %i, whatever is asked for', async (sessionEnctype) => {
    await expect(established({ sessionEnctype }, { allowRc4: true })).rejects.toMatchObject({ code: 'rc4-refused' });
  });

  // GSS_C_MUTUAL, REPLAY, SEQUENCE, CONF, INTEG (RFC 2744) and DCE_STYLE.
  test.each([2, 4, 8, 16, 32, 0x1000])('refuses a context without flag %i', async (flag) => {
    await expect(established({ flags: GRANTED & ~flag })).rejects.toMatchObject({ code: 'weak-security' });
  });

  it("takes tickets of a cache where they are the account's", async () => {
    const make = (client: string) => {
      const { gssapi } = simulated({ client });
      return new KerberosContext({ ...OPTIONS, credentialCache: '/tmp/cc', gssapi }).acquire();
    };
    await make('PHS.Sync@PHS.TEST');
    await expect(make('other@PHS.TEST')).rejects.toMatchObject({ code: 'ticket-missing' });
  });

  it('says why there is none', () => {
    const { gssapi } = simulated({ whyNot: 'libkrb5.so.3: not found' });
    expect(() => new KerberosContext({ ...OPTIONS, password: 'x', gssapi })).toThrow(
      expect.objectContaining({ code: 'kerberos-missing', message: expect.stringContaining('libkrb5.so.3') }),
    );
  });

  it('works no more once it was disposed of', async () => {
    const { gssapi, disposed } = simulated();
    const context = new KerberosContext({ ...OPTIONS, password: 'x', gssapi });
    expect(() => context.sessionKey()).toThrow(expect.objectContaining({ code: 'no-context' }));
    await context.step(undefined);
    const pending = context.step(Uint8Array.of(2));
    context.dispose();
    context.dispose();
    await expect(pending).rejects.toMatchObject({ code: 'no-context' });
    expect(disposed()).toBe(1);
    expect(context.complete).toBe(false);
    await expect(context.step(undefined)).rejects.toMatchObject({ code: 'no-context' });
  });
});
