/** How long Graph's heaviest reads hold up the event loop, on which people sign in meanwhile. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { countFound, findUsers } from '#src/tenant/graph/users/user-search.js';
import { countUsers } from '#src/tenant/graph/users/user-store.js';
import type { TenantStore } from '#src/tenant/store/store.js';

/** The timer that looks comes every millisecond. */
const RESOLUTION = 1;

export interface GraphReads {
  /** Of all of them, what one turn took at most, as the timer saw it: what else the machine does is in it. */
  readonly longestStallMilliseconds: number;
  /** Of the slowest read. */
  readonly slowestMilliseconds: number;
}

/** `users` are in the store, enabled and synchronized, called `User …`. */
export async function graphReads({ database }: TenantStore, users: number): Promise<GraphReads> {
  const enabled = { path: 'accountEnabled', operator: 'eq', values: [true] } as const;
  const synchronized = { path: 'onPremisesSyncEnabled', operator: 'eq', values: [true] } as const;
  const nobody = { conditions: [], words: ['nobody'] };
  const reads: readonly (readonly [() => Promise<number>, number])[] = [
    [() => database.aside((queries) => countUsers(queries, [[enabled]])), users],
    [() => database.aside((queries) => countUsers(queries, [[enabled], [synchronized]])), users],
    [() => countFound(database, [nobody]), 0],
    [async () => (await findUsers(database, nobody, { order: 'id', start: undefined, limit: 100 })).length, 0],
    [
      async () => {
        const page = { order: 'userPrincipalName', start: undefined, limit: 1000 } as const;
        return (await findUsers(database, { conditions: [], words: [] }, page)).length;
      },
      Math.min(users, 1000),
    ],
  ];
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  let slowest = 0;
  for (const [read, expected] of reads) {
    delay.enable();
    const began = performance.now();
    const found = await read();
    slowest = Math.max(slowest, performance.now() - began);
    await sleep(2 * RESOLUTION);
    delay.disable();
    if (found !== expected) throw new Error(`a read of Graph found ${found} in place of ${expected}`);
  }
  return { longestStallMilliseconds: delay.max / 1e6, slowestMilliseconds: slowest };
}
