/** Records as the NBFX writer chooses them, the static dictionary and MultiByteInt31. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NbfxReader } from '#src/protocol/nbfx/reader.js';
import { multiByteInt31 } from '#src/protocol/nbfx/records.js';
import { STATIC_STRINGS, staticId } from '#src/protocol/nbfx/static-dictionary.js';
import { NbfxWriter, prepare } from '#src/protocol/nbfx/writer.js';
import { clark } from './clark.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function written(build: (writer: NbfxWriter) => void): string {
  const writer = new NbfxWriter();
  writer.startElement('', 'a');
  build(writer);
  writer.endElement();
  return hex(writer.finish()).slice('400161'.length);
}

describe('MultiByteInt31', () => {
  // MC-NBFX 2.1.2 and python-wcfbin's own tests.
  it.each([
    [0, '00'],
    [0x7f, '7f'],
    [1337, 'b90a'],
    [0x3fff, 'ff7f'],
    [0x1f_ffff, 'ffff7f'],
    [0xfff_ffff, 'ffffff7f'],
    [0x1000_0000, '8080808001'],
    [0x3fff_ffff, 'ffffffff03'],
    [0x7fff_ffff, 'ffffffff07'],
  ])('%d is %s', (value, bytes) => {
    expect(hex(Uint8Array.from(multiByteInt31(value)))).toBe(bytes);
  });

  it.each([-1, 2 ** 31, 0.5])('refuses %d', (value) => {
    expect(() => multiByteInt31(value)).toThrow(RangeError);
  });
});

describe('the static dictionary', () => {
  it('has the 487 strings of MC-NBFS under even ids', () => {
    const published = JSON.parse(
      readFileSync(new URL('../../vectors/mc-nbfs-static-dictionary.json', import.meta.url), 'utf8'),
    ) as Record<string, string>;
    expect(STATIC_STRINGS).toHaveLength(487);
    for (const [id, text] of Object.entries(published)) {
      expect(STATIC_STRINGS[Number(id) / 2]).toBe(text);
      expect(staticId(text)).toBe(Number(id));
    }
    expect(staticId('no such string')).toBeUndefined();
  });
});

describe('the writer', () => {
  it("writes python-wcfbin's example.bin", () => {
    const writer = new NbfxWriter(0);
    writer.startElement('s', 'Envelope');
    writer.xmlns('a', 'http://www.w3.org/2005/08/addressing');
    writer.xmlns('s', 'http://www.w3.org/2003/05/soap-envelope');
    writer.startElement('s', 'Header');
    writer.startElement('a', 'Action');
    writer.startAttribute('s', 'mustUnderstand');
    writer.integer(1);
    writer.endAttribute();
    writer.text('action');
    writer.endElement();
    writer.endElement();
    writer.startElement('s', 'Body');
    writer.startElement('', 'Inventory');
    writer.integer(0);
    writer.endElement();
    writer.endElement();
    writer.endElement();
    expect(hex(writer.finish())).toBe(
      '56020b0161060b0173045608440a1e00829906616374696f6e01560e4009496e76656e746f7279810101',
    );
  });

  // The expected bytes are sample records of MC-NBFX section 3 unless noted.
  it.each<[string, (writer: NbfxWriter) => void, string]>([
    ['Zero', (w) => w.integer(0), '81'],
    ['One', (w) => w.integer(1), '83'],
    ['False', (w) => w.boolean(false), '85'],
    ['True', (w) => w.boolean(true), '87'],
    ['Int8', (w) => w.integer(127), '897f'],
    ['Int16', (w) => w.integer(32767), '8bff7f'],
    ['Int32', (w) => w.integer(2147483647), '8dffffff7f'],
    ['Int64', (w) => w.integer(1099511627776), '8f0000000000010000'],
    ['Double', (w) => w.double(Number('3.14159265358979')), '93112d4454fb210940'],
    ['Chars8', (w) => w.text('hello'), '990568656c6c6f'],
    ['Dictionary', (w) => w.dictionaryText('X509v3Certificate'), 'abc401'],
    ['Uuid', (w) => w.uuid('03020100-0504-0706-0809-0a0b0c0d0e0f'), 'b1000102030405060708090a0b0c0d0e0f'],
    [
      'UniqueId',
      (w) => w.uniqueId('urn:uuid:33221100-5544-7766-8899-aabbccddeeff'),
      'ad00112233445566778899aabbccddeeff',
    ],
    ['QNameDictionary', (w) => w.qualifiedName('s', 'double'), 'bd129007'],
    ['a QName whose name is not in the dictionary', (w) => w.qualifiedName('s', 'x'), '9903733a78'],
    ['a QName without prefix', (w) => w.qualifiedName('', 'double'), '9906646f75626c65'],
    // XmlBinaryNodeWriter of .NET: whole groups of three, then the rest.
    ['Bytes8', (w) => w.bytes(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7)), '9e060001020304059f020607'],
    ['Bytes8 of whole groups', (w) => w.bytes(Uint8Array.of(0, 1, 2)), '9f03000102'],
    ['Bytes8 of one byte', (w) => w.bytes(Uint8Array.of(7)), '9f0107'],
    ['empty text as no record', (w) => w.text(''), '01'],
    ['empty bytes as no record', (w) => w.bytes(new Uint8Array()), '01'],
    ['EmptyText in an attribute', (w) => w.attribute('', 'b', ''), '040162a801'],
    ['an attribute of the prefix rows', (w) => w.attribute('k', 'attr', 'v'), '30046174747298017601'],
    ['a dictionary attribute of the prefix rows', (w) => w.attribute('f', 'Action', 'hello'), '110a980568656c6c6f01'],
    ['an attribute with a long prefix', (w) => w.attribute('pre', 'attr', 'v'), '0503707265046174747298017601'],
    ['a dictionary attribute with a long prefix', (w) => w.attribute('pre', 'role', 'v'), '07037072658a0198017601'],
    ['a dictionary attribute', (w) => w.attribute('', 'role', 'v'), '068a0198017601'],
    ['xmlns', (w) => w.xmlns('', 'http://abc'), '080a687474703a2f2f61626301'],
    ['xmlns with prefix', (w) => w.xmlns('p', 'http://abc'), '0901700a687474703a2f2f61626301'],
    ['dictionary xmlns', (w) => w.xmlns('', 'http://www.w3.org/2003/05/soap-envelope'), '0a0401'],
    ['dictionary xmlns with prefix', (w) => w.xmlns('p', 'http://www.w3.org/2003/05/soap-envelope'), '0b01700401'],
  ])('chooses %s', (_, build, expected) => {
    expect(written(build)).toBe(expected);
  });

  it.each([
    ['', 'doc', '4003646f63'],
    ['pre', 'doc', '410370726503646f63'],
    ['', 'Body', '420e'],
    ['pre', 'Body', '43037072650e'],
    ['a', 'Action', '440a'],
    ['s', 'DigestMethod', '5626'],
    ['a', 'hello', '5e0568656c6c6f'],
    ['s', 'MyMessage', '70094d794d657373616765'],
    ['é', 'x', '4102c3a90178'],
  ])('chooses the element record of %s:%s', (prefix, localName, expected) => {
    const writer = new NbfxWriter();
    writer.startElement(prefix, localName);
    expect(hex(writer.unfinished())).toBe(expected);
  });

  it('writes prepared records of any length, and what follows them, as it writes them one by one', () => {
    for (let length = 0; length < 12; length++) {
      const build = (writer: NbfxWriter) => {
        writer.startElement('r', 'n'.repeat(length + 1));
        writer.attribute('', 'a', 'v');
      };
      const start = prepare(build);
      const direct = new NbfxWriter(64);
      const prepared = new NbfxWriter(64);
      // Past the first buffer's end, so that it grows between.
      for (let i = 0; i < 12; i++) {
        build(direct);
        prepared.startPrepared(start);
        for (const writer of [direct, prepared]) {
          writer.text(i % 2 === 0 ? 'x' : '');
          writer.endElement();
        }
      }
      expect(hex(prepared.finish())).toBe(hex(direct.finish()));
    }
  });

  // 2006-05-17T00:00:00 is the sample; the top two bits say UTC. The others by Python:
  // (datetime(…) - datetime(1, 1, 1)) // timedelta(microseconds=1) * 10 | 1 << 62
  it.each([
    ['2006-05-17T00:00:00.000Z', '00408ef95b47c848'],
    ['0001-01-01T00:00:00.000Z', '0000000000000040'],
    ['9999-12-31T23:59:59.999Z', 'f01837f47528ca6b'],
    ['2024-02-29T12:34:56.789Z', '507c5dd62239dc48'],
  ])('writes the time %s', (iso, expected) => {
    expect(written((writer) => writer.dateTime(new Date(iso)))).toBe(`97${expected}`);
  });

  it.each(['-000001-01-01T00:00:00Z', '+010000-01-01T00:00:00Z', 'x'])('refuses the time %s', (iso) => {
    expect(() => written((writer) => writer.dateTime(new Date(iso)))).toThrow(RangeError);
  });

  it.each([1.5, Number.NaN, 2 ** 53])('refuses the integer %d', (value) => {
    expect(() => written((writer) => writer.integer(value))).toThrow(RangeError);
  });

  it.each([-128, -129, 128, -32768, -32769, 32768, -(2 ** 31), -(2 ** 31) - 1, 2 ** 31, Number.MIN_SAFE_INTEGER])(
    'writes the integer %d so that it reads back',
    (value) => {
      const reader = new NbfxReader(Buffer.from(`400161${written((writer) => writer.integer(value))}`, 'hex'));
      reader.root();
      expect(reader.readInteger()).toBe(value);
    },
  );

  const lengths = [1, 63, 64, 65, 84, 85, 86, 127, 128, 254, 255, 256, 257, 65_535, 65_536, 65_537];

  it.each(lengths)('writes %d characters of one, two, three and four bytes', (length) => {
    for (const character of ['a', 'é', '東', '😀']) {
      const text = character.repeat(length);
      const size = Buffer.byteLength(text);
      const bytes = written((writer) => writer.text(text));
      const head = size <= 0xff ? '99' : size <= 0xffff ? '9b' : '9d';
      expect(bytes.slice(0, 2)).toBe(head);
      expect(bytes.endsWith(Buffer.from(text).toString('hex'))).toBe(true);
      expect(bytes).toHaveLength(2 * (1 + { 99: 1, '9b': 2, '9d': 4 }[head]! + size));
    }
  });

  it.each(lengths)('writes %d bytes so that they read back, as bytes and as base64', (length) => {
    const value = Uint8Array.from({ length }, (_, i) => i % 251);
    const bytes = Buffer.from(`400161${written((writer) => writer.bytes(value))}`, 'hex');
    const reader = new NbfxReader(bytes);
    reader.root();
    expect(Buffer.compare(reader.readBytes(), value)).toBe(0);
    expect(clark(new NbfxReader(bytes))).toBe(`<a>${Buffer.from(value).toString('base64')}</>`);
  });

  it('turns a lone surrogate into U+FFFD, in short and long texts', () => {
    expect(written((writer) => writer.text('a\ud800'))).toBe('990461efbfbd');
    expect(written((writer) => writer.text(`${'a'.repeat(64)}\udc00`))).toBe(`9943${'61'.repeat(64)}efbfbd`);
  });

  it('refuses to finish with open elements, and to end what is not open', () => {
    const writer = new NbfxWriter();
    expect(() => writer.endElement()).toThrow(Error);
    writer.startElement('', 'a');
    expect(() => writer.finish()).toThrow(/1 elements/);
  });
});
