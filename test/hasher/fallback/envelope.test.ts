import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openEnvelope, transformKey } from '#src/hasher/fallback/envelope.js';
import { EnvelopeStatus } from '#src/hasher/types.js';
import replication from '../../vectors/replication.json' with { type: 'json' };
import { hex, seal, spread, unhex } from '../reference.js';

describe('transformKey', () => {
  it('spreads 7 bytes over 8', () => {
    for (let i = 0; i < 200; i++) {
      const input = randomBytes(7);
      const key = new Uint8Array(8);
      transformKey(input, key);
      expect(hex(key)).toBe(hex(spread(input)));
    }
  });
});

describe('openEnvelope', () => {
  it.each(replication.filter(({ rid }) => rid !== null && rid > 0))('replication.json: $name', (vector) => {
    const { sessionKey, blob, rid, expected } = vector;
    const envelope = unhex(blob);
    const ntHash = new Uint8Array(16);
    expect(openEnvelope([unhex(sessionKey)], envelope, rid!, ntHash)).toBe(EnvelopeStatus.ok);
    expect(hex(ntHash)).toBe(expected?.[0]);
    // The caller's bytes are the caller's.
    expect(hex(envelope)).toBe(blob);
  });

  it('opens what a DC seals, for every length of session key and for RIDs of all four bytes', () => {
    for (let size = 1; size <= 64; size++) {
      const sessionKey = randomBytes(size);
      const rid = randomBytes(4).readUInt32LE() || 1;
      const secret = randomBytes(16);
      const ntHash = new Uint8Array(16);
      expect(openEnvelope([sessionKey], seal(sessionKey, rid, secret), rid, ntHash)).toBe(EnvelopeStatus.ok);
      expect(hex(ntHash)).toBe(hex(secret));
    }
  });

  it('notices every single flipped bit', () => {
    const sessionKey = randomBytes(16);
    const envelope = seal(sessionKey, 1105, randomBytes(16));
    for (let bit = 0; bit < 8 * envelope.length; bit++) {
      const bad = Buffer.from(envelope);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      const ntHash = new Uint8Array(16).fill(7);
      expect(openEnvelope([sessionKey], bad, 1105, ntHash), `bit ${bit}`).toBe(EnvelopeStatus.checksum);
      expect(ntHash.every((byte) => byte === 0)).toBe(true);
    }
  });
});
