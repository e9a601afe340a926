/** One process at a time makes the keys of a state directory: else the authority of one would lie beside the key of another. */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PhsyncError } from '../hasher/errors.js';
import { type Lock, tryLock } from '../state/lock.js';

const LOCK_FILE = 'keys.lock';
/** Making a key of each kind takes a second on a slow machine. */
const PATIENCE = 30_000;
const PAUSE = 50;

/**
 * Does `work` while no other process does the like for this directory.
 * @throws PhsyncError `state-directory` when the lock is not to be had in half a minute
 */
export async function withStateLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const lock = await waitForLock(join(directory, LOCK_FILE));
  try {
    return await work();
  } finally {
    lock.release();
  }
}

async function waitForLock(file: string): Promise<Lock> {
  const until = Date.now() + PATIENCE;
  for (;;) {
    let cause: unknown;
    try {
      const lock = tryLock(file);
      if (lock !== undefined) return lock;
    } catch (error) {
      if (error instanceof PhsyncError) throw error;
      cause = error;
    }
    if (cause === undefined && Date.now() < until) {
      await sleep(PAUSE);
      continue;
    }
    const reason =
      cause === undefined ? 'another process holds it' : cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('state-directory', `cannot lock ${file}: ${reason}`, { cause, facts: { file } });
  }
}
