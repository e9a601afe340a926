/** A directory that shows the past: a domain controller that lags behind the one before, a page that was asked for early. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DirectoryObject, DirectorySource } from '#src/agent/source.js';
import { type LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { sourceAnchorOf } from '#src/agent/user-properties.js';
import { altered, TestClock, TestSite } from './site.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

/** The same source with another page behind those that it has. */
function withLastPage(source: LabSource, last: () => readonly DirectoryObject[]): DirectorySource {
  return Object.assign(source, {
    async *pages(...position: Parameters<LabSource['pages']>) {
      for await (const page of LabSource.prototype.pages.apply(source, position)) {
        yield page;
        if (!page.more) yield { ...page, objects: last() };
      }
    },
  });
}

async function read(source: LabSource, lab: LabDirectory, index: number): Promise<DirectoryObject> {
  return (await source.object({ guid: lab.guidOf(index) })).objects[0]!;
}

describe('a full synchronization', () => {
  // Asked for the rest of it, a domain controller that lags behind the first shows all from the beginning.
  test.each(['of a new state', 'of a known state'])(
    '%s is not undone by what a lagging one shows later',
    async (how) => {
      const lab = site.lab({ users: 20 });
      const index = lab.userIndex(3);
      if (how === 'of a known state') await site.sync(site.agent(lab));
      const source = new LabSource(lab);
      const past = await read(source, lab, index);
      lab.changePassword(index);
      const openSource = async () => withLastPage(source, () => [past]);
      await site.sync(site.agent(lab, { openSource }), true);
      expect(await site.password(lab, index)).toBe('right');
      expect(site.store.connector('lab').find(lab.guidBytesOf(index))?.passwordVersion).toBe(past.passwordVersion! + 1);
      await site.sync(site.agent(lab));
      expect(await site.password(lab, index)).toBe('right');
    },
  );
});

describe('a user who waits in the retry queue', () => {
  test('is not deleted where another domain controller does not have the user yet', async () => {
    const lab = site.lab({ users: 20 });
    const index = lab.userIndex(3);
    const anchor = sourceAnchorOf(lab.guidBytesOf(index));
    let busy = true;
    const client = altered(site.client, {
      async provisionCredentials(items) {
        const results = await site.client.provisionCredentials(items);
        return results.map((each) => (busy && each.sourceAnchor === anchor ? { ...each, result: 81 } : each));
      },
    });
    await site.sync(site.agent(lab, { client }));
    busy = false;
    const clock = new TestClock();
    clock.time += 120_000;
    const source = new LabSource(lab);
    let lags = true;
    const openSource = async () =>
      Object.assign(source, {
        async object(reference: Parameters<LabSource['object']>[0]) {
          const page = await LabSource.prototype.object.call(source, reference);
          return { ...page, objects: page.objects.filter(({ guid }) => !lags || guid !== lab.guidOf(index)) };
        },
      });
    const agent = site.agent(lab, { openSource, clock });
    expect(await site.sync(agent)).toMatchObject({ deleted: 0, failed: 1, retryQueue: 1 });
    expect(site.store.connector('lab').retryQueue.list(1)[0]?.code).toBe('dc-object-missing');
    lags = false;
    clock.time += 3_600_000;
    expect(await site.sync(agent)).toMatchObject({ created: 0, credentialsSent: 1, retryQueue: 0 });
    expect(await site.password(lab, index)).toBe('right');
  });
});

test('a user of the retry queue who comes with a page, too, while under way is sent once', async () => {
  const lab = site.lab({ users: 20 });
  const index = lab.userIndex(3);
  await site.sync(site.agent(lab));
  const failure = { reason: 'put there by hand', code: 'test', lasting: false };
  site.store.connector('lab').retryQueue.put(lab.guidBytesOf(index), failure, Date.now() - 1);
  lab.changePassword(index);
  expect(await site.sync(site.agent(lab))).toMatchObject({ updated: 1, credentialsSent: 1, retryQueue: 0 });
  expect(await site.password(lab, index)).toBe('right');
});
