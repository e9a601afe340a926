/** What the diagnosis says of the state directory, and that looking at a state disturbs no agent. */

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { CheckResult } from '#src/agent/diagnosis/check.js';
import { checkSpace, checkStateDirectory } from '#src/agent/diagnosis/state-directory.js';
import { openStateReader } from '#src/agent/state/reader.js';
import { noCounts } from '#src/agent/state/rows.js';
import { LOCK_FILE, openStateStore } from '#src/agent/state/store.js';
import { isLocked } from '#src/state/lock.js';

const directory = mkdtempSync(join(tmpdir(), 'phsync-diagnosis.'));
// Its own is 0700: whoever else runs as must get as far as the state directory itself.
chmodSync(directory, 0o755);
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;
function stateDir(): string {
  const path = join(directory, `state-${++count}`);
  openStateStore(path).close();
  return path;
}

const first = async (path: string) => (await checkStateDirectory(path, { now: Date.now() })).results[0]!;

describe('the state directory', () => {
  it('is well, missing, a file, or open to others', async () => {
    const path = stateDir();
    const { results, reader, agentRuns } = await checkStateDirectory(path, { now: Date.now() });
    reader!.close();
    expect(results.map(({ id, status }) => `${id} ${status}`)).toEqual([
      'state-directory ok',
      'disk-space ok',
      'agent ok',
      'events ok',
    ]);
    expect(agentRuns).toBe(false);

    chmodSync(path, 0o750);
    expect(await first(path)).toMatchObject({ status: 'warning', advice: expect.stringContaining('chmod 700') });
    const none = await checkStateDirectory(join(directory, 'nowhere'), { now: Date.now() });
    expect(none.results.map(({ id, status }) => `${id} ${status}`)).toEqual(['state-directory ok', 'agent ok']);
    expect(none.results[0]!.finding).toMatch(/does not exist yet: the first cycle makes it/);
    writeFileSync(join(directory, 'file'), '');
    expect(await first(join(directory, 'file'))).toMatchObject({ status: 'error' });
  });

  const isRoot = process.getuid?.() === 0;

  /** The first result as another user has it, in a process that has loaded everything before it becomes that user. */
  function asNobody(path: string): CheckResult {
    const module = fileURLToPath(import.meta.resolve('#src/agent/diagnosis/state-directory.js'));
    const script = `
      const { checkStateDirectory } = await import(${JSON.stringify(module)});
      (await checkStateDirectory(${JSON.stringify(directory)}, { now: 0 })).reader?.close();
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const { results, reader } = await checkStateDirectory(${JSON.stringify(path)}, { now: 0 });
      reader?.close();
      console.log(JSON.stringify(results[0]));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  }

  it.skipIf(!isRoot)(`belongs to another user, who may look into it or not${isRoot ? '' : ' (not root)'}`, () => {
    const path = stateDir();
    const closed = asNobody(path);
    expect(closed.status).toBe('error');
    expect(closed.finding).toMatch(/owner 0, mode 0700.*cannot be read and written by user 65534/);
    expect(closed.advice).toMatch(/as the same user.*chown -R USER/);

    mkdirSync(join(directory, 'theirs'), { mode: 0o700 });
    chownSync(join(directory, 'theirs'), 65534, 65534);
    expect(asNobody(join(directory, 'theirs')).status).toBe('ok');
  });

  it('is on a disk with room, with little, with none', () => {
    const space = (mib: number) => checkSpace(directory, (() => ({ bavail: mib, bsize: 2 ** 20 })) as never);
    expect([space(1000), space(100), space(10)].map(({ status }) => status)).toEqual(['ok', 'warning', 'error']);
  });
});

describe('a state that is read while an agent runs', () => {
  it('is neither locked nor changed by that, and shows what the agent wrote last', () => {
    const path = join(directory, 'running');
    const store = openStateStore(path);
    const state = store.connector('phs.test');
    const reader = openStateReader(path)!;
    try {
      expect(isLocked(join(path, LOCK_FILE))).toBe(true);
      expect(reader.cycles('phs.test', 5)).toEqual([]);
      const error = { code: 'dc-unreachable', message: 'no way' };
      state.recordCycle(1000, 2000, noCounts(), error);
      state.recordCycle(3000, 4000, { ...noCounts(), seen: 7 }, undefined);
      expect(reader.cycles('phs.test', 5)).toMatchObject([
        { started: 3000, finished: 4000, seen: 7, error: undefined },
        { finished: 2000, error },
      ]);
      expect(reader.connector('phs.test')).toMatchObject({ succeededAt: 4000, users: 0, running: false });
      expect(reader.connector('other.test')).toBeUndefined();
      // A reader that is in the middle of something does not keep the agent from writing.
      state.transaction(() => {
        state.running = true;
      });
      expect(reader.connector('phs.test')!.running).toBe(true);
      expect(statSync(join(path, 'agent.sqlite')).mode & 0o777).toBe(0o600);
    } finally {
      reader.close();
      store.close();
    }
    expect(isLocked(join(path, LOCK_FILE))).toBe(false);
  });

  it('is none where no agent has run', () => {
    expect(openStateReader(join(directory, 'nowhere'))).toBeUndefined();
    expect(isLocked(join(directory, 'nowhere', LOCK_FILE))).toBe(false);
  });
});
