import { describe, expect, test } from 'vitest';
import { Batches } from '#src/agent/batches.js';
import { PhsyncError } from '#src/hasher/errors.js';

const fault = (errorCode: string) =>
  new PhsyncError('provisioning-fault', `the tenant says ${errorCode}`, { facts: { errorCode } });

/** A tenant that takes numbers, and refuses each batch in which one of `bad` is. */
function tenant(size: number, bad: ReadonlySet<number>, failure: () => Error = () => fault('InvalidRequest')) {
  const sent: number[][] = [];
  let running = 0;
  let most = 0;
  const batches = new Batches<number, string>({
    size,
    async send(batch) {
      sent.push([...batch]);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      if (batch.some((item) => bad.has(item))) throw failure();
      return batch.map((item) => `took ${item}`);
    },
    refused: (item, { code, reason }) => `refused ${item}: ${code}, ${reason}`,
  });
  return { batches, sent, most: () => most };
}

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('batches', () => {
  test('are of the size the tenant takes, four at a time, and the results in the order of the items', async () => {
    const { batches, sent, most } = tenant(50, new Set());
    expect(await batches.send(numbers(1234))).toEqual(numbers(1234).map((i) => `took ${i}`));
    expect(sent).toHaveLength(25);
    expect(Math.max(...sent.map(({ length }) => length))).toBe(50);
    expect(most()).toBe(4);
    expect(await batches.send([])).toEqual([]);
  });

  test('that are refused are taken apart until those stand alone that the tenant does not take', async () => {
    const bad = new Set([0, 77, 78, 499]);
    const { batches, sent } = tenant(50, bad);
    const results = await batches.send(numbers(500));
    expect(results).toEqual(
      numbers(500).map((i) =>
        bad.has(i) ? `refused ${i}: InvalidRequest, the tenant says InvalidRequest` : `took ${i}`,
      ),
    );
    // Each refused batch costs two calls a halving, not one an item.
    expect(sent.length).toBeLessThan(10 + 4 * 2 * 6);
  });

  test('with a value that the wire cannot carry are taken apart as well', async () => {
    const { batches } = tenant(50, new Set([3]), () => new RangeError('DateTime holds the years 1 to 9999'));
    const results = await batches.send(numbers(60));
    expect(results[3]).toMatch(/^refused 3: wire, DateTime holds/);
    expect(results.filter((result) => result.startsWith('took'))).toHaveLength(59);
  });

  test('refused one and all, it is the tenant', async () => {
    const { batches, sent } = tenant(50, new Set(numbers(5000)));
    await expect(batches.send(numbers(5000))).rejects.toMatchObject({ code: 'provisioning-fault' });
    expect(sent.length).toBeLessThan(500);
  });

  test('but however many are refused where others are taken', async () => {
    const { batches } = tenant(50, new Set(numbers(800).filter((i) => i % 4 !== 0)));
    const results = await batches.send(numbers(800));
    expect(results.filter((result) => result.startsWith('refused'))).toHaveLength(600);
  });

  test('after any other failure nothing more is sent, nor later', async () => {
    const { batches, sent } = tenant(50, new Set([120]), () => new PhsyncError('provisioning-timeout', 'no answer'));
    await expect(batches.send(numbers(5000))).rejects.toMatchObject({ code: 'provisioning-timeout' });
    expect(sent.length).toBeLessThanOrEqual(8);
    const before = sent.length;
    await expect(batches.send([1])).rejects.toMatchObject({ code: 'provisioning-timeout' });
    expect(sent.length).toBe(before);
  });

  test('answered with too few results are an error', async () => {
    const batches = new Batches<number, number>({ size: 5, send: async () => [1], refused: (item) => item });
    await expect(batches.send([1, 2])).rejects.toMatchObject({ code: 'tenant-reply' });
  });
});
