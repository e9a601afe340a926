import { describe, expect, it } from 'vitest';
import type { PositionOptions } from '#src/agent/sources/drs-position.js';
import { positionOf } from '#src/agent/sources/drs-position.js';
import { type AskedReply, readAhead } from '#src/agent/sources/drs-read-ahead.js';
import type { ReplicationCookie } from '#src/protocol/drsr/cookie.js';

const options: PositionOptions = { server: 'dc1.phs.test', domain: 'phs.test', ncDn: 'DC=phs,DC=test', attributes: [] };
const invocation = new Uint8Array(16).fill(7);

/** A simulated domain controller with `last` pages, whose heads and replies come when the test says so. */
function simulated(last: number) {
  const from: bigint[] = [];
  const firsts: boolean[] = [];
  const tell: (() => void)[] = [];
  const finish: (() => void)[] = [];
  const fail: ((error: Error) => void)[] = [];
  const page = (number: number) => ({
    nc: undefined,
    uuidInvocIdSrc: invocation,
    usnvecTo: { usnHighObjUpdate: BigInt(10 * number), usnReserved: 0n, usnHighPropUpdate: BigInt(10 * number) },
    fMoreData: number < last,
    upToDateVector: undefined,
    objects: [],
  });
  const ask = ({ usn }: ReplicationCookie, first: boolean): AskedReply => {
    from.push(usn.usnHighObjUpdate);
    firsts.push(first);
    const number = from.length;
    const reply = new Promise<Awaited<AskedReply['reply']>>((resolve, reject) => {
      finish[number] = () => resolve(page(number) as unknown as Awaited<AskedReply['reply']>);
      fail[number] = reject;
    });
    const told = new Promise<Awaited<AskedReply['head']>>((resolve) => {
      tell[number] = () => resolve(page(number));
    });
    return { head: Promise.race([told, reply]), reply };
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    from,
    firsts,
    head(number: number) {
      tell[number]!();
      return settle();
    },
    whole(number: number) {
      finish[number]!();
      return settle();
    },
    broken(number: number, error: Error) {
      fail[number]!(error);
      return settle();
    },
    pages: readAhead(positionOf(undefined, options), ask, options),
  };
}

describe('readAhead (simulated domain controller)', () => {
  it('asks for a page when the one before it begins to come, and for one more while that is worked on', async () => {
    const dc = simulated(5);
    const first = dc.pages.next();
    await dc.head(1);
    expect(dc.from).toEqual([0n, 10n]);
    await dc.whole(1);
    expect((await first).value!.position.usn.usnHighObjUpdate).toBe(10n);
    // Page 1 is worked on.
    await dc.head(2);
    expect(dc.from).toEqual([0n, 10n, 20n]);
    await dc.whole(2);
    await dc.head(3);
    expect(dc.from).toEqual([0n, 10n, 20n]);
    expect((await dc.pages.next()).value!.position.usn.usnHighObjUpdate).toBe(20n);
    expect(dc.from).toEqual([0n, 10n, 20n, 30n]);
    expect(dc.firsts).toEqual([true, false, false, false]);
  });

  it('needs no heads: whole replies lead on', async () => {
    const dc = simulated(3);
    const seen: bigint[] = [];
    const reading = (async () => {
      for await (const { position } of dc.pages) seen.push(position.usn.usnHighObjUpdate);
    })();
    for (const page of [1, 2, 3]) await dc.whole(page);
    await reading;
    expect(seen).toEqual([10n, 20n, 30n]);
    expect(dc.from).toEqual([0n, 10n, 20n]);
  });

  it('ends with the failure of a page whose head had come, after the pages before it', async () => {
    const dc = simulated(5);
    const first = dc.pages.next();
    await dc.whole(1);
    expect((await first).done).toBe(false);
    await dc.head(2);
    await dc.broken(3, new Error('that of the page asked for ahead'));
    await dc.broken(2, new Error('cut off'));
    await expect(dc.pages.next()).rejects.toThrow('cut off');
  });
});
