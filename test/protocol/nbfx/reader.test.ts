/** Structure, namespaces, limits and strictness of the NBFX reader. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import type { NbfxLimits } from '#src/protocol/nbfx/limits.js';
import { NbfxReader, NodeType } from '#src/protocol/nbfx/reader.js';
import { clark, fromHex } from './clark.js';

interface Vector {
  readonly xml: string;
  readonly hex: string;
  readonly clark: string;
}
const { vectors } = JSON.parse(readFileSync(new URL('wcfbin-vectors.json', import.meta.url), 'utf8')) as {
  vectors: Vector[];
};

function failure(hex: string, limits: Partial<NbfxLimits> = {}): ProtocolError {
  try {
    clark(new NbfxReader(fromHex(hex), limits));
  } catch (error) {
    if (error instanceof ProtocolError) {
      return error;
    }
    throw error;
  }
  throw new Error(`${hex} was taken`);
}

function open(hex: string, limits: Partial<NbfxLimits> = {}): NbfxReader {
  const reader = new NbfxReader(fromHex(hex), limits);
  reader.root();
  return reader;
}

describe('what another implementation encoded', () => {
  it.each(vectors)('$xml', ({ hex, clark: expected }) => {
    expect(clark(new NbfxReader(fromHex(hex)))).toBe(expected);
  });
});

describe('structure', () => {
  it.each([
    ['nothing', '', 'nbfx-truncated'],
    ['an element that does not end', '400161', 'nbfx-truncated'],
    ['a name that is cut off', '40056162', 'nbfx-truncated'],
    ['text that is cut off', '4001619905616263', 'nbfx-truncated'],
    ['an integer that is cut off', '4001618d0100', 'nbfx-truncated'],
    ['text before the root', '980161', 'nbfx-structure'],
    ['an end before the root', '01', 'nbfx-structure'],
    ['an array before the root', '03400161018b0100ff', 'nbfx-structure'],
    ['a second root', '40016101 40016201', 'nbfx-structure'],
    ['an end too many', '40016101 01', 'nbfx-structure'],
    ['an attribute after content', '400161 9801 62 0401 6184 01', 'nbfx-record'],
    ['a record type that does not exist', '400161 c0', 'nbfx-record'],
    ['a record type 0', '400161 00', 'nbfx-record'],
    ['an element record between prefix rows and text', '400161 78016101', 'nbfx-record'],
    ['an attribute with an element as value', '400161 040162 400163', 'nbfx-record'],
    ['an attribute with a text that ends the element', '400161 040162 85', 'nbfx-record'],
    ['an attribute twice', '400161 04016284 04016286 01', 'nbfx-structure'],
    [
      'an attribute twice by two prefixes',
      '400161 0901700175 0901710175 050170016284 050171016284 01',
      'nbfx-structure',
    ],
    ['an empty name', '4000 01', 'nbfx-value'],
    ['a name that is not UTF-8', '4001ff 01', 'nbfx-value'],
    ['text that is not UTF-8', '400161 9902c328', 'nbfx-value'],
    ['an overlong UTF-8 form', '400161 9902c080', 'nbfx-value'],
    ['UTF-16 of odd length', '400161 b703610062', 'nbfx-value'],
    ['a lone surrogate', '400161 b70200d8', 'nbfx-value'],
    ['a bool that is 2', '400161 b502', 'nbfx-value'],
    ['a decimal with scale 29', '400161 9500001d00000000000100000000000000', 'nbfx-value'],
    ['a decimal with sign 1', '400161 9500000001000000000100000000000000', 'nbfx-value'],
    ['a date beyond the year 9999', '400161 97ffffffffffffff3f', 'nbfx-value'],
    ['a date of kind 3', '400161 9700408EF95B47C8C8', 'nbfx-value'],
    ['a dictionary id beyond the table', '42ce0701', 'nbfx-value'],
    ['a dictionary id of a session', '420101', 'nbfx-value'],
    ['a QName prefix beyond z', '400161 bd1a8e07', 'nbfx-value'],
    ['a list in a list', '400161 04 0162 a4a4a6a6 01', 'nbfx-record'],
    ['a list that does not end', '400161 040162 a480', 'nbfx-truncated'],
    ['an end of a list alone', '400161 a6 01', 'nbfx-record'],
    ['a list with end element', '400161 a5', 'nbfx-record'],
    ['an undeclared prefix', '5e016101', 'nbfx-namespace'],
    ['an undeclared attribute prefix', '400161 260162 84 01', 'nbfx-namespace'],
    ['a prefix declared twice', '400161 0901700175 0901700176 01', 'nbfx-namespace'],
    ['a prefix undeclared', '400161 09017000 01', 'nbfx-namespace'],
    ['xmlns declared', '400161 0905786d6c6e730175 01', 'nbfx-namespace'],
    ['a prefix after its element ended', '400161 5e0162 0901610175 01 5e016201 01', 'nbfx-namespace'],
    ['an array whose element has no end', '400161 03400162 8b0100ff01', 'nbfx-record'],
    ['an array of strings', '400161 03400162 01 99 01 0161 01', 'nbfx-record'],
    ['an array of a type without end', '400161 03400162 01 8a 01 0000 01', 'nbfx-record'],
    ['an array longer than the message', '400161 03400162 01 8b ff7f 0000 01', 'nbfx-truncated'],
  ])('refuses %s', (_, hex, code) => {
    const error = failure(hex);
    expect(error.code).toBe(code);
    expect(error.offset).toBeTypeOf('number');
    expect(error.structure).toBeTypeOf('string');
  });

  it.each([
    ['six bytes', '808080808001'],
    ['32 bits', 'ffffffff08'],
    ['an overlong form', '8000'],
  ])('refuses a MultiByteInt31 of %s', (_, bytes) => {
    expect(failure(`40${bytes}`).code).toBe('nbfx-value');
  });

  it('takes the largest MultiByteInt31 as such and misses the bytes', () => {
    expect(failure('40ffffffff07', { maxNameBytes: 2 ** 31 }).code).toBe('nbfx-truncated');
  });

  it('keeps the declarations of an array in scope for all its items, and no longer', () => {
    const array = '03 5e0162 0901610175 26016c 84 01 8b 02 0100 0200';
    expect(clark(new NbfxReader(fromHex(`400172 ${array} 01`)))).toBe(
      '<r><{u}b {u}l="false">1</><{u}b {u}l="false">2</></>',
    );
    expect(failure(`400172 ${array} 5e016301 01`).code).toBe('nbfx-namespace');
  });

  it('knows the prefix xml without a declaration', () => {
    expect(clark(new NbfxReader(fromHex('400161 0503786d6c046c616e67 9802656e 01')))).toBe(
      '<a {http://www.w3.org/XML/1998/namespace}lang="en"></>',
    );
  });
});

describe('limits', () => {
  const deep = (depth: number) => '400161'.repeat(depth) + '01'.repeat(depth);

  it('takes 64 open elements and refuses 65', () => {
    expect(clark(new NbfxReader(fromHex(deep(64))))).toHaveLength(64 * '<a></>'.length);
    expect(failure(deep(65)).code).toBe('nbfx-limit');
  });

  it('refuses a message that is too long before it reads it', () => {
    expect(failure(deep(2), { maxBytes: 7 }).code).toBe('nbfx-limit');
  });

  it('counts attributes and declarations of one element together', () => {
    const attributes = (count: number) =>
      Array.from({ length: count }, (_, i) => `0402${(0x6100 + i).toString(16)}84`).join('');
    expect(failure(`400161${attributes(65)}01`).code).toBe('nbfx-limit');
    expect(failure(`400161 0901700175 ${attributes(3)}01`, { maxAttributes: 3 }).code).toBe('nbfx-limit');
    expect(clark(new NbfxReader(fromHex(`400161${attributes(64)}01`)))).toContain('="false"');
  });

  it('limits text records, and all text of one element together', () => {
    expect(failure('400161 9b0500 68656c6c6f', { maxTextBytes: 4 }).code).toBe('nbfx-limit');
    const reader = open(`400161 ${'98036162 63'.repeat(3)} 01`, { maxTextBytes: 8 });
    expect(() => reader.readText()).toThrow(expect.objectContaining({ code: 'nbfx-limit' }));
    expect(failure(`400161 a4 ${'80'.repeat(5)} a6 01`, { maxTextBytes: 8 }).code).toBe('nbfx-limit');
    const bytes = open(`400161 ${'9e0361 6263'.repeat(3)} 01`, { maxTextBytes: 8 });
    expect(() => bytes.readBytes()).toThrow(expect.objectContaining({ code: 'nbfx-limit' }));
  });

  it('limits the items of all arrays of a message together', () => {
    const array = '03400162 01 b5 03 000100';
    expect(failure(`400161 ${array} ${array} 01`, { maxArrayItems: 5 }).code).toBe('nbfx-limit');
    expect(clark(new NbfxReader(fromHex(`400161 ${array} ${array} 01`), { maxArrayItems: 6 }))).toContain('true');
  });

  it('limits the elements of a message, those of arrays included', () => {
    const text = `400161 ${'40016201'.repeat(3)} 03400162 01 b5 02 0001 01`;
    expect(failure(text, { maxElements: 5 }).code).toBe('nbfx-limit');
    expect(clark(new NbfxReader(fromHex(text), { maxElements: 6 }))).toContain('true');
  });

  it('refuses a huge array count at once', () => {
    expect(failure('400161 03400162 01 b5 ffffffff07').code).toBe('nbfx-limit');
  });

  it('limits the declarations in scope, over all open elements', () => {
    const level = (prefix: string) => `400161 0902${Buffer.from(prefix).toString('hex')}0175`;
    const levels = (count: number) =>
      Array.from({ length: count }, (_, i) => level(`p${i}`)).join('') + '01'.repeat(count);
    expect(failure(levels(4), { maxNamespaces: 3 }).code).toBe('nbfx-limit');
    // They go out of scope with their elements.
    expect(clark(new NbfxReader(fromHex(`400172 ${levels(3)} ${levels(3)} 01`), { maxNamespaces: 3 }))).toContain(
      '<r>',
    );
  });

  it('takes many small records of one text without growing beyond the text', () => {
    const text = open(`400161 ${'980178'.repeat(50_000)} 01`);
    expect(text.readText()).toBe('x'.repeat(50_000));
    const bytes = open(`400161 ${'9e0107'.repeat(50_000)} 9e00 01`);
    expect(Buffer.compare(bytes.readBytes(), new Uint8Array(50_000).fill(7))).toBe(0);
  });

  it('limits names', () => {
    expect(failure('4005 6162636465 01', { maxNameBytes: 4 }).code).toBe('nbfx-limit');
  });
});

describe('reading element by element', () => {
  it('reads children past whitespace and comments, and skips what it does not know', () => {
    const reader = open('400172 98020d0a 400161 9901 78 0201 63 400162 400163 400164 9901 79 01 01 980120 40016585 01');
    const seen: string[] = [];
    while (reader.nextChild()) {
      seen.push(reader.localName);
      if (reader.localName === 'a') {
        expect(reader.readText()).toBe('x');
      } else {
        reader.skip();
      }
    }
    reader.finish();
    expect(seen).toEqual(['a', 'b', 'e']);
  });

  it('refuses text between elements', () => {
    const reader = open('400172 980178 40016101 01');
    expect(() => reader.nextChild()).toThrow(expect.objectContaining({ code: 'nbfx-structure' }));
  });

  it('refuses an element where text is expected', () => {
    const reader = open('400172 980178 40016101 01');
    expect(() => reader.readText()).toThrow(expect.objectContaining({ code: 'nbfx-structure' }));
  });

  it('joins text records, and Bytes records before base64', () => {
    expect(open('400172 980178 0201 63 9a020079 7a 99 01 21').readText()).toBe('xyz!');
    expect(open('400172 9e0100 9f0101').readText()).toBe('AAE=');
    expect([...open('400172 9e0200 01 9f0102').readBytes()]).toEqual([0, 1, 2]);
    expect(open('400172 01').readText()).toBe('');
    expect(open('400172 01').readBytes()).toHaveLength(0);
  });

  it('reads bytes from base64 characters, and from text that happens to look like something else', () => {
    expect(Buffer.from(open('400172 9908 5347467362473832').readBytes()).toString()).toBe('Hallo6');
    // The base64 text `true` may come as the record True.
    expect([...open('400172 87').readBytes()]).toEqual([...Buffer.from('true', 'base64')]);
    for (const bad of ['9901 61', '9904 613d3d3d', '9904 2a2a2a2a', '9905 6161613d61']) {
      expect(() => open(`400172 ${bad}`).readBytes()).toThrow(expect.objectContaining({ code: 'nbfx-value' }));
    }
  });

  it.each([
    ['81', 0],
    ['83', 1],
    ['89fe', -2],
    ['8bfeff', -2],
    ['8d40420f00', 1_000_000],
    ['8fffffffffffff1f00', Number.MAX_SAFE_INTEGER],
    ['990320 3432', 42],
    ['98022d3001', 0],
    ['b70634003200 2000', 42],
    ['93 0000000000004540', 42],
  ])('reads the integer %s as %d', (hex, value) => {
    const reader = open(`400172 ${hex}`);
    expect(reader.readInteger()).toBe(value);
    reader.finish();
  });

  it.each([
    '99013f',
    '9900',
    '85',
    '8fffffffffffffff7f',
    '9903312e35',
    '9915313131313131313131313131313131313131313131',
  ])('refuses the integer %s', (hex) => {
    expect(() => open(`400172 ${hex}`).readInteger()).toThrow(expect.objectContaining({ code: 'nbfx-value' }));
  });

  it.each([
    ['87', true],
    ['85', false],
    ['83', true],
    ['81', false],
    ['b501', true],
    ['b500', false],
    ['990474727565', true],
    ['990546616c7365', false],
    ['98013001', false],
  ])('reads the boolean %s as %s', (hex, value) => {
    expect(open(`400172 ${hex}`).readBoolean()).toBe(value);
  });

  it.each(['8902', '9902 6e6f', '01'])('refuses the boolean %s', (hex) => {
    expect(() => open(`400172 ${hex}`).readBoolean()).toThrow(expect.objectContaining({ code: 'nbfx-value' }));
  });

  const text = (value: string) =>
    `99${value.length.toString(16).padStart(2, '0')}${Buffer.from(value).toString('hex')}`;

  it.each([
    // 2006-05-17T00:00:00 is a sample of MC-NBFX; the top two bits are the kind.
    ['9700408ef95b47c808', '2006-05-17T00:00:00.000Z'],
    ['9700408ef95b47c848', '2006-05-17T00:00:00.000Z'],
    ['97ff3f37f47528ca2b', '9999-12-31T23:59:59.999Z'],
    ['970000000000000000', '0001-01-01T00:00:00.000Z'],
    [text('2024-02-29T12:34:56.7890129Z'), '2024-02-29T12:34:56.789Z'],
    [text('2024-02-29T12:34:56'), '2024-02-29T12:34:56.000Z'],
    [text('2024-02-29T00:30:00+02:30'), '2024-02-28T22:00:00.000Z'],
    [text('0001-01-01T00:00:00'), '0001-01-01T00:00:00.000Z'],
  ])('reads the time %s as %s', (hex, iso) => {
    const [year] = iso.split('-');
    const date = open(`400172 ${hex}`).readDateTime();
    expect(date.getTime()).toBe(Date.parse(iso));
    expect(date.getUTCFullYear()).toBe(Number(year));
  });

  it.each([
    '2023-02-29T00:00:00Z',
    '2024-13-01T00:00:00',
    '2024-01-01',
    '2024-01-01T24:00:00',
    'x',
    '0000-01-01T00:00:00',
  ])('refuses the time %s', (value) => {
    expect(() => open(`400172 ${text(value)}`).readDateTime()).toThrow(expect.objectContaining({ code: 'nbfx-value' }));
  });

  it('resolves QNames in attributes, written as record or as characters', () => {
    for (const value of ['bc028e07', '9807633a666c6f6174']) {
      const reader = open(`400172 0901690175 0901630176 2e0474797065 ${value} 01`);
      expect(reader.qnameAttribute('u', 'type')).toBe(true);
      expect([reader.qnameNamespace, reader.qnameLocalName]).toEqual(['v', 'float']);
      expect(reader.qnameAttribute('u', 'other')).toBe(false);
    }
    const undeclared = open('400172 0901690175 2e0474797065 bc028e07 01');
    expect(() => undeclared.qnameAttribute('u', 'type')).toThrow(expect.objectContaining({ code: 'nbfx-namespace' }));
  });

  it('gives attributes by name and says where the document ends', () => {
    const reader = open('400172 040161 8802 01');
    expect(reader.attribute('', 'a')).toBe('2');
    expect(reader.attribute('u', 'a')).toBeUndefined();
    expect(() => reader.attributeAt(1)).toThrow(RangeError);
    expect(reader.next()).toBe(NodeType.end);
    expect(reader.next()).toBe(NodeType.done);
  });
});
