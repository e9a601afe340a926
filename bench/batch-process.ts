/** One of the processes of contenders/processes.ts: runs the addon's batch whenever it is told to. */

import type { KernelChoice } from '#src/hasher/types.js';
import { addon } from './contenders/native.js';
import { ITERATIONS, inputs } from './inputs.js';

const door = addon();
const jobs = Number(process.argv[2]);
const { ntHashes, salts } = inputs(jobs);
const digests = new Uint8Array(jobs * 32);
const kernel = (process.env.PHSYNC_KERNEL ?? 'auto') as KernelChoice;

process.on('message', (question: 'run' | 'digests') => {
  if (question === 'run') door.deriveBatch(kernel, ntHashes, salts, ITERATIONS, digests);
  process.send!(question === 'run' ? 'done' : digests);
});
process.send!('ready');
