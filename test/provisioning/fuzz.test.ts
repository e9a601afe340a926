/** Any bytes give a request, a reply or a ProtocolError; the client gives PhsyncErrors. */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { StretchCursor } from '#src/protocol/nbfx/stretches.js';
import { decodeReply, encodeRequest } from '#src/provisioning/client-codec.js';
import { decodeRequest, encodeFault, encodeResponse, type OperationName } from '#src/provisioning/server-codec.js';
import type { PropertyValue } from '#src/provisioning/types.js';
import { bodies, header, results } from './samples.js';

const names = Object.keys(bodies) as OperationName[];
const { requests: recorded } = JSON.parse(
  readFileSync(new URL('aadinternals-python.json', import.meta.url), 'utf8'),
) as { requests: { hex: string }[] };
const fault = {
  code: 'Sender',
  subcode: 'InvalidSecurityToken',
  reason: 'r',
  errorCode: 1,
  errorDescription: 'd',
  trackingId: 't',
  serverName: 's',
} as const;

const requests = [
  ...names.map((name) => encodeRequest(name, bodies[name], header)),
  ...recorded.map(({ hex }) => Buffer.from(hex, 'hex')),
];
const replies = [
  ...names.map((name) => encodeResponse({ operation: name, header }, results[name] as never)),
  encodeFault(fault),
  encodeFault({ redirectUrl: 'https://other.test/' }),
];

function onlyOurErrors(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof ProtocolError)) {
      throw error;
    }
  }
}

const decodeAny = (bytes: Uint8Array) => {
  onlyOurErrors(() => decodeRequest(bytes));
  for (const name of names) {
    onlyOurErrors(() => decodeReply(name, bytes));
  }
};

/** A document with some bytes replaced, taken out or put in. */
const damaged = fc
  .record({
    document: fc.constantFrom(...requests, ...replies),
    edits: fc.array(fc.record({ at: fc.nat(), remove: fc.nat({ max: 3 }), insert: fc.uint8Array({ maxLength: 3 }) }), {
      minLength: 1,
      maxLength: 4,
    }),
  })
  .map(({ document, edits }) =>
    edits.reduce((bytes, { at, remove, insert }) => {
      const start = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)]);
    }, document as Buffer),
  );

describe('the codecs', () => {
  it('answer any bytes with our own errors', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decodeAny), { numRuns: 1000 });
  });

  it('answer damaged messages with our own errors', () => {
    fc.assert(fc.property(damaged, decodeAny), { numRuns: 3000 });
  });

  it('take no request that is cut', () => {
    for (const bytes of requests.slice(0, names.length)) {
      for (let length = 0; length < bytes.length; length++) {
        // Cut within the operation's start tag it is one that the codec does not know, whose body is not read.
        onlyOurErrors(() => expect(decodeRequest(bytes.subarray(0, length)).operation).toBeUndefined());
      }
    }
  });

  it('bring any object back', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 100 });
    const value: fc.Arbitrary<PropertyValue> = fc.oneof(
      text,
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noInteger: true }),
      fc.uint8Array({ maxLength: 100 }),
      fc.constant(null),
      fc.array(text, { maxLength: 5 }),
      fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 5 }),
    );
    const object = fc.record({
      propertyValues: fc.array(fc.tuple(text, value), { maxLength: 20 }).map((pairs) => new Map(pairs)),
      syncObjectType: text,
      syncOperation: fc.constantFrom('Add', 'Set', 'Delete'),
    });
    fc.assert(
      fc.property(fc.array(object, { maxLength: 4 }), (objects) => {
        const request = decodeRequest(encodeRequest('ProvisionAzureADSyncObjects', { objects }, header));
        expect(request).toMatchObject({ body: { objects } });
      }),
      { numRuns: 300 },
    );
  });

  it('read what repeats as they read it the first time', () => {
    // Few names and values, so that openings come again in every order, after a change, and not at all.
    const key = fc.constantFrom('a', 'b', 'c', 'displayName');
    const value = fc.constantFrom<PropertyValue>(
      '',
      'x',
      'ü',
      null,
      true,
      0,
      300,
      Uint8Array.of(1),
      ['x'],
      new Uint8Array(28),
    );
    const object = fc.record({
      propertyValues: fc.array(fc.tuple(key, value), { maxLength: 4 }).map((pairs) => new Map(pairs)),
      syncObjectType: fc.constantFrom('User', ''),
      syncOperation: fc.constantFrom('Add', 'Set', 'Delete'),
    });
    const item = fc.record({
      changeDate: fc.constant(new Date(0)),
      cloudAnchor: fc.constantFrom(undefined, '', 'User_1'),
      credentialData: fc.constantFrom('', 'v1;'),
      forcePasswordChangeOnLogon: fc.boolean(),
      sourceAnchor: fc.constantFrom(undefined, 'a'),
      windowsLegacyCredentials: fc.constantFrom(undefined, 'b'),
      windowsSupplementalCredentials: fc.constantFrom(undefined, ''),
    });
    const edit = fc.record({ at: fc.nat(), remove: fc.nat({ max: 2 }), insert: fc.uint8Array({ maxLength: 2 }) });
    const message = fc
      .oneof(
        fc
          .array(object, { maxLength: 6 })
          .map((objects) => encodeRequest('ProvisionAzureADSyncObjects', { objects }, header)),
        fc.array(item, { maxLength: 6 }).map((items) => encodeRequest('ProvisionCredentials', { items }, header)),
      )
      .chain((bytes) => fc.tuple(fc.constant(bytes), fc.option(edit)))
      .map(([bytes, change]) => {
        if (change === null) return bytes;
        // In the last three quarters, where the items are.
        const at = bytes.length - 1 - (change.at % Math.ceil(bytes.length * 0.75));
        return Buffer.concat([bytes.subarray(0, at), change.insert, bytes.subarray(at + change.remove)]);
      });
    const outcome = (bytes: Uint8Array): unknown => {
      try {
        return decodeRequest(bytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        return { code: error.code };
      }
    };
    let repeated = 0;
    const { repeats } = StretchCursor.prototype;
    const spy = vi.spyOn(StretchCursor.prototype, 'repeats');
    try {
      fc.assert(
        fc.property(message, (bytes) => {
          spy.mockReturnValue(false);
          const first = outcome(bytes);
          spy.mockImplementation(function (this: StretchCursor, stretch) {
            const again = repeats.call(this, stretch);
            if (again) repeated++;
            return again;
          });
          expect(outcome(bytes)).toEqual(first);
        }),
        { numRuns: 5000 },
      );
    } finally {
      spy.mockRestore();
    }
    expect(repeated).toBeGreaterThan(10_000);
  });
});
