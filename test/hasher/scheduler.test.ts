/** A task's failure is its own: whoever's call or answer led to it goes on. */

import { afterEach, describe, expect, it } from 'vitest';
import { Pool } from '#src/hasher/pool.js';
import { Scheduler, type Task } from '#src/hasher/scheduler.js';
import type { Md4Slice } from '#src/hasher/worker.js';

const scheduler = new Scheduler(new Pool({ owner: 'hasher', worker: ['hasher', 'worker.js'] }, 1, 1000), 10);
afterEach(() => scheduler.close());

const slice = (memory: Parameters<Task['lay']>[0]): Md4Slice => ({
  operation: 'md4',
  kernel: undefined,
  bytes: memory.bytes(0),
  offsets: memory.words(2),
  digests: memory.bytes(16),
});

/** What becomes of a task; `broken` throws `error`. */
function outcome(broken: 'lay' | 'done' | undefined, error: Error): Promise<unknown> {
  return new Promise((resolve) => {
    let waiting = true;
    const fail = (at: typeof broken): void => {
      if (broken === at) throw error;
    };
    scheduler.admit();
    scheduler.enter({
      get waiting() {
        return waiting;
      },
      full: true,
      long: false,
      next() {
        waiting = false;
        return {
          calls: 1,
          size: 100,
          lay(memory) {
            fail('lay');
            return slice(memory);
          },
          done() {
            fail('done');
            resolve('done');
          },
          failed: resolve,
        };
      },
      cut: resolve,
    });
    expect(() => scheduler.pump()).not.toThrow();
  });
}

describe('a task', () => {
  it('that has no memory for its inputs or its results fails alone', async () => {
    const error = new RangeError('Array buffer allocation failed');
    const all = [outcome('lay', error), outcome('done', error), outcome(undefined, error)];
    expect(await Promise.all(all)).toEqual([error, error, 'done']);
    expect([scheduler.waiting, scheduler.running]).toEqual([0, 0]);
  });
});
