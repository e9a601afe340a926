import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { encodeAvPairs, parseAvPairs } from '#src/protocol/ssp/ntlm/av-pairs.js';
import {
  clientChallengeStructure,
  computeResponse,
  NTOWFv1,
  NTOWFv2,
  SEALKEY,
  SIGNKEY,
} from '#src/protocol/ssp/ntlm/keys.js';
import { MessageStream } from '#src/protocol/ssp/ntlm/message-stream.js';
import { parseChallenge } from '#src/protocol/ssp/ntlm/messages.js';
import { NtlmContext, type NtlmOptions } from '#src/protocol/ssp/ntlm/ntlm-context.js';

const vectors = JSON.parse(readFileSync(new URL('../../../vectors/ntlm.json', import.meta.url), 'utf8'));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

// MS-NLMP 4.2.4: CHALLENGE_MESSAGE as printed there.
const CHALLENGE = unhex(
  '4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000' +
    '060070170000000f53006500720076006500720002000c0044006f006d00610069006e0001000c0053006500720076006500720000000000',
);
const LMV2_RESPONSE = '86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa';

/** The inputs of 4.2.1: time 0, client challenge aa…, random session key 55…. */
const OPTIONS: NtlmOptions = {
  user: 'User',
  domain: 'Domain',
  password: 'Password',
  workstation: 'COMPUTER',
  random: (n) => new Uint8Array(n).fill(n === 8 ? 0xaa : 0x55),
  now: () => new Date(Date.UTC(1601, 0, 1)),
};

/** What the payload fields of an AUTHENTICATE_MESSAGE point to. */
function fieldsOf(message: Uint8Array) {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const field = (at: number) => {
    const offset = view.getUint32(at + 4, true);
    return message.subarray(offset, offset + view.getUint16(at, true));
  };
  const text = (at: number) => Buffer.from(field(at)).toString('utf16le');
  return {
    lm: hex(field(12)),
    nt: hex(field(20)),
    domain: text(28),
    user: text(36),
    workstation: text(44),
    key: hex(field(52)),
    flags: view.getUint32(60, true),
    mic: hex(message.subarray(72, 88)),
  };
}

/** The challenge with other AV_PAIRs. */
function challengeWith(targetInfo: Uint8Array): Uint8Array {
  const message = new Uint8Array(0x44 + targetInfo.length);
  message.set(CHALLENGE.subarray(0, 0x44));
  message.set(targetInfo, 0x44);
  new DataView(message.buffer).setUint16(40, targetInfo.length, true);
  return message;
}

async function authenticate(challenge: Uint8Array, options: Partial<NtlmOptions> = {}) {
  const context = new NtlmContext({ ...OPTIONS, ...options });
  const negotiate = (await context.step(undefined))!;
  return { context, negotiate, message: (await context.step(challenge))! };
}

describe('MS-NLMP 4.2.4, NTLMv2', () => {
  const responseKeyNT = NTOWFv2(NTOWFv1(vectors.password), vectors.user, vectors.domain);

  test('NTOWFv1 and NTOWFv2', () => {
    expect(hex(NTOWFv1(vectors.password))).toBe(vectors.ntHash);
    expect(hex(responseKeyNT)).toBe(vectors.responseKeyNT);
  });

  test('temp, NTProofStr, LMv2 response and SessionBaseKey', () => {
    const challenge = unhex(vectors.clientChallenge);
    const targetInfo = unhex(`${vectors.targetInfoWithoutEol}00000000`);
    const temp = clientChallengeStructure(new Uint8Array(8), challenge, targetInfo);
    expect(hex(temp)).toBe(vectors.temp);
    const response = computeResponse(responseKeyNT, unhex(vectors.serverChallenge), challenge, temp);
    expect(hex(response.ntChallengeResponse)).toBe(vectors.ntProofStr + vectors.temp);
    expect(hex(response.lmChallengeResponse)).toBe(LMV2_RESPONSE);
    expect(hex(response.sessionBaseKey)).toBe(vectors.sessionBaseKey);
  });

  test('SIGNKEY and SEALKEY', () => {
    const key = unhex(vectors.exportedSessionKey);
    expect(hex(SIGNKEY(key, 'client-to-server'))).toBe(vectors.clientSignKey);
    expect(hex(SEALKEY(key, 'client-to-server'))).toBe(vectors.clientSealKey);
  });

  test('4.2.4.4: the sealed message and its signature', () => {
    const stream = new MessageStream(unhex(vectors.exportedSessionKey), 'client-to-server', true);
    const message = unhex(vectors.plaintextUtf16);
    const signature = stream.seal(message, 0, message.length, message.length);
    expect(hex(message)).toBe(vectors.sealedData);
    expect(hex(signature)).toBe(vectors.signature);
    const reverse = new MessageStream(unhex(vectors.exportedSessionKey), 'client-to-server', true);
    expect(hex(reverse.unseal(message, 0, message.length, message.length))).toBe(vectors.signature);
    expect(hex(message)).toBe(vectors.plaintextUtf16);
  });

  test('the whole exchange, from password and from NT hash', async () => {
    for (const password of ['Password', { ntHash: unhex(vectors.ntHash) }]) {
      const { context, message } = await authenticate(CHALLENGE, { password });
      const fields = fieldsOf(message);
      expect(fields).toMatchObject({
        lm: LMV2_RESPONSE,
        nt: vectors.ntProofStr + vectors.temp,
        domain: 'Domain',
        user: 'User',
        workstation: 'COMPUTER',
        key: vectors.encryptedRandomSessionKey,
        // Without a timestamp no MIC.
        mic: '0'.repeat(32),
      });
      expect(hex(context.sessionKey())).toBe(vectors.exportedSessionKey);
      expect(context.complete).toBe(true);
    }
  });
});

describe('a server with MsvAvTimestamp', () => {
  const time = unhex('0011223344556677');
  const names = [
    { id: 2, value: Buffer.from('Domain', 'utf16le') },
    { id: 1, value: Buffer.from('Server', 'utf16le') },
  ];
  const challenge = challengeWith(encodeAvPairs([...names, { id: 7, value: time }]));

  test('MIC over the three messages, its time, no LM response, our AV_PAIRs', async () => {
    const { negotiate, message } = await authenticate(challenge, { targetName: 'ldap/dc1.phs.test' });
    const fields = fieldsOf(message);
    const blank = message.slice();
    blank.fill(0, 72, 88);
    // MS-NLMP 3.1.5.1.2, by node:crypto.
    const mic = createHmac('md5', unhex(vectors.exportedSessionKey));
    expect(fields.mic).toBe(mic.update(negotiate).update(challenge).update(blank).digest('hex'));
    expect(fields.lm).toBe('0'.repeat(48));
    const temp = unhex(fields.nt.slice(32));
    expect(hex(temp.subarray(8, 16))).toBe(hex(time));
    const pairs = new Map(parseAvPairs(temp.subarray(28)).map(({ id, value }) => [id, hex(value)]));
    expect(pairs.get(6)).toBe('02000000');
    expect(pairs.get(10)).toBe('0'.repeat(32));
    expect(pairs.get(9)).toBe(Buffer.from('ldap/dc1.phs.test', 'utf16le').toString('hex'));
    expect(pairs.get(1)).toBe(hex(names[1]!.value));
    // NTProofStr and the session key, by node:crypto.
    const proof = createHmac('md5', unhex(vectors.responseKeyNT)).update(unhex(vectors.serverChallenge)).update(temp);
    expect(fields.nt.slice(0, 32)).toBe(proof.digest('hex'));
  });

  test("the server's MsvAvFlags are kept and the MIC bit is added, once", async () => {
    const own = challengeWith(encodeAvPairs([...names, { id: 6, value: unhex('01000000') }, { id: 7, value: time }]));
    const { message } = await authenticate(own);
    const pairs = parseAvPairs(unhex(fieldsOf(message).nt.slice(32)).subarray(28));
    expect(pairs.filter(({ id }) => id === 6).map(({ value }) => hex(value))).toEqual(['03000000']);
    expect(pairs.some(({ id }) => id === 9)).toBe(false);
  });
});

describe('refusals', () => {
  const codeOf = async (challenge: Uint8Array) => {
    const error = await authenticate(challenge).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ProtocolError);
    return (error as ProtocolError).code;
  };
  const patched = (at: number, ...bytes: number[]) => {
    const message = CHALLENGE.slice();
    message.set(bytes, at);
    return message;
  };

  test.each([
    ['extended session security', 22, 0x02],
    ['128-bit keys', 23, 0xc2],
    ['sealing', 20, 0x13],
    ['target info', 22, 0x0a],
  ])('a server without %s', async (_, at, byte) => {
    expect(await codeOf(patched(at, byte))).toBe('weak-security');
  });

  test.each<[string, Uint8Array, string]>([
    ['another signature', patched(0, 0x4f), 'malformed'],
    ['another message type', patched(8, 3), 'malformed'],
    ['TargetInfo behind the end', patched(44, 0x60), 'truncated'],
    ['an offset near 2³²', patched(44, 0xff, 0xff, 0xff, 0xff), 'truncated'],
    ['AV_PAIRs without MsvAvEOL', patched(40, 32, 0, 32, 0), 'truncated'],
    ['no computer name', challengeWith(encodeAvPairs([{ id: 2, value: Uint8Array.of(65, 0) }])), 'malformed'],
    ['a timestamp of 4 bytes', challengeWith(encodeAvPairs([{ id: 7, value: new Uint8Array(4) }])), 'malformed'],
    ['20,000 bytes', new Uint8Array(20_000), 'limit'],
  ])('a challenge with %s', async (_, challenge, code) => {
    expect(await codeOf(challenge)).toBe(code);
  });

  test('steps out of order, and use before or after', async () => {
    const context = new NtlmContext(OPTIONS);
    await expect(context.step(CHALLENGE)).rejects.toMatchObject({ code: 'malformed' });
    expect(() => context.sessionKey()).toThrow(expect.objectContaining({ code: 'no-context' }));
    await context.step(undefined);
    await context.step(CHALLENGE);
    await expect(context.step(CHALLENGE)).rejects.toMatchObject({ code: 'malformed' });
    context.dispose();
    expect(context.complete).toBe(false);
    expect(() => context.seal(new Uint8Array(4), 0, 4, 4)).toThrow(expect.objectContaining({ code: 'no-context' }));
  });

  test('arguments', () => {
    expect(() => new NtlmContext({ ...OPTIONS, password: { ntHash: new Uint8Array(15) } })).toThrow(RangeError);
    expect(() => new NtlmContext({ ...OPTIONS, user: 'x'.repeat(257) })).toThrow(RangeError);
  });
});

describe('NTOWFv2', () => {
  test('upper-cases the user character by character, and leaves the domain', () => {
    const key = unhex(vectors.ntHash);
    const by = (text: string) => createHmac('md5', key).update(Buffer.from(text, 'utf16le')).digest('hex');
    expect(hex(NTOWFv2(key, 'jörg', 'phs.Test'))).toBe(by('JÖRGphs.Test'));
    // One ß is one ß in Windows' table; String.toUpperCase makes two S of it.
    expect(hex(NTOWFv2(key, 'groß', ''))).toBe(by('GROß'));
  });
});

describe('signatures', () => {
  test('a changed byte anywhere, a repeated or a dropped message is refused', async () => {
    const { context } = await authenticate(CHALLENGE);
    const message = unhex('000102030405060708090a0b0c0d0e0f');
    // As the server: the other direction of the same key.
    const sealed = () => {
      const server = new MessageStream(unhex(vectors.exportedSessionKey), 'server-to-client', true);
      const bytes = message.slice();
      return { bytes, signature: server.seal(bytes, 4, 12, 16) };
    };
    for (let at = 0; at < 32; at++) {
      const { context: fresh } = await authenticate(CHALLENGE);
      const { bytes, signature } = sealed();
      (at < 16 ? bytes : signature)[at % 16]! ^= 1;
      expect(() => fresh.unseal(bytes, 4, 12, 16, signature)).toThrow(
        expect.objectContaining({ code: 'bad-signature' }),
      );
    }
    const { bytes, signature } = sealed();
    const again = bytes.slice();
    context.unseal(bytes, 4, 12, 16, signature);
    expect(bytes).toEqual(message);
    expect(() => context.unseal(again, 4, 12, 16, signature)).toThrow(ProtocolError);
    expect(() => context.unseal(again, 4, 12, 16, new Uint8Array(0))).toThrow(ProtocolError);
  });
});

describe('fuzz', () => {
  const onlyOurs = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
  };

  test('parseChallenge and parseAvPairs: any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        onlyOurs(() => parseChallenge(bytes));
        onlyOurs(() => parseAvPairs(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  test('step: a real challenge with some bytes changed or cut off', async () => {
    const change = fc.tuple(fc.nat(CHALLENGE.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 6 }), fc.nat(CHALLENGE.length), async (changes, length) => {
        const message = CHALLENGE.slice();
        for (const [at, byte] of changes) {
          message[at] = byte;
        }
        const error = await authenticate(length % 2 === 0 ? message : message.subarray(0, length)).catch((e) => e);
        if (error instanceof Error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 1500 },
    );
  });
});
