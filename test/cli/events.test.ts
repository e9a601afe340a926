/** `phsync events` prints what an agent has stored. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStateStore, type StateStore } from '#src/agent/state/store.js';
import { root } from '../package/tools.js';

const directory = mkdtempSync(join(tmpdir(), 'phsync-cli-events.'));
const file = join(directory, 'agent.yaml');
const now = Date.now();
const ago = (hours: number) => now - hours * 3_600_000;
let store: StateStore;

function events(...args: string[]) {
  const main = join(root, 'dist/cli/main.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'events', '--config', file, ...args], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

function config(stateDir: string): void {
  const auth = '{ clientId: a, clientSecret: { env: SECRET } }';
  writeFileSync(
    file,
    `stateDir: ${stateDir}
tenant: { url: 'https://127.0.0.1:8443/x', auth: ${auth} }
connectors:
  - { name: a, directory: { type: lab, users: 1, domain: a.test } }
  - { name: b, directory: { type: lab, users: 1, domain: b.test } }
`,
  );
}

beforeAll(() => {
  config('./state');
  store = openStateStore(join(directory, 'state'));
  const row = (hours: number, number: number, connector: string | null, fields: object) => {
    return { at: ago(hours), number, connector, fields: JSON.stringify(fields) };
  };
  store.events.add([
    row(30, 601, null, { connectors: 2 }),
    row(3, 605, 'a', { partitionName: 'a.test', dn: 'CN=u "1"', reason: 'result 2' }),
    row(2, 611, 'b', { partitionName: 'b.test', code: 'dc-unreachable' }),
    row(1, 9999, 'b', {}),
  ]);
});
afterAll(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('phsync events', () => {
  test('prints them as lines, the oldest first, while an agent has the state', () => {
    const { status, stdout } = events();
    expect(status).toBe(0);
    const time = (hours: number) => new Date(ago(hours)).toISOString();
    expect(stdout.trimEnd().split('\n')).toEqual([
      `${time(30)}  601 information  -  password synchronization manager starting  connectors=2`,
      `${time(3)}  605 warning      a  added to the retry queue  dn="CN=u \\"1\\"" reason="result 2"`,
      `${time(2)}  611 error        b  password synchronization failed for a domain  code="dc-unreachable"`,
      `${time(1)}  9999 unknown      b`,
    ]);
  });

  test('prints those that are asked for, as one JSON document', () => {
    const numbers = (...args: string[]) =>
      JSON.parse(events('--json', ...args).stdout).events.map(({ number }: { number: number }) => number);
    expect(numbers('--connector', 'b')).toEqual([611, 9999]);
    expect(numbers('--number', '605,611')).toEqual([605, 611]);
    expect(numbers('--hours', '4')).toEqual([605, 611, 9999]);
    expect(numbers('--limit', '1')).toEqual([9999]);
    expect(JSON.parse(events('--json', '--number', '605').stdout)).toEqual({
      events: [
        {
          time: new Date(ago(3)).toISOString(),
          number: 605,
          level: 'warning',
          text: 'added to the retry queue',
          connector: 'a',
          partitionName: 'a.test',
          dn: 'CN=u "1"',
          reason: 'result 2',
        },
      ],
    });
  });

  test.each([
    [['--connector', 'c'], 2, 'no connector is named c: configured are a, b'],
    [['--number', '42'], 2, 'expected numbers of events, such as 605,611'],
    [['--hours', '0'], 2, 'expected a number of hours from 1 to 168'],
  ])('%j ends with %i', (args, status, message) => {
    const answer = events(...args);
    expect([answer.status, answer.stdout]).toEqual([status, '']);
    expect(answer.stderr).toContain(message);
  });

  test('says that no agent has run yet', () => {
    config('./nothing-here');
    try {
      const answer = events();
      expect(answer.status).toBe(3);
      expect(answer.stderr).toMatch(/^phsync: no agent has run with the stateDir .*nothing-here yet$/m);
    } finally {
      config('./state');
    }
  });
});
