/** NT hashes (MS-NLMP 3.3.1, NTOWFv1) of many passwords on the pool. */

import { type Engine, runSlices } from './batches.js';
import { checkItems, shareItems, utf16 } from './flat-items.js';
import { sharedBytes } from './shared-memory.js';
import { type FlatItems, NT_HASH_SIZE } from './types.js';

/** Checks an `ntHashBatch` and returns how many items it has. */
export function checkNtHashBatch(passwords: readonly string[] | FlatItems): number {
  const n = checkItems('passwords', passwords, utf16);
  if ('offsets' in passwords) {
    const { offsets } = passwords;
    for (let i = 1; i <= n; i++) {
      const size = offsets[i]! - offsets[i - 1]!;
      if (size % 2 !== 0) throw new RangeError(`passwords: expected UTF-16LE, item ${i - 1} has ${size} bytes`);
    }
  }
  return n;
}

/** The arguments were checked. */
export async function runNtHashBatch(
  engine: Engine,
  n: number,
  passwords: readonly string[] | FlatItems,
): Promise<Uint8Array> {
  const { bytes, offsets } = shareItems(passwords, utf16);
  const digests = sharedBytes(n * NT_HASH_SIZE);
  try {
    // One iteration: the slices are the largest there are.
    await runSlices(engine, n, 1, (from, to) => ({
      operation: 'md4',
      kernel: engine.kernel,
      bytes,
      offsets: offsets.subarray(from, to + 1),
      digests: digests.subarray(from * NT_HASH_SIZE, to * NT_HASH_SIZE),
    }));
    return new Uint8Array(digests);
  } finally {
    bytes.fill(0);
    digests.fill(0);
  }
}
