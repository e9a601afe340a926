/** A running agent is asked over its control socket. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Agent } from '#src/agent/agent.js';
import { askAgent } from '#src/agent/control/client.js';
import type { ObjectRequest } from '#src/agent/control/messages.js';
import { type ControlServer, startControlServer } from '#src/agent/control/server.js';
import type { DirectoryObject } from '#src/agent/source.js';
import { LabSource } from '#src/agent/sources/lab-source.js';
import { connector, TestSite } from '../site.js';

let site: TestSite;
let agent: Agent;
let server: ControlServer;
const lab = () => site.lab({ users: 50 });

beforeAll(async () => {
  site = await TestSite.start();
  agent = site.agent(lab(), { connectors: [connector(), connector({ name: 'off', enabled: false })] });
  await site.sync(agent);
  server = await startControlServer(
    site.stateDir,
    {
      status: () => agent.status(),
      full: (request) => ({ connectors: agent.demandFull(request) }),
      syncObject: (request) => agent.syncObject(request),
    },
    site.log,
  );
});
afterAll(async () => {
  await server?.close();
  await site?.stop();
});

/** Lines that come back for what is sent as it is, until the server ends the connection or as many have come. */
function talk(text: string, lines: number): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const answers: unknown[] = [];
    const socket = connect(join(site.stateDir, 'agent.sock'), () => socket.write(text));
    // The end of a connection that was given up comes as a reset.
    socket.on('error', (error: NodeJS.ErrnoException) => error.code !== 'ECONNRESET' && reject(error));
    socket.on('close', () => resolve(answers));
    let received = '';
    socket.on('data', (bytes) => {
      received += bytes;
      const whole = received.split('\n').slice(0, -1);
      answers.splice(0, answers.length, ...whole.map((line) => JSON.parse(line)));
      if (answers.length >= lines) socket.destroy();
    });
  });
}

describe.skipIf(process.platform === 'win32')('the control socket (a Unix socket, not on Windows)', () => {
  test('is the owner alone to ask', () => {
    expect(statSync(join(site.stateDir, 'agent.sock')).mode & 0o777).toBe(0o600);
  });

  test('tells the status', async () => {
    expect(await askAgent(site.stateDir, 'status', {})).toMatchObject({
      pid: process.pid,
      connectors: [
        { name: 'lab', enabled: true, retryQueue: 0, fullPending: false, lastCycle: { credentialsSent: 50 } },
        { name: 'off', enabled: false, state: 'off' },
      ],
    });
  });

  test('synchronizes one object by GUID and by DN', async () => {
    const { guid, dn } = await someUser();
    const done = { connector: 'lab', guid, dn, status: 'Success', user: 'updated', passwordSent: true };
    expect(await askAgent(site.stateDir, 'sync-object', { guid: guid.toUpperCase() })).toMatchObject(done);
    expect(await askAgent(site.stateDir, 'sync-object', { dn })).toMatchObject(done);
    expect(await askAgent(site.stateDir, 'sync-object', { dn: 'CN=Nobody,DC=lab,DC=test' })).toMatchObject({
      status: 'SourceConnectorNotPresent',
      passwordSent: false,
    });
    const lines = site.logged.filter((line) => line.includes('one object synchronized'));
    expect(lines.map((line) => line.split('"connector":').length - 1)).toEqual([1, 1, 1]);
  });

  test.each([
    [{ connector: 'none' }, 'connector-unknown', /none.*lab, off/],
    [{ connector: 'off' }, 'connector-disabled', /off/],
  ])('refuses %j in words', async (request, code, message) => {
    const asked = askAgent(site.stateDir, 'full', request);
    await expect(asked).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('refuses a DN of no connector', async () => {
    await expect(askAgent(site.stateDir, 'sync-object', { dn: 'CN=A,DC=other,DC=test' })).rejects.toMatchObject({
      code: 'connector-unknown',
    });
  });

  test.each([
    ['no JSON', 'hello\n', null, /one line of JSON/],
    ['an unknown request', '{"id":7,"request":"stop"}\n', null, /request/],
    ['both dn and guid', '{"id":7,"request":"sync-object","dn":"CN=A","guid":"x"}\n', null, /./],
    ['neither dn nor guid', '{"id":7,"request":"sync-object"}\n', null, /either dn or guid/],
  ])('answers %s with an error', async (_, text, id, message) => {
    const [answer] = await talk(text, 1);
    expect(answer).toMatchObject({
      id,
      ok: false,
      error: { code: 'control-request', message: expect.stringMatching(message) },
    });
  });

  test('answers several requests of one connection, each by its id', async () => {
    const answers = await talk('{"id":1,"request":"status"}\n{"id":2,"request":"status"}\n', 2);
    expect(answers.map((answer) => (answer as { id: number }).id).sort()).toEqual([1, 2]);
  });

  test('ends a connection that sends a line without end', async () => {
    expect(await talk('x'.repeat(200_000), 1)).toEqual([]);
  });

  test('takes the place of one that a killed agent left behind, and of nothing else', async () => {
    const stateDir = join(site.directory, 'left-behind');
    mkdirSync(stateDir, { mode: 0o700 });
    const path = join(stateDir, 'agent.sock');
    const handlers = {
      status: () => agent.status(),
      full: () => ({ connectors: [] }),
      syncObject: (request: ObjectRequest) => agent.syncObject(request),
    };
    // SIGKILL leaves the file.
    const child = spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    expect(child.signal).toBe('SIGKILL');
    expect(existsSync(path)).toBe(true);
    expect(await askAgent(stateDir, 'status', {})).toBeUndefined();
    const again = await startControlServer(stateDir, handlers, site.log);
    expect(await askAgent(stateDir, 'status', {})).toMatchObject({ pid: process.pid });
    await again.close();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, 'precious');
    await expect(startControlServer(stateDir, handlers, site.log)).rejects.toMatchObject({
      code: 'control-unavailable',
    });
    expect(existsSync(path)).toBe(true);
  });

  test('outlives clients that go away in the middle', async () => {
    const child = spawnSync(process.execPath, [
      '-e',
      `const s = require('net').connect(${JSON.stringify(join(site.stateDir, 'agent.sock'))});
       s.write('{"id":1,"request":"status"}\\n'.repeat(50), () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    expect(child.signal).toBe('SIGKILL');
    expect(await askAgent(site.stateDir, 'status', {})).toMatchObject({ pid: process.pid });
  });

  test('without an agent nobody answers', async () => {
    expect(await askAgent(join(site.directory, 'nowhere'), 'status', {})).toBeUndefined();
  });
});

async function someUser(): Promise<DirectoryObject> {
  const directory = lab();
  const name = directory.userPrincipalNameOf(directory.userIndex(7));
  for await (const { objects } of new LabSource(directory).pages(undefined)) {
    const found = objects.find(({ userPrincipalName }) => userPrincipalName === name);
    if (found !== undefined) return found;
  }
  throw new Error('the lab has no such user');
}
