import { describe, expect, it } from 'vitest';
import { CallerTurns, MOST_AT_ONCE } from '#src/tenant/graph/caller-turns.js';

/** Work that ends when it is told to. */
function held() {
  const ends: (() => void)[] = [];
  let begun = 0;
  const work = () => {
    begun++;
    return new Promise<void>((resolve) => ends.push(resolve));
  };
  return { work, begun: () => begun, endOne: () => ends.shift()!() };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("a caller's requests at a time", () => {
  it('are so many, and another caller does not wait for them', async () => {
    const turns = new CallerTurns();
    const { work, begun, endOne } = held();
    const all = Array.from({ length: MOST_AT_ONCE + 2 }, () => turns.take('app-1', work));
    await turn();
    expect(begun()).toBe(MOST_AT_ONCE);
    expect(await turns.take('app-2', async () => 'at once')).toBe('at once');
    endOne();
    await turn();
    expect(begun()).toBe(MOST_AT_ONCE + 1);
    for (let i = 0; i < MOST_AT_ONCE + 1; i++) {
      endOne();
      await turn();
    }
    await Promise.all(all);
    expect(turns.size).toBe(0);
  });

  it('end by failing, too', async () => {
    const turns = new CallerTurns();
    const failing = () => Promise.reject(new Error('no'));
    const all = Array.from({ length: 3 * MOST_AT_ONCE }, () => turns.take('app-1', failing));
    expect((await Promise.allSettled(all)).every(({ status }) => status === 'rejected')).toBe(true);
    expect(turns.size).toBe(0);
  });
});
