import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import type { Hasher } from '#src/hasher/types.js';
import { Directory } from '../faults/directory.js';
import { faultRun } from '../faults/run.js';
import { type Authority, createAuthority } from '../provisioning/https-server.js';
import { describeDc } from './dc.js';
import { OwnDc } from './own-dc.js';

// Seeded runs in which agent, domain controller, tenant, network and disk fail while passwords change. Short here;
// `npm run faults -- --seed N --runs N` goes on for as long as one likes.

const long = process.env.PHSYNC_FAULTS_RUNS;
const RUNS = Number(long ?? 2);
/** By default two that have a restart of the domain controller and a full disk among the rest. */
const SEED = Number(process.env.PHSYNC_FAULTS_SEED ?? 332);
const SMALL = long === undefined;

const describeFaults = SMALL ? describeDc : describe;

describeFaults('whatever fails, and however it comes together', () => {
  let dc: OwnDc;
  let directory: Directory;
  let authority: Authority;
  let hasher: Hasher;

  beforeAll(async () => {
    dc = await OwnDc.start({ realm: 'FAULTS.TEST', users: 300, ntOnly: true });
    directory = new Directory(dc);
    authority = await createAuthority('Fault proxy');
    hasher = createHasher({ threads: 1 });
  });
  afterAll(async () => {
    directory?.close();
    await hasher?.close();
    await dc?.close();
  });

  test.each(Array.from({ length: RUNS }, (_, i) => SEED + i))(
    'seed %d: every password is the current one in the end, and none was ever followed by an older one',
    async (seed) => {
      const { wrong, story } = await faultRun({
        seed,
        directory,
        authority,
        hasher,
        changes: 300,
        troubleMs: 5000,
        keep: !SMALL,
      });
      process.stderr.write(`faults: seed ${seed}: ${JSON.stringify(story)}\n`);
      expect(wrong).toEqual([]);
    },
    240_000,
  );
});
