/** A thread that signs tokens, many at a time. */

import { parentPort } from 'node:worker_threads';
import type { Answered, Asked } from '../thread.js';
import { type SigningTask, signNow } from './sign-now.js';

const port = parentPort!;

port.on('message', (asked: Asked<SigningTask>) => {
  if (asked === undefined) {
    port.close();
    return;
  }
  const { number, question } = asked;
  const { alg, key, inputs } = question;
  const answer = inputs.map((input) => signNow(alg, key, input));
  port.postMessage({ number, answer } satisfies Answered<readonly string[]>);
});
