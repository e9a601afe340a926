/** Published vectors on every backend and kernel. */

import { expect, it } from 'vitest';
import { formatCredential } from '#src/hasher/credential.js';
import { EnvelopeStatus } from '#src/hasher/types.js';
import orgid from '../vectors/orgid.json' with { type: 'json' };
import replication from '../vectors/replication.json' with { type: 'json' };
import { describeBackends } from './backends.js';
import { hex, orgId, unhex } from './reference.js';

describeBackends('vectors', (hasher) => {
  it.each(orgid)('orgid.json: $source, salt $salt', async ({ password, ntHash, salt, iterations, hash }) => {
    const credential = await hasher().derive(unhex(ntHash), { salt: unhex(salt), iterations });
    expect(formatCredential(credential)).toBe(`v1;PPH1_MD4,${salt},${iterations},${hash};`);
    expect(await hasher().verify(credential, password)).toBe(true);
    expect(await hasher().verify(formatCredential(credential), unhex(ntHash))).toBe(true);
    expect(await hasher().verify(credential, `${password} `)).toBe(false);
  });

  it.each(replication.filter(({ rid }) => rid))('replication.json: $name', async (vector) => {
    const { sessionKey, blob, rid, expected } = vector;
    const result = await hasher().openAndDeriveBatch({
      sessionKeys: [unhex(sessionKey)],
      envelopes: unhex(blob),
      rids: Uint32Array.of(rid!),
    });
    expect([...result.status]).toEqual([EnvelopeStatus.ok]);
    // The digest proves the NT hash, which does not come out.
    expect(hex(result.digests)).toBe(hex(orgId(unhex(expected?.[0] ?? ''), result.salts, 1000)));
  });
});
