/** Independent processes that share nothing, each with one thread: what the machine itself has to give. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { checkDigests, inputs } from '../inputs.js';
import type { Contender } from './contender.js';

const script = fileURLToPath(new URL('../batch-process.js', import.meta.url));

/** `jobs` are shared out among the processes; a run ends when the last has its part. */
export async function processes(count: number, jobs: number): Promise<Contender> {
  const each = Math.ceil(jobs / count);
  const children: ChildProcess[] = [];
  for (let i = 0; i < count; i++) {
    const child = fork(script, [String(each)], { serialization: 'advanced' });
    await once(child, 'message');
    children.push(child);
  }
  const all = async (question: 'run' | 'digests') =>
    Promise.all(
      children.map(async (child) => {
        child.send(question);
        const [answer] = await once(child, 'message');
        return answer as unknown;
      }),
    );
  return {
    jobs: each * count,
    runAsync: async () => {
      await all('run');
    },
    check: async () => {
      const given = inputs(each);
      for (const digests of (await all('digests')) as Uint8Array[]) checkDigests('a process', given, digests);
    },
    close: async () => {
      for (const child of children) child.disconnect();
    },
  };
}
