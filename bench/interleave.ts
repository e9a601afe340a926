/**
 * Contenders side by side: one sample of each in every round, each in a process of its own that is new in every round,
 * so that what a process is stuck with (where its memory lies, what its compiler made of it) varies from sample to
 * sample as it does from run to run.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Sample, Task } from './contender-process.js';

const script = fileURLToPath(new URL('./contender-process.js', import.meta.url));

export interface Entry {
  readonly name: string;
  /** What `contenders` knows it as; the name by default. */
  readonly contender?: string;
  readonly jobs: number;
  /** Of its process, besides the caller's own: OPENSSL_ia32cap and the like. */
  readonly env?: Readonly<Record<string, string>>;
}

async function answer<T>(child: ChildProcess, name: string): Promise<T> {
  const gone = new AbortController();
  const exited = once(child, 'exit', { signal: gone.signal }).then(([code]) => {
    throw new Error(`the contender ${name} ended with exit code ${code}; its error stands above`);
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: gone.signal }), exited]);
    return message as T;
  } finally {
    gone.abort();
    exited.catch(() => undefined);
  }
}

const contenderOf = ({ name, contender = name }: Entry): string => contender;

async function round(entries: readonly Entry[], seconds: number): Promise<Map<string, Sample>> {
  const samples = new Map<string, Sample>();
  // Entries that differ in their jobs alone share a process.
  const children = new Map<string, ChildProcess>();
  try {
    for (const entry of entries) {
      const key = JSON.stringify([contenderOf(entry), entry.env]);
      let child = children.get(key);
      if (child === undefined) {
        child = fork(script, [contenderOf(entry)], { env: { ...process.env, ...entry.env } });
        children.set(key, child);
        await answer(child, entry.name);
      }
      child.send({ jobs: entry.jobs, seconds } satisfies Task);
      samples.set(entry.name, await answer<Sample>(child, entry.name));
    }
  } finally {
    for (const child of children.values()) {
      if (child.connected) child.disconnect();
    }
    await Promise.all([...children.values()].map((child) => child.exitCode === null && once(child, 'exit')));
  }
  return samples;
}

/**
 * `rounds` × one sample of `seconds` for each entry, in an order that turns by one every round.
 *
 * @returns the samples by entry name, one a round.
 */
export async function interleave(
  entries: readonly Entry[],
  rounds: number,
  seconds: number,
  say: (line: string) => void,
): Promise<Map<string, Sample[]>> {
  const all = new Map<string, Sample[]>(entries.map(({ name }) => [name, []]));
  for (let n = 0; n < rounds; n++) {
    const turned = entries.map((_, i) => entries[(i + n) % entries.length]!);
    for (const [name, sample] of await round(turned, seconds)) all.get(name)!.push(sample);
    say(`round ${n + 1} of ${rounds}`);
  }
  return all;
}
