import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCookie, encodeCookie } from '#src/protocol/drsr/cookie.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { ProtocolError } from '#src/protocol/errors.js';

const guid = guidFromText('65a556fb-3daa-482e-a521-6ee969f78d7f');
const cookie = {
  ncDn: 'DC=phs,DC=test',
  ncGuid: guid,
  invocationId: guid,
  usn: { usnHighObjUpdate: 2n ** 62n, usnReserved: 17n, usnHighPropUpdate: 0n },
  upToDateVector: [{ uuidDsa: guid, usnHighPropUpdate: 2n ** 63n - 1n }],
  marks: [
    { invocationId: new Uint8Array(16).fill(7), usn: { usnHighObjUpdate: 9n, usnReserved: 0n, usnHighPropUpdate: 8n } },
  ],
  attributes: ['2.5.4.0', '1.2.840.113556.1.4.90'],
};
const text = JSON.parse(Buffer.from(encodeCookie(cookie)).toString());

describe('the replication cookie', () => {
  it('comes back as it went, usnReserved and up-to-dateness included', () => {
    expect(decodeCookie(encodeCookie(cookie))).toEqual(cookie);
    const first = { ...cookie, ncGuid: undefined, upToDateVector: undefined, marks: [] };
    expect(decodeCookie(encodeCookie(first))).toEqual(first);
  });

  it('comes back from before there were marks of other domain controllers', () => {
    const { marks: _, ...before } = text;
    const { marks } = decodeCookie(new TextEncoder().encode(JSON.stringify(before)));
    expect(marks).toEqual([]);
  });

  it.each([
    ['no JSON', 'x', 'JSON expected'],
    ['no bytes', '', 'JSON expected'],
    ['no object', '[1]', 'a JSON object expected'],
    ['a later version', { ...text, drsCookie: 2 }, 'version 1 expected'],
    ['no naming context', { ...text, nc: 1 }, 'nc: text expected'],
    ['two USNs', { ...text, usn: ['1', '2'] }, 'usn: a list of 3 expected'],
    ['a negative USN', { ...text, usn: ['1', '2', '-3'] }, 'usn: a USN expected'],
    ['a USN of 2⁶³', { ...text, usn: ['1', '2', '9223372036854775808'] }, 'usn: a USN expected'],
    ['no GUID', { ...text, invocationId: '65a556fb' }, 'invocationId: a GUID expected'],
    ['a cursor of one', { ...text, upToDate: [['x']] }, 'upToDate: a list of 2 expected'],
    ['a mark without its USNs', { ...text, marks: [[text.invocationId]] }, 'marks: a list of 2 expected'],
    ['no attributes', { ...text, attributes: undefined }, 'attributes: a list expected'],
  ])('is refused with %s', (_, content, message) => {
    const bytes = new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content));
    expect(() => decodeCookie(bytes)).toThrow(expect.objectContaining({ code: 'bad-cookie' }));
    expect(() => decodeCookie(bytes)).toThrow(message);
  });

  it('is refused in our own words, whatever became of it', () => {
    const good = encodeCookie(cookie);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, size) => {
        const bytes = good.slice(0, size);
        if (at < size) bytes[at] = byte;
        try {
          decodeCookie(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
