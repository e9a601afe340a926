/** Contenders side by side: each in its own process, one sample each in every round, ratios taken within the round. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Ready, Sample } from './contender-process.js';
import { median } from './result.js';

const script = fileURLToPath(new URL('./contender-process.js', import.meta.url));

export interface Entry {
  readonly name: string;
  /** For `fork`, besides the caller's own: OPENSSL_ia32cap and the like. */
  readonly env?: Readonly<Record<string, string>>;
  /** What `contender` knows it as; the name by default. */
  readonly contender?: string;
  readonly jobs: number;
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

/**
 * `rounds` × one sample of `seconds` for each entry, in an order that turns by one every round.
 * @returns digests a second by entry name, one figure a round.
 */
export async function interleave(
  entries: readonly Entry[],
  rounds: number,
  seconds: number,
  say: (line: string) => void,
): Promise<Map<string, number[]>> {
  const children = new Map<string, ChildProcess>();
  const figures = new Map<string, number[]>(entries.map(({ name }) => [name, []]));
  try {
    for (const { name, contender = name, jobs, env } of entries) {
      const child = fork(script, [contender, String(jobs)], { env: { ...process.env, ...env } });
      children.set(name, child);
      await answer<Ready>(child, name);
    }
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < entries.length; i++) {
        const { name } = entries[(i + round) % entries.length]!;
        const child = children.get(name)!;
        child.send({ seconds });
        figures.get(name)!.push((await answer<Sample>(child, name)).perSecond);
      }
      say(
        `round ${round + 1} of ${rounds}: ${[...figures].map(([name, all]) => `${name} ${Math.round(all.at(-1)!)}/s`).join(', ')}`,
      );
    }
  } finally {
    for (const child of children.values()) {
      if (child.connected) child.disconnect();
    }
  }
  return figures;
}

/** The median over the rounds of `a`'s figure divided by `b`'s of the same round. */
export function pairedRatio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((figure, round) => figure / b[round]!));
}
