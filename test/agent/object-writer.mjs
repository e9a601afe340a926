/** Writes pages of new objects into a state, each with a cookie that counts the pages, until somebody kills it. */

import { writeSync } from 'node:fs';
import { openStateStore } from '../../dist/agent/state/store.js';

const PAGE = 1000;
const store = openStateStore(process.argv[2]);
const connector = store.connector('a');

/** As in object-keys.test.ts. */
function guid(n) {
  const bytes = Buffer.alloc(16, 7);
  bytes.writeUInt32LE(Math.imul(n, 0x9e3779b1) >>> 0, 4);
  bytes.writeUInt32BE(n, 12);
  return bytes;
}

const { cookie } = connector;
for (let page = cookie === undefined ? 0 : Buffer.from(cookie).readUInt32BE(); ; page++) {
  connector.transaction(() => {
    for (let n = page * PAGE; n < (page + 1) * PAGE; n++) {
      connector.put(
        guid(n),
        {
          cloudAnchor: `User_${n}`,
          flags: 1,
          fingerprint: n,
          dnDigest: n,
          passwordVersion: 1,
          passwordChanged: n,
          outcome: 1,
          sourceAnchor: null,
          accountExpires: null,
        },
        1,
      );
    }
    const next = Buffer.alloc(4);
    next.writeUInt32BE(page + 1);
    connector.cookie = next;
    // Half of the kills shall come while keys are written.
    if (page % 7 === 6) connector.settleKeys();
  });
  writeSync(1, `${page + 1}\n`);
}
