/** What a pool of workers may be told, checked. */

import { availableParallelism } from 'node:os';
import { checkBoolean, checkInteger } from './arguments.js';
import type { HasherOptions } from './types.js';

const MAX_THREADS = 1024;
const DEFAULT_IDLE_TIMEOUT = 60_000;
/** The longest time that Node's timers take; a longer one would be 1 ms. */
const MAX_TIMEOUT = 2 ** 31 - 1;
const DEFAULT_MAX_QUEUE = 65_536;

export interface PoolSettings {
  readonly threads: number;
  readonly idleTimeout: number;
  readonly maxQueue: number;
  readonly allowMd5InFips: boolean | undefined;
}

/**
 * The options with their defaults.
 *
 * @throws {TypeError} {RangeError} for an option of the wrong kind or value.
 */
export function checkPoolOptions(options: HasherOptions): PoolSettings {
  const { threads = availableParallelism(), idleTimeout = DEFAULT_IDLE_TIMEOUT } = options;
  const { maxQueue = DEFAULT_MAX_QUEUE, allowMd5InFips } = options;
  checkInteger('options.threads', threads, 1, MAX_THREADS);
  if (idleTimeout !== Number.POSITIVE_INFINITY) checkInteger('options.idleTimeout', idleTimeout, 0, MAX_TIMEOUT);
  checkInteger('options.maxQueue', maxQueue, 1, Number.MAX_SAFE_INTEGER);
  if (allowMd5InFips !== undefined) checkBoolean('options.allowMd5InFips', allowMd5InFips);
  return { threads, idleTimeout, maxQueue, allowMd5InFips };
}
