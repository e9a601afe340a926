import { md4 } from 'hash-wasm';
import { describe, expect, it } from 'vitest';
import { ntHash } from '#src/hasher/nt-hash.js';
import orgid from '../vectors/orgid.json' with { type: 'json' };
import { hex } from './reference.js';

describe('ntHash', () => {
  it('MS-NLMP 4.2.2.1.2: NTOWFv1 of "Password"', () => {
    expect(hex(ntHash('Password'))).toBe('a4f49c406510bdcab6824ee7c30fd852');
  });

  it.each(orgid)('orgid.json: $password', (vector) => {
    expect(hex(ntHash(vector.password))).toBe(vector.ntHash);
  });

  it('hashes lone surrogates as they stand', async () => {
    expect(hex(ntHash('a\ud800b\udc00'))).toBe(await md4(Uint8Array.of(0x61, 0, 0, 0xd8, 0x62, 0, 0, 0xdc)));
  });

  it('hashes passwords longer than any that Windows has', async () => {
    const password = 'xÿ'.repeat(50_000);
    expect(hex(ntHash(password))).toBe(await md4(Buffer.from(password, 'utf16le')));
  });
});
