import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '#bench/free-port.js';
import { drsError, isConnectionLost, isRefusal } from '#src/agent/sources/drs-errors.js';
import { createDrsSource, type DrsSourceOptions } from '#src/agent/sources/drs-source.js';
import { IDLE_TIMEOUT } from '#src/agent/sources/tcp-transport.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { win32Error } from '#src/protocol/drsr/win32-errors.js';
import { ProtocolError } from '#src/protocol/errors.js';

// What needs a domain controller is tested against one, in test/samba; here stand the peers that are none.

const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) {
    await new Promise((closed) => server.close(closed));
  }
});

/** The port of a server on loopback that treats every connection so. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return (server.address() as AddressInfo).port;
}

const options = (more: Partial<DrsSourceOptions>): DrsSourceOptions => ({
  server: 'dc1.phs.test',
  address: '127.0.0.1',
  domain: 'phs.test',
  auth: { mechanism: 'ntlm', user: 'PHS\\phs.sync', password: 'not-to-be-shown' },
  ...more,
});

async function failure(more: Partial<DrsSourceOptions>): Promise<PhsyncError> {
  const error = await createDrsSource(options(more)).then(
    async (source) => source.close(),
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(PhsyncError);
  const all = `${(error as Error).message} ${JSON.stringify((error as PhsyncError).facts)}`;
  expect(all).not.toContain('not-to-be-shown');
  expect(all).toContain('dc1.phs.test');
  return error as PhsyncError;
}

describe('createDrsSource', () => {
  it('says which port is closed, and of which service', async () => {
    const port = await freePort();
    expect(await failure({ epmPort: port })).toMatchObject({
      code: 'dc-unreachable',
      message: expect.stringContaining(`endpoint mapper: cannot connect to dc1.phs.test (127.0.0.1:${port})`),
      facts: { stage: 'endpoint-mapper', port, reason: 'refused', account: 'PHS\\phs.sync' },
    });
    expect(await failure({ port })).toMatchObject({ code: 'dc-unreachable', facts: { stage: 'connect', port } });
  });

  it('says that a server closes the connection', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.end()));
    expect(await failure({ port })).toMatchObject({ code: 'dc-connection-lost', facts: { stage: 'logon' } });
    expect(await failure({ epmPort: port })).toMatchObject({
      code: 'dc-connection-lost',
      facts: { stage: 'endpoint-mapper' },
    });
  });

  it('says that a server speaks another protocol', async () => {
    const port = await listen((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await failure({ port })).toMatchObject({
      code: 'dc-protocol-error',
      facts: { structure: expect.anything() },
    });
  });

  it('says that a server stays silent, after the time it was given', async () => {
    const port = await listen((socket) => socket.resume());
    const error = await failure({ port, timeouts: { idleMs: 200 } });
    expect(error).toMatchObject({ code: 'dc-timeout', facts: { stage: 'logon', timeoutMs: 200 } });
  });

  it.each(['port', 'epmPort'] as const)('says that a server drips its answer (%s)', async (which) => {
    const timers: NodeJS.Timeout[] = [];
    const port = await listen((socket) => {
      // A bind_ack of 5840 bytes, of which one comes every now and then: never silent, never done.
      socket.once('data', () => {
        socket.write(Buffer.from('05000c0310000000d016000001000000', 'hex'));
        timers.push(setInterval(() => socket.write(Buffer.of(0)), 20));
      });
    });
    try {
      const error = await failure({ [which]: port, timeouts: { idleMs: 100 } });
      expect(error).toMatchObject({
        code: 'dc-timeout',
        message: expect.stringContaining('not complete after 1 s'),
        facts: { stage: which === 'port' ? 'logon' : 'endpoint-mapper' },
      });
    } finally {
      for (const timer of timers) clearInterval(timer);
    }
  });

  // Half of what the silence alone would take.
  it.each(['port', 'epmPort'] as const)(
    'is stopped while a server stays silent (%s)',
    { timeout: IDLE_TIMEOUT / 2 },
    async (which) => {
      const stop = new AbortController();
      const port = await listen((socket) => {
        socket.once('data', () => stop.abort(new Error('stopped')));
      });
      await expect(createDrsSource(options({ [which]: port }), stop.signal)).rejects.toThrow('stopped');
    },
  );

  it.each([0, 1.5, 10_001])('refuses a page size of %d', async (pageSize) => {
    await expect(createDrsSource(options({ pageSize }))).rejects.toThrow(RangeError);
  });
});

describe('drsError', () => {
  const facts = { server: 'dc1', domain: 'phs.test', account: 'phs.sync', stage: 'replicate' } as const;
  const of = (error: unknown) => drsError(error, facts) as PhsyncError;

  it('names both permissions and the account for a refused replication', () => {
    const error = of(win32Error('DRSGetNCChanges', 8453));
    expect(error).toMatchObject({ code: 'dc-access-denied', facts: { status: 8453, account: 'phs.sync' } });
    for (const part of [
      '"Replicating Directory Changes" (DS-Replication-Get-Changes)',
      '"Replicating Directory Changes All" (DS-Replication-Get-Changes-All)',
      'phs.sync',
      'phs.test',
    ]) {
      expect(error.message).toContain(part);
    }
  });

  it.each([
    [new ProtocolError('logon-failure', 'x', { status: 5 }), 'dc-logon-failed', false, false],
    [new ProtocolError('connection-closed', 'x'), 'dc-connection-lost', true, false],
    [new ProtocolError('connection-dead', 'x'), 'dc-connection-lost', true, false],
    [new ProtocolError('rpc-fault', 'x', { status: 0x1c00001a }), 'dc-replication-failed', true, false],
    [new ProtocolError('rpc-fault', 'x', { status: 0x6f7 }), 'dc-replication-failed', false, false],
    [win32Error('DRSGetNCChanges', 8440), 'dc-wrong-domain', false, true],
    [win32Error('DRSGetNCChanges', 8438), 'dc-busy', false, true],
    [win32Error('DRSGetNCChanges', 8594), 'dc-replication-failed', true, false],
    [win32Error('DRSGetNCChanges', 31), 'dc-replication-failed', false, true],
    [new ProtocolError('endpoint-not-registered', 'x'), 'dc-no-replication-service', false, false],
    [new ProtocolError('truncated', 'x', { structure: 'DSNAME', offset: 7 }), 'dc-protocol-error', false, false],
    [new PhsyncError('dc-connection-lost', 'x'), 'dc-connection-lost', true, false],
  ])('%s', (error, code, lost, refusal) => {
    expect(of(error)).toMatchObject({ code, cause: error, facts: { stage: 'replicate', server: 'dc1' } });
    expect(isConnectionLost(error)).toBe(lost);
    expect(isRefusal(error)).toBe(refusal);
  });

  it('says once that a logon was refused, and where to look, with the code at the end', () => {
    const refused = new ProtocolError('logon-failure', 'dc1 (127.0.0.1:135) refused the logon (0x1c01000b)', {
      structure: 'fault',
      status: 0x1c01000b,
    });
    expect(of(refused).message).toBe(
      'dc1 refused the logon of phs.sync: check user name, domain and password, and that the account is enabled, not ' +
        'locked or expired and need not change its password (0x1c01000b)',
    );
  });

  it('leaves alone what is none of ours, and what was told already', () => {
    const bug = new TypeError('x');
    expect(of(bug)).toBe(bug);
    const told = of(win32Error('DRSGetNCChanges', 8453));
    expect(of(told)).toBe(told);
  });
});
