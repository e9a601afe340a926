/** NT hashes (MS-NLMP 3.3.1, NTOWFv1) of many passwords on the pool. */

import { secretBytes } from '../crypto/secret-bytes.js';
import { type Batch, type Engine, runBatch } from './batches.js';
import { checkItems, copyItems, layItems, sizeOfItems, utf16 } from './flat-items.js';
import { regionSize } from './shared-memory.js';
import { type FlatItems, NT_HASH_SIZE } from './types.js';
import type { Md4Slice } from './worker.js';

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
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const items = copyItems('passwords', passwords, n, utf16);
  const ntHashes = secretBytes(n * NT_HASH_SIZE);
  const batch: Batch<Md4Slice> = {
    jobs: n,
    // The slices are the largest there are.
    iterations: 1,
    size: (from, to) => regionSize(sizeOfItems(items, from, to) + (to - from) * NT_HASH_SIZE, 3),
    lay: (from, to, memory) => ({
      operation: 'md4',
      kernel: engine.kernel,
      ...layItems(items, from, to, memory),
      digests: memory.bytes((to - from) * NT_HASH_SIZE),
    }),
    take: (from, _, slice) => ntHashes.set(slice.digests, from * NT_HASH_SIZE),
    wipe: () => items.bytes.fill(0),
  };
  try {
    await runBatch(engine, batch, signal);
  } catch (error) {
    ntHashes.fill(0);
    throw error;
  }
  return ntHashes;
}
