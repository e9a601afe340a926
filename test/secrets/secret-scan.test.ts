/** The search for NT hashes finds what is there: otherwise its silence would say nothing. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { formNames, SecretScanner } from './secret-scan.js';

const known = Array.from({ length: 2000 }, (_, i) => ({
  name: `u${i}`,
  ntHash: createHash('sha256').update(`known ${i}`).digest('hex').slice(0, 32),
}));
const scanner = new SecretScanner(known);
const linuxRoot = process.platform === 'linux' && process.getuid?.() === 0;

let child: ChildProcessByStdio<Writable, Readable, null> | undefined;
afterEach(() => child?.kill('SIGKILL'));

/** A Node.js process that holds what the expression makes of the bytes, which it is told with every bit inverted. */
async function holder(bytes: Buffer, expression: string): Promise<number> {
  child = spawn(
    process.execPath,
    [
      '-e',
      `process.stdin.once('data', (inverted) => {
        const bytes = inverted.map((byte) => byte ^ 0xff);
        globalThis.held = ${expression};
        ${expression === 'bytes' ? '' : 'bytes.fill(0);'}
        setInterval(() => globalThis.held, 1e6);
        process.stdout.write('held');
      })`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  child.stdin.write(bytes.map((byte) => byte ^ 0xff));
  await once(child.stdout, 'data');
  return child.pid!;
}

describe.runIf(linuxRoot)('the search through memory', () => {
  it.each([
    ['binary', 'bytes'],
    ['hex', "bytes.toString('hex')"],
    ['HEX', "Buffer.from(bytes.toString('hex').toUpperCase())"],
    ['hex, UTF-16', "Buffer.from(bytes.toString('hex'), 'utf16le')"],
    ['HEX, UTF-16', "Buffer.from(bytes.toString('hex').toUpperCase(), 'utf16le')"],
    ['base64', "bytes.toString('base64')"],
    [
      'binary',
      '(() => { const shared = new Uint8Array(new SharedArrayBuffer(2e6)); shared.set(bytes, 1e6 + 1); return shared; })()',
    ],
  ])('finds one of 2,000 known hashes as %s: %s', async (form, expression) => {
    const { name, ntHash } = known[1234]!;
    const pid = await holder(Buffer.from(ntHash, 'hex'), expression);
    const began = performance.now();
    const { findings, scannedBytes } = scanner.scanProcess(pid);
    expect(findings.map((found) => [found.name, found.form])).toContainEqual([name, form]);
    expect(scannedBytes).toBeGreaterThan(30 * 1024 * 1024);
    expect(performance.now() - began).toBeLessThan(60_000);
  });

  it('finds nothing where there is nothing', async () => {
    const pid = await holder(randomBytes(16), 'bytes');
    expect(scanner.scanProcess(pid).findings).toEqual([]);
  });
});

describe('the search through bytes', () => {
  it('finds every form at every kind of offset, the last one included', () => {
    const hash = Buffer.from(known[7]!.ntHash, 'hex');
    const HEX = Buffer.from(known[7]!.ntHash.toUpperCase(), 'utf16le');
    const encoded: Record<string, Buffer> = {
      binary: hash,
      hex: Buffer.from(known[7]!.ntHash),
      HEX: Buffer.from(known[7]!.ntHash.toUpperCase()),
      'hex, UTF-16': Buffer.from(known[7]!.ntHash, 'utf16le'),
      'HEX, UTF-16': HEX,
      'HEX, UTF-16, ipad': Buffer.from(HEX.map((byte) => byte ^ 0x36)),
      'HEX, UTF-16, opad': Buffer.from(HEX.map((byte) => byte ^ 0x5c)),
      base64: Buffer.from(hash.toString('base64')),
    };
    expect(Object.keys(encoded)).toEqual(formNames);
    for (const [form, bytes] of Object.entries(encoded)) {
      for (const before of [0, 1, 2, 3, 17]) {
        const found = scanner.scan(Buffer.concat([randomBytes(before), bytes]), 'here');
        expect(found).toEqual([{ name: 'u7', form, where: `here+0x${before.toString(16)}` }]);
      }
    }
  });

  it('finds nothing in the last byte short of a hash', () => {
    expect(scanner.scan(Buffer.from(known[7]!.ntHash, 'hex').subarray(0, 15), 'here')).toEqual([]);
  });

  it('finds one in a file', () => {
    const directory = mkdtempSync(join(tmpdir(), 'phsync-scan.'));
    try {
      writeFileSync(join(directory, 'state.log'), `hash=${known[3]!.ntHash}\n`);
      writeFileSync(join(directory, 'clean'), randomBytes(1000));
      const { findings, files } = scanner.scanFiles(directory);
      expect(findings.map(({ name, form }) => [name, form])).toEqual([['u3', 'hex']]);
      expect(files).toHaveLength(2);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
