/** The results of each object's password, the latest and those before it, over cycles against a real tenant. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CredentialResult } from '#src/provisioning/types.js';
import { altered, TestClock, TestSite } from './site.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

const refusing = (when: () => boolean, result: number = CredentialResult.temporaryFailure) =>
  altered(site.client, {
    provisionCredentials: async (items) =>
      when()
        ? items.map(({ sourceAnchor, cloudAnchor }) => ({
            sourceAnchor,
            cloudAnchor,
            result,
            extendedErrorInformation: 'try later',
          }))
        : site.client.provisionCredentials(items),
  });

describe('the history of an object', () => {
  test('has its latest result, and those that it replaced, with reasons', async () => {
    const clock = new TestClock();
    const lab = site.lab({ users: 20 });
    let failing = false;
    const agent = site.agent(lab, { clock, client: refusing(() => failing) });
    const state = site.store.connector('lab');
    const index = lab.userIndex(4);
    const history = () =>
      state.history(lab.guidBytesOf(index), 20).map(({ status, at, reason }) => [status, at - began, reason]);
    const began = clock.time;
    await site.sync(agent);
    expect(history()).toEqual([['Success', 0, undefined]]);
    clock.time += 1000;
    lab.changePassword(index);
    failing = true;
    await site.sync(agent);
    const reason = 'the tenant did not take the password: result 5: try later';
    const first = ['Success', 0, undefined];
    expect(history()).toEqual([['Error', 1000, reason], first]);
    clock.time += 3_600_000;
    failing = false;
    await site.sync(agent);
    expect(history()).toEqual([['Success', 3_601_000, undefined], ['Error', 1000, reason], first]);
    expect(state.history(lab.guidBytesOf(index), 2)).toHaveLength(2);
    expect(state.history(lab.guidBytesOf(lab.userIndex(5)), 20)).toHaveLength(1);
    expect(state.history(new Uint8Array(16), 20)).toEqual([]);
  });

  test('is written by no first synchronization, and by no full one that finds what it knew', async () => {
    const lab = site.lab({ users: 20 });
    const agent = site.agent(lab, { clock: new TestClock() });
    await site.sync(agent);
    await site.sync(agent, true);
    const all = Array.from({ length: lab.users }, (_, n) =>
      site.store.connector('lab').history(lab.guidBytesOf(lab.userIndex(n)), 20),
    );
    expect(all.map((results) => results.length)).toEqual(Array.from({ length: lab.users }, () => 1));
  });

  test('has ten earlier results at most, and none of more than seven days ago', async () => {
    const clock = new TestClock();
    const lab = site.lab({ users: 5 });
    const agent = site.agent(lab, { clock });
    const state = site.store.connector('lab');
    const index = lab.userIndex(0);
    await site.sync(agent);
    for (let i = 0; i < 13; i++) {
      clock.time += 1000;
      lab.changePassword(index);
      await site.sync(agent);
    }
    const results = state.history(lab.guidBytesOf(index), 100);
    expect(results).toHaveLength(11);
    expect(results.map(({ at }) => clock.time - at)).toEqual(Array.from({ length: 11 }, (_, i) => i * 1000));
    clock.time += 7 * 24 * 3600 * 1000 - 4500;
    site.store.events.prune(clock.time);
    expect(state.history(lab.guidBytesOf(index), 100)).toHaveLength(5);
  });

  test('outlives the object', async () => {
    const clock = new TestClock();
    const lab = site.lab({ users: 5 });
    const agent = site.agent(lab, { clock });
    await site.sync(agent);
    const index = lab.userIndex(0);
    lab.change('delete', index);
    clock.time += 1000;
    await site.sync(agent);
    expect(site.store.connector('lab').history(lab.guidBytesOf(index), 9)).toMatchObject([{ status: 'Success' }]);
  });
});
