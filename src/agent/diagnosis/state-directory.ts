/** Checks of the state directory: there, the agent's own, with room left, and whether an agent runs on it. */

import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PhsyncError } from '../../hasher/errors.js';
import { isLocked } from '../../state/lock.js';
import { askAgent } from '../control/client.js';
import { EVENTS, type EventNumber } from '../events/event.js';
import { openStateReader, type StateReader } from '../state/reader.js';
import { LOCK_FILE } from '../state/store.js';
import { type CheckResult, counted, failure, known, ok, skipped, timeText, warning } from './check.js';

const MIB = 2 ** 20;
/** Below, the next large synchronization may fill the disk. */
const LITTLE_SPACE = 256 * MIB;
const NO_SPACE = 16 * MIB;
/** An agent that works answers at once. */
const STATUS_MS = 5000;

const NONE_RUNS = ok('agent', 'none runs on the state directory at this moment', { running: false });

export interface StateDirectoryChecks {
  readonly results: readonly CheckResult[];
  /** Undefined where there is no state, or none that can be read. The caller's to close. */
  readonly reader: StateReader | undefined;
  /** Undefined: cannot be told. */
  readonly agentRuns: boolean | undefined;
}

/** `staging`: the reader is of what was done in staging mode. */
export async function checkStateDirectory(
  path: string,
  { now, staging = false }: { readonly now: number; readonly staging?: boolean },
): Promise<StateDirectoryChecks> {
  const user = process.getuid?.();
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    const found = ok(
      'state-directory',
      `${path} does not exist yet: the first cycle makes it (if an agent has run here before, stateDir in agent.yaml is wrong)`,
      { path, exists: false },
    );
    return { results: [found, NONE_RUNS], reader: undefined, agentRuns: false };
  }
  if (!stat.isDirectory()) {
    return without(failure('state-directory', `${path} is no directory`, 'Correct stateDir in agent.yaml.', { path }));
  }
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
  const facts = { path, mode, owner: stat.uid };
  const unreadable = (why: string) =>
    failure(
      'state-directory',
      why,
      `Run \`phsync diagnose\` and the agent as the same user, or give the directory to that user: chown -R USER ${path}`,
      facts,
    );
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    // What the system says is EACCES or EROFS; whose it is and with what mode is the reason.
    return without(
      unreadable(`${path} (owner ${stat.uid}, mode ${mode}) cannot be read and written by user ${user ?? 'unknown'}`),
      checkSpace(path),
    );
  }
  const found: CheckResult[] = [];
  let reader: StateReader | undefined;
  try {
    reader = openStateReader(path, { staging });
    found.push(ownership(path, stat.uid, stat.mode, user, facts, reader !== undefined));
  } catch (error) {
    found.push(stateError(known(error), unreadable, facts));
  }
  const { agent, agentRuns } = await checkAgent(path);
  const events = reader === undefined ? [] : [checkEvents(reader, now)];
  return { results: [...found, checkSpace(path), agent, ...events], reader, agentRuns };
}

function without(...results: readonly CheckResult[]): StateDirectoryChecks {
  return {
    results: [...results, skipped('agent', 'the state directory cannot be read')],
    reader: undefined,
    agentRuns: undefined,
  };
}

function ownership(
  path: string,
  owner: number,
  mode: number,
  user: number | undefined,
  facts: { readonly mode: string },
  hasState: boolean,
): CheckResult {
  // Windows knows neither.
  if (user !== undefined && (mode & 0o077) !== 0) {
    return warning(
      'state-directory',
      `${path} is open to other users of this machine (mode ${facts.mode})`,
      `It holds no passwords, but who is synchronized and when: chmod 700 ${path}`,
      facts,
    );
  }
  // Root may do anything, and runs diagnoses of other users' agents.
  if (user !== undefined && user !== 0 && owner !== user) {
    return warning(
      'state-directory',
      `${path} belongs to user ${owner}, this is user ${user}`,
      'Run `phsync diagnose` as the user that runs the agent.',
      facts,
    );
  }
  return ok('state-directory', hasState ? path : `${path}, in which no agent has run yet`, facts);
}

function stateError(
  { code, message }: PhsyncError,
  unreadable: (why: string) => CheckResult,
  facts: Record<string, string | number>,
): CheckResult {
  switch (code) {
    case 'store-newer':
      return failure('state-directory', message, 'Install the version of phsync that the agent last ran as.', facts);
    case 'store-older':
      return warning('state-directory', message, 'Start (or restart) the agent.', facts);
    default:
      return unreadable(message);
  }
}

/** Free space where the directory lies. */
export function checkSpace(path: string, statfs: typeof statfsSync = statfsSync): CheckResult {
  let free: number;
  try {
    const { bavail, bsize } = statfs(path);
    free = Number(bavail) * Number(bsize);
  } catch (error) {
    return skipped('disk-space', `the system does not tell: ${(error as NodeJS.ErrnoException).code}`);
  }
  const text = `${Math.floor(free / MIB).toLocaleString('en-US')} MiB free`;
  const facts = { freeBytes: free };
  const advice =
    'Make room on the file system of the state directory; nothing is lost, the agent goes on where it was.';
  if (free < NO_SPACE) return failure('disk-space', `${text}: the agent cannot write its state`, advice, facts);
  if (free < LITTLE_SPACE) return warning('disk-space', text, advice, facts);
  return ok('disk-space', text, facts);
}

const LOOK_BACK_MS = 3 * 3_600_000;
const MOST_EVENTS = 1000;
const ERRORS = Object.entries(EVENTS).flatMap(([number, { level }]) => (level === 'error' ? [Number(number)] : []));

/** For information: what is wrong now, other checks find. */
function checkEvents(reader: StateReader, now: number): CheckResult {
  const events = reader.events(MOST_EVENTS, { numbers: ERRORS, since: now - LOOK_BACK_MS });
  const [last] = events;
  if (last === undefined) return ok('events', 'no error in the last three hours', { count: 0 });
  const { at, number, connector, fields } = last;
  const what = fields.message ?? fields.errorDescription ?? EVENTS[number as EventNumber].text;
  const text = `${counted(events.length, 'error')} in the last three hours, the last on ${timeText(at)}: ${number}${connector === undefined ? '' : ` (${connector})`}: ${what}`;
  return ok('events', text, {
    count: events.length,
    last: { at: new Date(at).toISOString(), number, connector, fields },
  });
}

/** By its lock; what it says of itself by its control socket. */
async function checkAgent(
  path: string,
): Promise<{ readonly agent: CheckResult; readonly agentRuns: boolean | undefined }> {
  let agentRuns: boolean;
  try {
    agentRuns = isLocked(join(path, LOCK_FILE));
  } catch (error) {
    if (error instanceof PhsyncError) throw error;
    return { agent: skipped('agent', `cannot tell: ${(error as Error).message}`), agentRuns: undefined };
  }
  if (!agentRuns) {
    return { agent: NONE_RUNS, agentRuns };
  }
  return { agent: await askStatus(path), agentRuns };
}

async function askStatus(path: string): Promise<CheckResult> {
  const facts = { running: true };
  try {
    const status = await askAgent(path, 'status', {}, STATUS_MS);
    // `--once` and `sync-object` hold the lock and have no socket.
    if (status === undefined) return ok('agent', 'runs, for one cycle or one object', facts);
    const { pid, startedAt, connectors } = status;
    const states = connectors.map(({ name, state }) => `${name} ${state}`).join(', ');
    const text = `runs since ${timeText(startedAt)}, process ${pid}: ${states}`;
    return ok('agent', text, { ...facts, pid, startedAt: new Date(startedAt).toISOString() });
  } catch (error) {
    const { code, message } = known(error);
    if (code === 'control-denied') return ok('agent', 'runs as another user', facts);
    return warning('agent', message, 'If it stays so, restart the agent (systemctl restart phsync).', {
      ...facts,
      code,
    });
  }
}
