/** Looks for known NT hashes in a process's memory and in files, in every form in which one might have been left. */

import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface KnownHash {
  readonly name: string;
  /** 32 hex digits. */
  readonly ntHash: string;
}

/** Where a hash was found. Never the hash itself. */
export interface Finding {
  readonly name: string;
  readonly form: string;
  readonly where: string;
}

const HEX = (hash: Buffer) => Buffer.from(hash.toString('hex').toUpperCase(), 'utf16le');
const xor = (bytes: Buffer, pad: number) => Buffer.from(bytes.map((byte) => byte ^ pad));

const forms: Readonly<Record<string, (hash: Buffer) => Buffer>> = {
  binary: (hash) => hash,
  hex: (hash) => Buffer.from(hash.toString('hex'), 'latin1'),
  HEX: (hash) => Buffer.from(hash.toString('hex').toUpperCase(), 'latin1'),
  'hex, UTF-16': (hash) => Buffer.from(hash.toString('hex'), 'utf16le'),
  'HEX, UTF-16': HEX,
  // PBKDF2's HMAC key block with ipad and opad: what a kernel makes of the upper-case hex.
  'HEX, UTF-16, ipad': (hash) => xor(HEX(hash), 0x36),
  'HEX, UTF-16, opad': (hash) => xor(HEX(hash), 0x5c),
  // Without the last two digits, which are `==`.
  base64: (hash) => Buffer.from(hash.toString('base64').slice(0, 22), 'latin1'),
};

interface Pattern {
  readonly name: string;
  readonly form: string;
  readonly bytes: Buffer;
}

const LONGEST = 64;
const CHUNK = 4 * 1024 * 1024;
const FILTER_BITS = 22;

/** Spreads the 32 bits of a pattern's first four bytes over the filter. */
const slot = (first4: number): number => Math.imul(first4, 0x9e3779b1) >>> (32 - FILTER_BITS);

export class SecretScanner {
  // One bit for each slot that some pattern's first four bytes fall into: nearly every offset ends here.
  readonly #filter = new Uint32Array(2 ** FILTER_BITS / 32);
  readonly #byFirst4 = new Map<number, Pattern[]>();

  constructor(hashes: Iterable<KnownHash>) {
    for (const { name, ntHash } of hashes) {
      for (const [form, encode] of Object.entries(forms)) {
        const bytes = encode(Buffer.from(ntHash, 'hex'));
        const first4 = bytes.readInt32LE(0);
        this.#filter[slot(first4) >>> 5]! |= 1 << (slot(first4) & 31);
        const list = this.#byFirst4.get(first4);
        if (list === undefined) this.#byFirst4.set(first4, [{ name, form, bytes }]);
        else list.push({ name, form, bytes });
      }
    }
  }

  /** Every known hash at any offset of the bytes. */
  scan(bytes: Buffer, where: string): Finding[] {
    const found: Finding[] = [];
    let first4 = 0;
    for (let end = 0; end < bytes.length; end += 1) {
      first4 = (first4 >>> 8) | (bytes[end]! << 24);
      const at = slot(first4);
      if ((this.#filter[at >>> 5]! & (1 << (at & 31))) === 0 || end < 3) continue;
      for (const { name, form, bytes: pattern } of this.#byFirst4.get(first4) ?? []) {
        const from = end - 3;
        if (from + pattern.length > bytes.length) continue;
        if (bytes.compare(pattern, 0, pattern.length, from, from + pattern.length) === 0) {
          found.push({ name, form, where: `${where}+0x${from.toString(16)}` });
        }
      }
    }
    return found;
  }

  /** Every file below the directory. */
  scanFiles(directory: string): { findings: Finding[]; files: string[] } {
    const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(directory, name))
      .filter((path) => statSync(path).isFile());
    return { findings: files.flatMap((path) => this.scan(readFileSync(path), path)), files };
  }

  /** Everything readable in a process's address space. The process is stopped meanwhile, so that nothing moves. */
  scanProcess(pid: number): { findings: Finding[]; scannedBytes: number } {
    const findings: Finding[] = [];
    let scannedBytes = 0;
    const memory = openSync(`/proc/${pid}/mem`, 'r');
    process.kill(pid, 'SIGSTOP');
    try {
      for (const { from, to, what } of regions(pid)) {
        // A pattern across two chunks stands whole in the second, which begins where the first's last bytes do.
        const chunk = Buffer.alloc(CHUNK + LONGEST - 1);
        let kept = 0;
        for (let at = from; at < to; at += CHUNK) {
          const size = readAt(memory, chunk, kept, Math.min(CHUNK, to - at), at);
          if (size === 0) break;
          findings.push(...this.scan(chunk.subarray(0, kept + size), `${what} ${(at - kept).toString(16)}`));
          scannedBytes += size;
          const tail = chunk.subarray(Math.max(0, kept + size - (LONGEST - 1)), kept + size);
          chunk.copyWithin(0, kept + size - tail.length, kept + size);
          kept = tail.length;
        }
      }
    } finally {
      process.kill(pid, 'SIGCONT');
      closeSync(memory);
    }
    return { findings, scannedBytes };
  }
}

function regions(pid: number): { from: number; to: number; what: string }[] {
  return (
    readFileSync(`/proc/${pid}/maps`, 'latin1')
      .split('\n')
      .map((line) => /^([0-9a-f]+)-([0-9a-f]+) (r)\S+ \S+ \S+ \S+\s*(.*)$/.exec(line))
      .filter((match) => match !== null)
      .map((match) => ({ from: Number.parseInt(match[1]!, 16), to: Number.parseInt(match[2]!, 16), what: match[4]! }))
      // The kernel's own pages, which cannot be read this way.
      .filter(({ what }) => !what.startsWith('[v'))
  );
}

/** 0 where the region was unmapped in the meantime. */
function readAt(file: number, into: Buffer, offset: number, size: number, position: number): number {
  try {
    return readSync(file, into, offset, size, position);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return 0;
    throw error;
  }
}

export const formNames: readonly string[] = Object.keys(forms);
