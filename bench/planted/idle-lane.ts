/** Has the scheduler leave one lane of every call idle. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'native/hash_batch.cc';
const JOBS = 'const size_t n = std::min(lanes, count - begin);';
const FEWER = 'const size_t n = std::min(lanes > 1 ? lanes - 1 : lanes, count - begin);';

/** @throws Error where the source has moved on. */
export function idleLane(copy: string): void {
  const source = readFileSync(join(copy, FILE), 'utf8');
  if (source.split(JOBS).length !== 2) throw new Error(`${FILE} no longer has \`${JOBS}\``);
  writeFileSync(join(copy, FILE), source.replace(JOBS, FEWER));
}
