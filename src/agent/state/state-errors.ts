/** What SQLite says of the agent's state, as errors that name the cause and what to do about it. */

import { PhsyncError } from '../../hasher/errors.js';

interface Meaning {
  readonly code: string;
  readonly text: string;
}

/** By the beginning of SQLite's result code (https://sqlite.org/rescode.html). */
const MEANINGS: readonly (readonly [string, Meaning])[] = [
  ['SQLITE_FULL', { code: 'state-full', text: 'the disk of the state directory is full: make room' }],
  ['SQLITE_READONLY', { code: 'state-read-only', text: 'the state directory cannot be written to: check its mount' }],
  ['SQLITE_BUSY', { code: 'state-busy', text: 'another process holds the state for too long: a backup, an editor?' }],
  ['SQLITE_LOCKED', { code: 'state-busy', text: 'another process holds the state for too long: a backup, an editor?' }],
  [
    'SQLITE_CORRUPT',
    {
      code: 'state-corrupt',
      text: 'the state is damaged: check the disk, then move agent.sqlite away, and all is synchronized anew',
    },
  ],
  ['SQLITE_NOTADB', { code: 'state-corrupt', text: 'agent.sqlite is no database any more: move it away' }],
  ['SQLITE_IOERR', { code: 'state-io', text: 'the disk of the state directory fails: check it, and the room on it' }],
  ['SQLITE_CANTOPEN', { code: 'state-io', text: 'the files of the state directory cannot be opened' }],
];

/** The error as a PhsyncError `state-…` where it is SQLite's; any other as it is. */
export function stateError(error: unknown): unknown {
  const sqlite = (error as { code?: unknown } | undefined)?.code;
  if (!(error instanceof Error) || error instanceof PhsyncError || typeof sqlite !== 'string') return error;
  const meaning = MEANINGS.find(([start]) => sqlite.startsWith(start))?.[1];
  if (meaning === undefined) return error;
  return new PhsyncError(
    meaning.code,
    `${meaning.text}; what the tenant acknowledged and could not be written down is sent again, and nothing is lost ` +
      `(${sqlite}: ${error.message})`,
    { cause: error, facts: { sqlite } },
  );
}

/** Below this much room no cycle begins: it would send what it could not write down, and send it again the next time. */
const ROOM_BYTES = 1024 * 1024;

/** @throws PhsyncError `state-full`. `free`: bytes that the file system of the state still has. */
export function checkRoom(stateDir: string, free: number): void {
  if (free >= ROOM_BYTES) return;
  throw new PhsyncError(
    'state-full',
    `the disk of the state directory ${stateDir} is full (${free} bytes free, ${ROOM_BYTES} are needed): make room; ` +
      'nothing was pulled or sent, and nothing is lost',
    { facts: { stateDir, free } },
  );
}
