/** Any bytes give a document or a ProtocolError, and any document reads back as written. */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { NbfxReader } from '#src/protocol/nbfx/reader.js';
import { NbfxWriter } from '#src/protocol/nbfx/writer.js';
import { clark } from './clark.js';

const { vectors } = JSON.parse(readFileSync(new URL('wcfbin-vectors.json', import.meta.url), 'utf8')) as {
  vectors: { hex: string }[];
};
const documents = vectors.map(({ hex }) => Buffer.from(hex, 'hex'));

function ofRoot(read: (reader: NbfxReader) => unknown): (reader: NbfxReader) => unknown {
  return (reader) => {
    reader.root();
    return read(reader);
  };
}

function onlyOurErrors(bytes: Uint8Array): void {
  const reads: ((reader: NbfxReader) => unknown)[] = [
    (reader) => clark(reader),
    ofRoot((reader) => reader.readText()),
    ofRoot((reader) => reader.readBytes()),
    ofRoot((reader) => reader.readDateTime()),
    ofRoot((reader) => reader.readInteger()),
    ofRoot((reader) => reader.readBoolean()),
    (reader) => {
      reader.root();
      while (reader.nextChild()) {
        reader.qnameAttribute('', 'type');
        reader.readText();
      }
      reader.finish();
    },
  ];
  for (const read of reads) {
    try {
      read(new NbfxReader(bytes, { maxArrayItems: 1000 }));
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
    }
  }
}

describe('the NBFX reader', () => {
  it('answers any bytes with a document or a ProtocolError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => onlyOurErrors(bytes)),
      { numRuns: 2000 },
    );
  });

  it('answers records in any order with a document or a ProtocolError', () => {
    const type = fc.oneof(
      fc.constantFrom(0x01, 0x03, 0x40, 0x42, 0x5e, 0x98, 0x99, 0xa4, 0xa6, 0xb5, 0x8b),
      fc.integer({ min: 0, max: 0xbd }),
    );
    const record = fc.tuple(type, fc.uint8Array({ maxLength: 4, max: 8 }));
    fc.assert(
      fc.property(fc.array(record, { maxLength: 30 }), (records) =>
        onlyOurErrors(Uint8Array.from([0x40, 1, 0x61, ...records.flatMap(([first, rest]) => [first, ...rest])])),
      ),
      { numRuns: 2000 },
    );
  });

  it('answers damaged documents with a document or a ProtocolError', () => {
    const damage = fc.record({
      document: fc.constantFrom(...documents),
      at: fc.nat(),
      byte: fc.integer({ min: 0, max: 255 }),
      cut: fc.option(fc.nat()),
    });
    fc.assert(
      fc.property(damage, ({ document, at, byte, cut }) => {
        const bytes = Uint8Array.from(document);
        bytes[at % bytes.length] = byte;
        onlyOurErrors(cut === null ? bytes : bytes.subarray(0, cut % bytes.length));
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses each document cut anywhere', () => {
    for (const document of documents) {
      for (let length = 0; length < document.length; length++) {
        expect(() => clark(new NbfxReader(document.subarray(0, length)))).toThrow(ProtocolError);
      }
    }
  });
});

describe('what the writer wrote', () => {
  it('reads back', () => {
    const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,20}$/);
    const leaf = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 200 }),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.uint8Array({ maxLength: 400 }),
      fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, leaf, name), { maxLength: 20 }), (leaves) => {
        const writer = new NbfxWriter(64);
        writer.startElement('r', 'root');
        writer.xmlns('r', 'urn:r');
        for (const [element, value, attribute] of leaves) {
          writer.startElement('r', element);
          writer.attribute('', attribute, element);
          if (typeof value === 'string') writer.text(value);
          else if (typeof value === 'boolean') writer.boolean(value);
          else if (typeof value === 'number') writer.integer(value);
          else if (value instanceof Date) writer.dateTime(value);
          else writer.bytes(value);
          writer.endElement();
        }
        writer.endElement();
        const reader = new NbfxReader(writer.finish());
        reader.root();
        for (const [element, value, attribute] of leaves) {
          expect(reader.nextChild()).toBe(true);
          expect([reader.namespace, reader.localName]).toEqual(['urn:r', element]);
          expect(reader.attribute('', attribute)).toBe(element);
          if (typeof value === 'string') expect(reader.readText()).toBe(value);
          else if (typeof value === 'boolean') expect(reader.readBoolean()).toBe(value);
          else if (typeof value === 'number') expect(reader.readInteger()).toBe(value);
          else if (value instanceof Date) expect(reader.readDateTime()).toEqual(value);
          else expect(Buffer.compare(reader.readBytes(), value)).toBe(0);
        }
        expect(reader.nextChild()).toBe(false);
        reader.finish();
      }),
      { numRuns: 500 },
    );
  });
});
