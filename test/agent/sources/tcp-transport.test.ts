import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { connectTcp, type TcpOptions } from '#src/agent/sources/tcp-transport.js';
import { PhsyncError } from '#src/hasher/errors.js';
import type { Transport } from '#src/protocol/rpc/transport.js';

const servers: Server[] = [];
const sockets: Socket[] = [];
const transports: Transport[] = [];

afterEach(() => {
  for (const transport of transports.splice(0)) transport.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A real TCP server on loopback, one connection to it, both ends. */
async function pair(options: Partial<TcpOptions> = {}): Promise<{ transport: Transport; peer: Socket; port: number }> {
  const server = createServer();
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = once(server, 'connection') as Promise<[Socket]>;
  const transport = await connectTcp({ host: '127.0.0.1', port, ...options });
  transports.push(transport);
  const [peer] = await connection;
  peer.on('error', () => undefined);
  sockets.push(peer);
  return { transport, peer, port };
}

async function errorOf(promise: Promise<unknown>): Promise<PhsyncError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PhsyncError);
  return error as PhsyncError;
}

describe('connecting', () => {
  test('a closed port', async () => {
    const { port, peer } = await pair();
    peer.destroy();
    servers[0]!.close();
    await once(servers[0]!, 'close');
    const error = await errorOf(connectTcp({ host: '127.0.0.1', port, name: 'dc1.phs.test' }));
    expect(error).toMatchObject({ code: 'dc-unreachable', facts: { host: '127.0.0.1', port, reason: 'refused' } });
    expect(error.message).toContain(`dc1.phs.test (127.0.0.1:${port})`);
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('a name without an address', async () => {
    // RFC 6761: .invalid never resolves.
    const error = await errorOf(connectTcp({ host: 'dc1.invalid', port: 135 }));
    expect(error).toMatchObject({ code: 'dc-name-unknown', facts: { host: 'dc1.invalid' } });
  });

  test('no route', async () => {
    // The kernel itself refuses this one (class E), no packet leaves.
    const error = await errorOf(connectTcp({ host: '255.255.255.255', port: 135 }));
    expect(error.code).toBe('dc-unreachable');
    expect(error.facts.reason).not.toBe('refused');
  });

  test('names the peer', async () => {
    const { transport, port } = await pair({ name: 'dc1.phs.test' });
    expect(transport.peer).toBe(`dc1.phs.test (127.0.0.1:${port})`);
  });
});

describe('the stream', () => {
  test('bytes go both ways, the end is undefined', async () => {
    const { transport, peer } = await pair();
    const heard = once(peer, 'data');
    await transport.send(Buffer.from('request'));
    expect(String((await heard)[0])).toBe('request');
    peer.end('reply');
    expect(String(await transport.receive())).toBe('reply');
    expect(await transport.receive()).toBeUndefined();
    expect(await transport.receive()).toBeUndefined();
  });

  test('while nobody reads, the peer is held back', async () => {
    const { transport, peer } = await pair();
    const size = 64 * 2 ** 20;
    let written = false;
    peer.write(Buffer.alloc(size, 7), () => {
      written = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    // Kernel buffers hold a few MiB; the rest must still be with the peer.
    expect(written).toBe(false);
    let received = 0;
    while (received < size) {
      received += (await transport.receive())!.length;
    }
    expect(received).toBe(size);
  });

  test('a reset is dc-connection-lost, for what waits and what comes after', async () => {
    const { transport, peer } = await pair();
    const waiting = errorOf(transport.receive());
    peer.resetAndDestroy();
    expect(await waiting).toMatchObject({ code: 'dc-connection-lost' });
    expect((await waiting).message).toContain('ECONNRESET');
    expect((await errorOf(transport.receive())).code).toBe('dc-connection-lost');
    expect((await errorOf(transport.send(Buffer.from('x')))).code).toBe('dc-connection-lost');
  });

  test('a silent peer is dc-timeout; time without a reader does not count', async () => {
    const { transport, peer } = await pair({ idleTimeoutMs: 500 });
    await new Promise((resolve) => setTimeout(resolve, 600));
    const late = transport.receive();
    peer.write('late');
    expect(String(await late)).toBe('late');
    const begun = performance.now();
    const error = await errorOf(transport.receive());
    expect(error).toMatchObject({ code: 'dc-timeout', facts: { timeoutMs: 500 } });
    expect(performance.now() - begun).toBeGreaterThan(490);
  });

  test('a peer that takes nothing is dc-timeout', async () => {
    const { transport, peer } = await pair({ idleTimeoutMs: 200 });
    peer.pause();
    expect((await errorOf(transport.send(Buffer.alloc(64 * 2 ** 20)))).code).toBe('dc-timeout');
  });

  test('close settles a waiting receive, and may be called again', async () => {
    const { transport } = await pair();
    const waiting = errorOf(transport.receive());
    transport.close();
    transport.close();
    expect((await waiting).code).toBe('dc-connection-lost');
  });
});
