/** The thread that signs tokens with ES256, many at a time. */

import type { KeyObject } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { Answered, Asked } from '../thread.js';
import { signEs256 } from './es256.js';

export interface SigningTask {
  readonly key: KeyObject;
  readonly inputs: readonly string[];
}

const port = parentPort!;

port.on('message', (asked: Asked<SigningTask>) => {
  if (asked === undefined) {
    port.close();
    return;
  }
  const { number, question } = asked;
  const answer = question.inputs.map((input) => signEs256(question.key, input));
  port.postMessage({ number, answer } satisfies Answered<readonly string[]>);
});
