/** better-sqlite3, loaded at its first use: an optional dependency, since who wants the hasher alone needs none of it. */

import { createRequire } from 'node:module';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../hasher/errors.js';

const require = createRequire(import.meta.url);
let loaded: typeof Database | undefined;

/**
 * better-sqlite3's class. npm installs the package without complaint where its addon can be neither downloaded nor
 * compiled, or leaves it out. @throws PhsyncError `store-sqlite` which says what is missing.
 */
export function sqlite(): typeof Database {
  if (loaded !== undefined) return loaded;
  try {
    const candidate: typeof Database = require('better-sqlite3');
    // Its addon is loaded by the first database, and may be missing where the package is not.
    new candidate(':memory:').close();
    loaded = candidate;
    return candidate;
  } catch (cause) {
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new PhsyncError(
      'store-sqlite',
      `agent and tenant keep their state in better-sqlite3, which cannot be loaded: ${reason} (it comes ready-made from ` +
        'github.com; where that cannot be reached it takes a C++20 compiler, make and Python 3: ' +
        '`npm install better-sqlite3 --foreground-scripts` tells what went wrong)',
      { cause },
    );
  }
}
