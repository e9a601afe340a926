/** `phsync agent` as a service: signals, a tenant that stops answering, the control socket of a real process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { askAgent } from '#src/agent/control/client.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const SECRET = 'the-agent-secret-of-the-tests';

const directory = mkdtempSync(join(tmpdir(), 'phsync-service-test.'));
let tenant: ChildProcess;
let port: number;

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly event?: number;
  readonly connector?: string;
  readonly code?: string;
  readonly message?: string;
}

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, SECRET },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function write(name: string, changes: Record<string, unknown> = {}, tenantPort = port): string {
  const file = join(directory, `${name}.yaml`);
  writeFileSync(
    file,
    stringify({
      stateDir: `./${name}-state`,
      tenant: {
        url: `https://127.0.0.1:${tenantPort}/provisioningservice.svc`,
        ca: './tenant-state/ca.pem',
        auth: { clientId: 'agent-1', clientSecret: { env: 'SECRET' } },
      },
      connectors: [{ name: 'lab', directory: { type: 'lab', users: 100 } }],
      ...changes,
    }),
  );
  return file;
}

/** A running agent, with its log. */
class Service {
  readonly log: Line[] = [];
  readonly child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  #waiting: (() => void)[] = [];

  constructor(file: string) {
    this.child = start(['agent', '--config', file]);
    this.#ended = once(this.child, 'close');
    createInterface({ input: this.child.stderr! }).on('line', (line) => {
      this.log.push(JSON.parse(line));
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves with the first line, from the one numbered `from` on, that the test is true of. */
  async line(is: (line: Line) => boolean, from = 0): Promise<Line> {
    for (;;) {
      const found = this.log.slice(from).find(is);
      if (found !== undefined) return found;
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        void this.#ended.then(() => reject(new Error(`the agent ended: ${JSON.stringify(this.log.at(-1))}`)));
      });
      this.#waiting = [];
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<unknown[]> {
    this.child.kill(signal);
    return this.#ended;
  }
}

const done = (name: string) => (line: Line) => line.msg === 'cycle done' && line.connector === name;

beforeAll(async () => {
  const file = join(directory, 'tenant.yaml');
  writeFileSync(
    file,
    stringify({
      stateDir: './tenant-state',
      listen: { port: 0 },
      domains: [{ name: 'lab.test' }],
      agents: [{ clientId: 'agent-1', clientSecret: { env: 'SECRET' } }],
      logLevel: 'silent',
    }),
  );
  tenant = start(['tenant', '--config', file, '--json']);
  const [line] = await once(createInterface({ input: tenant.stdout! }), 'line');
  port = Number(new URL(JSON.parse(line).url).port);
});

afterAll(async () => {
  const ended = once(tenant, 'exit');
  tenant.kill('SIGTERM');
  await ended;
  rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(process.platform === 'win32')('the agent as a service (by signals, not on Windows)', () => {
  test('takes up a new configuration at SIGHUP, and keeps the old one where the new one is wrong', async () => {
    const service = new Service(write('reload'));
    try {
      await service.line(done('lab'));

      write('reload', { connectors: [{ name: 'lab', directory: { type: 'lab', users: 0 } }] });
      service.child.kill('SIGHUP');
      const refused = await service.line(({ code }) => code === 'config-invalid');
      expect(refused).toMatchObject({
        level: 'error',
        message: expect.stringContaining('connectors[0].directory.users'),
      });

      write('reload', { stateDir: './elsewhere' });
      service.child.kill('SIGHUP');
      expect(await service.line(({ code }) => code === 'config-reload')).toMatchObject({
        message: expect.stringContaining('stateDir'),
      });
      expect(await askAgent(join(directory, 'reload-state'), 'status', {})).toMatchObject({
        pid: service.child.pid,
        connectors: [{ name: 'lab', state: 'waiting' }],
      });

      write('reload', {
        connectors: [
          { name: 'lab', enabled: false, directory: { type: 'lab', users: 100 } },
          { name: 'second', directory: { type: 'lab', users: 5 } },
        ],
      });
      service.child.kill('SIGHUP');
      await service.line(done('second'));
      expect(await askAgent(join(directory, 'reload-state'), 'status', {})).toMatchObject({
        connectors: [{ name: 'lab', state: 'off' }, { name: 'second' }],
      });

      const from = service.log.length;
      write('reload');
      service.child.kill('SIGHUP');
      await service.line(done('lab'), from);
      // From where it was: nobody has changed a password since.
      expect(service.log.slice(from).find(done('lab'))).toMatchObject({ seen: 0, credentialsSent: 0 });
    } finally {
      expect(await service.stop()).toEqual([0, null]);
    }
    expect(service.log.some(({ msg }) => msg === 'agent ends')).toBe(true);
  });

  test('does a full synchronization on demand', async () => {
    const service = new Service(write('full'));
    try {
      await service.line(done('lab'));
      const from = service.log.length;
      expect(await askAgent(join(directory, 'full-state'), 'full', {})).toEqual({ connectors: ['lab'] });
      expect(await service.line(done('lab'), from)).toMatchObject({ credentialsSent: 100 });

      const again = service.log.length;
      const asking = start(['agent', '--config', join(directory, 'full.yaml'), '--full']);
      let stdout = '';
      asking.stdout!.on('data', (bytes) => (stdout += bytes));
      expect(await once(asking, 'close')).toEqual([0, null]);
      expect(stdout).toBe('the running agent begins a full synchronization: lab\n');
      expect(await service.line(done('lab'), again)).toMatchObject({ credentialsSent: 100 });
    } finally {
      expect(await service.stop()).toEqual([0, null]);
    }
  });

  test('ends though the tenant does not answer any more, and loses nothing', async () => {
    let stalled = false;
    const sockets = new Set<Socket>();
    // Between agent and tenant, until it keeps all bytes to itself.
    const line = createServer((socket) => {
      const server = connect(port, '127.0.0.1');
      for (const [from, to] of [
        [socket, server],
        [server, socket],
      ] as const) {
        sockets.add(from);
        from.on('data', (bytes) => stalled || to.write(bytes));
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    }).listen(0, '127.0.0.1');
    await once(line, 'listening');
    const { port: linePort } = line.address() as { port: number };
    const connectors = [{ name: 'lab', directory: { type: 'lab', users: 5_000 } }];
    const service = new Service(write('stalled', { connectors, logLevel: 'debug' }, linePort));
    try {
      await service.line(({ event }) => event === 650);
      stalled = true;
      expect(await service.stop()).toEqual([0, null]);
    } finally {
      for (const socket of sockets) socket.destroy();
      line.close();
    }
    const events = service.log.flatMap(({ event }) => event ?? []);
    expect(events).toContain(602);
    expect(events.includes(609) || events.includes(610)).toBe(true);

    const next = start(['agent', '--config', write('stalled', { connectors }), '--once', '--json']);
    let stdout = '';
    next.stdout!.on('data', (bytes) => (stdout += bytes));
    expect(await once(next, 'close')).toEqual([0, null]);
    expect(JSON.parse(stdout)).toMatchObject({ done: true, connectors: [{ failed: 0, retryQueue: 0 }] });
  }, 240_000);
});
