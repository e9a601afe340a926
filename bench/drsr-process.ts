/** phsync's pull of a whole domain in a process of its own: every page, every envelope opened, nothing sent anywhere. */

import { createDrsSource } from '#src/agent/sources/drs-source.js';
import { createHasher } from '#src/hasher/create-hasher.js';

/** What the parent gives as the only argument, as JSON. */
export interface DrsrTask {
  readonly server: string;
  readonly address: string;
  readonly domain: string;
  readonly user: string;
  readonly password: string;
}

export interface DrsrPull {
  /** Envelopes that opened: CRC-32 right. */
  readonly users: number;
  readonly seconds: number;
  /** This process's own CPU time between the first request and the last page. */
  readonly cpuSeconds: number;
  /** By objectGUID: the OrgId digest at one iteration and its salt, hex; the parent checks them. */
  readonly digests: readonly (readonly [guid: string, salt: string, digest: string])[];
}

const { server, address, domain, user, password } = JSON.parse(process.argv[2]!) as DrsrTask;
const hasher = createHasher({ threads: 1 });
const source = await createDrsSource({ server, address, domain, auth: { mechanism: 'ntlm', user, password } });
const found: [string, string, string][] = [];
const opened: Promise<void>[] = [];
const cpuBefore = process.cpuUsage();
const began = process.hrtime.bigint();
for await (const { objects, sessionKeys } of source.pages(undefined)) {
  const users = objects.filter(({ unicodePwd }) => unicodePwd !== undefined && unicodePwd.length > 0);
  if (users.length === 0) continue;
  // One iteration: opening is measured here, not deriving.
  const opening = hasher.openAndDeriveBatch({
    sessionKeys,
    envelopes: users.map(({ unicodePwd }) => unicodePwd!),
    rids: Uint32Array.from(users, ({ rid }) => rid),
    iterations: 1,
  });
  opened.push(
    opening.then(({ digests, salts, status }) => {
      for (const [i, { guid }] of users.entries()) {
        if (status[i] === 0) {
          const salt = Buffer.from(salts.subarray(i * 10, i * 10 + 10)).toString('hex');
          found.push([guid, salt, Buffer.from(digests.subarray(i * 32, i * 32 + 32)).toString('hex')]);
        }
      }
    }),
  );
}
await Promise.all(opened);
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
const { user: userTime, system } = process.cpuUsage(cpuBefore);
await source.close();
await hasher.close();
const pull: DrsrPull = { users: found.length, seconds, cpuSeconds: (userTime + system) / 1e6, digests: found };
// Disconnecting before the message is written would cut it off.
process.send!(pull, () => process.disconnect());
