/** Leaked pairs as CSV and JSON lines: what is taken, what is passed over, and that no line is ever repeated. */

import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type BadLine, type LeakedPair, type PairFormat, readPairs } from '#src/tenant/risk/pairs.js';

async function read(format: PairFormat, text: string | Buffer | readonly Buffer[], delimiter = ',') {
  const bad: BadLine[] = [];
  const pairs: LeakedPair[] = [];
  const input = Readable.from(Array.isArray(text) ? text : [Buffer.from(text as string)], { objectMode: false });
  for await (const pair of readPairs(input, { format, delimiter, onBadLine: (line) => bad.push(line) }))
    pairs.push(pair);
  return { pairs, bad };
}
const pair = (name: string, password: string, found?: string) => ({
  name,
  password,
  found: found === undefined ? undefined : new Date(found),
});

describe('leaked pairs as CSV', () => {
  it('are read without a heading, quoted as RFC 4180 says', async () => {
    const { pairs, bad } = await read('csv', 'a@phs.test,secret\r\n"b@phs.test","with ""quotes"", and\ncomma"\n');
    expect(pairs).toEqual([pair('a@phs.test', 'secret'), pair('b@phs.test', 'with "quotes", and\ncomma')]);
    expect(bad).toEqual([]);
  });

  it('are read by their heading, in any order', async () => {
    const { pairs } = await read('csv', '\ufeffPassword;Found At;E-mail\np w ;2026-01-02T03:04:05Z;a@phs.test\n', ';');
    expect(pairs).toEqual([pair('a@phs.test', 'p w ', '2026-01-02T03:04:05Z')]);
  });

  it('keep quotes and spaces within a password, and characters of any script cut between chunks', async () => {
    const bytes = Buffer.from('a@phs.test,pass"word ü🐎 \n');
    const chunks = [...bytes].map((byte) => Buffer.of(byte));
    expect((await read('csv', chunks)).pairs).toEqual([pair('a@phs.test', 'pass"word ü🐎 ')]);
  });

  it('pass over lines that are none, told by number', async () => {
    const { pairs, bad } = await read('csv', 'a@phs.test\n,x\nb@phs.test,y,soon\n\nc@phs.test,z\n');
    expect(pairs).toEqual([pair('c@phs.test', 'z')]);
    expect(bad.map(({ line }) => line)).toEqual([1, 2, 3]);
    expect(bad[2]!.expected).toContain('2026-01-31T12:00:00Z');
  });

  it('that are no CSV at all are refused without a word of the file', async () => {
    const refusal = await read('csv', `"secret-never-ends${'x'.repeat(200_000)}`).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'leaks-format' });
    expect(String(refusal)).not.toContain('secret');
  });
});

describe('leaked pairs as JSON lines', () => {
  it('are read by their names', async () => {
    const { pairs, bad } = await read(
      'jsonl',
      '{"userPrincipalName":"a@phs.test","password":"x,\\"y\\""}\n\n{"email":" b@phs.test ","pass":"z","found":"2026-01-02T03:04:05Z"}',
    );
    expect(pairs).toEqual([pair('a@phs.test', 'x,"y"'), pair('b@phs.test', 'z', '2026-01-02T03:04:05Z')]);
    expect(bad).toEqual([]);
  });

  it('pass over lines that are none', async () => {
    const { pairs, bad } = await read(
      'jsonl',
      '[]\nnull\n{"name":"a"\n{"name":"a","password":7}\n{"name":"a","password":"p"}\n',
    );
    expect(pairs).toEqual([pair('a', 'p')]);
    expect(bad.map(({ line }) => line)).toEqual([1, 2, 3, 4]);
  });

  it('without an end are refused before they fill the memory', async () => {
    const endless = Array.from({ length: 100 }, () => Buffer.alloc(65_536, 'a'));
    await expect(read('jsonl', endless)).rejects.toMatchObject({ code: 'leaks-format' });
  });
});
