import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import type { Mechanism } from '#src/protocol/ssp/mechanism.js';
import { decodeElement, decodeOid, encodeElement, encodeOid } from '#src/protocol/ssp/spnego/der.js';
import { SpnegoContext } from '#src/protocol/ssp/spnego/spnego-context.js';
import { decodeNegTokenResp, encodeNegTokenInit, encodeNegTokenResp } from '#src/protocol/ssp/spnego/tokens.js';

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
const NTLM = '1.3.6.1.4.1.311.2.2.10';
const KERBEROS = '1.2.840.113554.1.2.2';
const MS_KERBEROS = '1.2.840.48018.1.2.2';
const MS_KERBEROS_DER = '06092a864882f712010202';
const NTLM_DER = '060a2b06010401823702020a';

describe('DER', () => {
  // NTLM's OID and SPNEGO's as every capture shows them; 2.999 is X.690's own example.
  test.each([
    [NTLM, NTLM_DER],
    ['1.3.6.1.5.5.2', '06062b0601050502'],
    [KERBEROS, '06092a864886f712010202'],
    ['2.999.3', '0603883703'],
  ])('OID %s', (text, der) => {
    expect(hex(encodeOid(text))).toBe(der);
    expect(decodeOid(unhex(der).subarray(2), 'test')).toBe(text);
  });

  test.each([0, 127, 128, 255, 256, 65_535])('an element of %i bytes', (length) => {
    const content = new Uint8Array(length).fill(7);
    const element = decodeElement(encodeElement(0x04, content), 0, 'test');
    expect(Buffer.compare(element.content, content)).toBe(0);
  });

  test.each([
    ['nothing', ''],
    ['a tag alone', '30'],
    ['indefinite length', '30800000'],
    ['a length of four bytes', '308400000001ff'],
    ['a length cut off', '3082ff'],
    ['more than there is', '3005aabb'],
    ['a long tag', '1f8101'],
  ])('%s is refused', (_, der) => {
    expect(() => decodeElement(unhex(der), 0, 'test')).toThrow(ProtocolError);
  });
});

describe('tokens', () => {
  test('NegTokenInit around an NTLM NEGOTIATE, as Windows frames it', () => {
    const mechTypes = unhex(`300c${NTLM_DER}`);
    // The frame of a 32-byte NEGOTIATE as it opens every SMB session set-up: base64 YEAGBisGAQUFAqA2MDSgDjAM…
    const negotiate = unhex('4e544c4d53535000'.padEnd(64, '0'));
    expect(Buffer.from(encodeNegTokenInit(mechTypes, negotiate)).toString('base64')).toMatch(
      /^YEAGBisGAQUFAqA2MDSgDjAMBgorBgEEAYI3AgIKoiIEIE5UTE1TU1AA/,
    );
  });

  test('NegTokenResp of an acceptor: accept-incomplete, NTLM, a token', () => {
    const token = unhex(`a11b3019a0030a0101a10c${NTLM_DER}a2040402abcd`);
    expect(decodeNegTokenResp(token)).toEqual({
      negState: 1,
      supportedMech: NTLM,
      responseToken: unhex('abcd'),
      mechListMIC: undefined,
    });
  });

  test('our NegTokenResp', () => {
    expect(hex(encodeNegTokenResp(unhex('abcd'), unhex('ee')))).toBe('a10d300ba2040402abcda3030401ee');
  });

  test.each([
    ['fields out of order', 'a1123010a2040402abcda0030a0101a3030401ee'],
    ['a field twice', 'a10c300aa0030a0101a0030a0101'],
    ['an unknown field', 'a1073005a4030401ee'],
    ['an unknown state', 'a1073005a0030a0104'],
    ['bytes behind it', 'a1073005a0030a010100'],
    ['a NegTokenInit', `601f06062b0601050502a0153013a00d300b${NTLM_DER}`],
  ])('%s: refused', (_, token) => {
    expect(() => decodeNegTokenResp(unhex(token))).toThrow(ProtocolError);
  });
});

/** A mechanism of `legs` tokens whose MIC names itself: shows the negotiation alone. */
class SimulatedMechanism implements Mechanism {
  readonly authType = 99;
  readonly signatureSize = 4;
  complete = false;
  readonly oid: string;
  readonly alternativeOids: readonly string[];
  readonly #legs: number;
  #said = 0;

  constructor(oid: string, legs: number, ...alternativeOids: string[]) {
    this.oid = oid;
    this.#legs = legs;
    this.alternativeOids = alternativeOids;
  }

  async step(): Promise<Uint8Array | undefined> {
    if (this.complete) {
      return undefined;
    }
    this.#said += 1;
    this.complete = this.#said === this.#legs;
    return Uint8Array.of(this.#said);
  }

  seal(): Uint8Array {
    return new Uint8Array(4);
  }

  unseal(): void {}

  sessionKey(): Uint8Array {
    return new Uint8Array(16);
  }

  dispose(): void {
    this.complete = false;
  }

  makeMic(message: Uint8Array): Uint8Array {
    return Uint8Array.of(0xc1, message.length);
  }

  checkMic(message: Uint8Array, mic: Uint8Array): void {
    if (hex(mic) !== hex(Uint8Array.of(0x5e, message.length))) {
      throw new ProtocolError('bad-signature', 'simulated');
    }
  }
}

/** An acceptor's NegTokenResp. */
function reply(fields: { state?: number; mech?: string; token?: string; mic?: string }): Uint8Array {
  const parts: Uint8Array[] = [];
  if (fields.state !== undefined)
    parts.push(encodeElement(0xa0, unhex(`0a01${fields.state.toString(16).padStart(2, '0')}`)));
  if (fields.mech !== undefined) parts.push(encodeElement(0xa1, encodeOid(fields.mech)));
  if (fields.token !== undefined) parts.push(encodeElement(0xa2, encodeElement(4, unhex(fields.token))));
  if (fields.mic !== undefined) parts.push(encodeElement(0xa3, encodeElement(4, unhex(fields.mic))));
  return encodeElement(0xa1, encodeElement(0x30, ...parts));
}

describe('negotiation (simulated mechanisms)', () => {
  test('NTLM alone: three legs, mechListMIC both ways, then complete', async () => {
    const context = new SpnegoContext([new SimulatedMechanism(NTLM, 2)]);
    expect(hex(await context.step(undefined))).toContain(NTLM_DER);
    // MechTypeList has 14 bytes: that is what the MIC covers.
    const third = await context.step(reply({ state: 1, mech: NTLM, token: 'cc' }));
    expect(hex(third)).toBe(hex(encodeNegTokenResp(Uint8Array.of(2), Uint8Array.of(0xc1, 14))));
    expect(context.complete).toBe(false);
    expect(() => context.sessionKey()).toThrow(expect.objectContaining({ code: 'no-context' }));
    expect(await context.step(reply({ state: 0, mic: '5e0e' }))).toBeUndefined();
    expect(context.complete).toBe(true);
    expect(context.sessionKey()).toHaveLength(16);
  });

  test.each([
    ['without its mechListMIC', reply({ state: 0 }), 'malformed'],
    ['with a wrong mechListMIC', reply({ state: 0, mic: '5e0f' }), 'bad-signature'],
    ['with more to come', reply({ state: 1 }), 'malformed'],
    ['with a reject', reply({ state: 2 }), 'logon-failure'],
    ['with another mechanism', reply({ state: 0, mech: KERBEROS, mic: '5e0e' }), 'malformed'],
  ])('the last answer comes %s: refused', async (_, last, code) => {
    const context = new SpnegoContext([new SimulatedMechanism(NTLM, 2), new SimulatedMechanism(KERBEROS, 1)]);
    await context.step(undefined);
    await context.step(reply({ state: 1, mech: NTLM, token: 'cc' }));
    await expect(context.step(last)).rejects.toMatchObject({ code });
    expect(context.complete).toBe(false);
  });

  test('the server prefers our second mechanism: it starts over, and the MIC is a must', async () => {
    const make = () => new SpnegoContext([new SimulatedMechanism(KERBEROS, 1), new SimulatedMechanism(NTLM, 2)]);
    const context = make();
    await context.step(undefined);
    // MechTypeList with both has 25 bytes.
    expect(hex(await context.step(reply({ state: 3, mech: NTLM })))).toBe('a1073005a203040101');
    const third = await context.step(reply({ state: 1, token: 'cc' }));
    expect(hex(third)).toBe(hex(encodeNegTokenResp(Uint8Array.of(2), Uint8Array.of(0xc1, 25))));
    await context.step(reply({ state: 0, mic: '5e19' }));
    expect(context.complete).toBe(true);
    const cheated = make();
    await cheated.step(undefined);
    await expect(cheated.step(reply({ state: 0, mech: NTLM }))).rejects.toMatchObject({ code: 'malformed' });
  });

  test.each([KERBEROS, MS_KERBEROS])('a mechanism with two names, of which the server takes %s', async (mech) => {
    const kerberos = new SimulatedMechanism(MS_KERBEROS, 2, KERBEROS);
    const context = new SpnegoContext([kerberos, new SimulatedMechanism(NTLM, 2)]);
    // All three names, Microsoft's first, as Windows offers them: 36 bytes of MechTypeList.
    const offer = `3022${MS_KERBEROS_DER}06092a864886f712010202${NTLM_DER}`;
    expect(hex(await context.step(undefined))).toContain(offer);
    const third = await context.step(reply({ state: 1, mech, token: 'cc' }));
    expect(hex(third)).toBe(hex(encodeNegTokenResp(Uint8Array.of(2), Uint8Array.of(0xc1, 36))));
    await context.step(reply({ state: 0, mic: '5e24' }));
    expect(context.complete).toBe(true);
    expect(kerberos.complete).toBe(true);
  });

  test('a mechanism that was not offered', async () => {
    const context = new SpnegoContext([new SimulatedMechanism(NTLM, 2)]);
    await context.step(undefined);
    await expect(context.step(reply({ state: 1, mech: KERBEROS }))).rejects.toMatchObject({ code: 'malformed' });
  });

  test('one mechanism, done in one leg: a MIC is not asked for', async () => {
    const context = new SpnegoContext([new SimulatedMechanism(KERBEROS, 1)]);
    await context.step(undefined);
    expect(await context.step(reply({ state: 0, mech: KERBEROS }))).toBeUndefined();
    expect(context.complete).toBe(true);
    await expect(context.step(reply({ state: 0 }))).rejects.toMatchObject({ code: 'malformed' });
  });
});

describe('fuzz', () => {
  test('decodeNegTokenResp: any bytes, and real tokens with bytes changed', () => {
    const real = unhex(`a11b3019a0030a0101a10c${NTLM_DER}a2040402abcd`);
    const change = fc.tuple(fc.nat(real.length - 1), fc.nat(255));
    const changed = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
      const token = real.slice();
      for (const [at, byte] of changes) {
        token[at] = byte;
      }
      return token;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), changed), (token) => {
        try {
          decodeNegTokenResp(token);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
