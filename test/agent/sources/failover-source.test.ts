/** Fail-over between domain controllers that stand in by lab directories: what only timing brings about. */

import { expect, test } from 'vitest';
import { systemClock } from '#src/agent/clock.js';
import { noEvents } from '#src/agent/events/event.js';
import { openFailoverSource } from '#src/agent/sources/failover-source.js';
import { LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { createLog } from '#src/log/log.js';

test.each(['dc-connection-lost', 'source-closed'])(
  'a page that fails with %s after an object found the next domain controller goes on there, and opens no other',
  async (code) => {
    const lab = new LabDirectory({ users: 100, domain: 'lab.test' });
    const opened: string[] = [];
    const closed: string[] = [];
    let isDead = false;
    const source = await openFailoverSource(
      {
        locate: async () => ['dc1', 'dc2'].map((server, rank) => ({ server, address: undefined, listed: true, rank })),
        open: async ({ server }) => {
          opened.push(server);
          const own = new LabSource(lab, 20);
          const check = (error: string) => {
            if (isDead && server === 'dc1') throw new PhsyncError(error, 'it is dead');
          };
          return Object.assign(own, {
            async object(reference: Parameters<LabSource['object']>[0]) {
              check('dc-connection-lost');
              return LabSource.prototype.object.call(own, reference);
            },
            async *pages(...position: Parameters<LabSource['pages']>) {
              for await (const page of LabSource.prototype.pages.apply(own, position)) {
                check(code);
                yield page;
              }
            },
            close: async () => void closed.push(server),
          });
        },
        clock: systemClock,
        log: createLog('silent'),
        events: noEvents,
      },
      undefined,
    );
    let seen = 0;
    for await (const page of source.pages(undefined)) {
      seen += page.objects.length;
      if (isDead) continue;
      isDead = true;
      expect((await source.object({ guid: lab.guidOf(lab.userIndex(1)) })).objects).toHaveLength(1);
    }
    expect(seen).toBe(lab.objects);
    expect(opened).toEqual(['dc1', 'dc2']);
    await source.close();
    expect(closed).toEqual(['dc1', 'dc2']);
  },
);
