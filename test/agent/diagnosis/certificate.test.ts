/** What the diagnosis says of a server's certificate: real handshakes with real certificates, good and bad. */

import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer } from 'node:tls';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { judgeCertificate } from '#src/agent/diagnosis/tenant.js';
import { probeTls, type TlsProbeOptions } from '#src/agent/diagnosis/tls-probe.js';
import { createAuthority, issueServerCertificate } from '#src/tenant/tls/certificates.js';

const DAY = 24 * 3_600_000;
const host = '127.0.0.1';
const now = Date.now();
const servers: Server[] = [];
afterEach(() => vi.unstubAllEnvs());
afterAll(() => {
  for (const server of servers) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}

/** A proxy that wants user and password, any. */
function connectOn(asked: (string | undefined)[]) {
  return ({ url, headers }: IncomingMessage, socket: Duplex) => {
    asked.push(headers['proxy-authorization']);
    if (headers['proxy-authorization'] === undefined) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const [name, to] = url!.split(':');
    const through = connectTcp(Number(to), name, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(through).pipe(socket);
    });
    for (const each of [socket, through]) each.on('error', () => each.destroy());
  };
}

const authority = createAuthority('a CA of the test', new Date(now - 1000 * DAY));

/** A server whose certificate was made `daysAgo`; it holds for 397 days. */
async function serve(daysAgo: number, names = [host]): Promise<number> {
  const { cert, key } = await issueServerCertificate(await authority, names, new Date(now - daysAgo * DAY));
  return listen(createServer({ cert, key }));
}

async function probe(port: number, more: Partial<TlsProbeOptions> = {}) {
  const report = await probeTls({ host, port, ca: (await authority).cert, timeoutMs: 5000, ...more });
  return judgeCertificate(report, { ca: 'ca.pem' }, host, now);
}

describe('the certificate of the tenant', () => {
  it('is well', async () => {
    const { status, finding } = await probe(await serve(1));
    expect([status, finding]).toEqual(['ok', expect.stringMatching(/^valid for 127\.0\.0\.1 until .*TLSv1\.3$/)]);
  });

  it('ends soon', async () => {
    const { status, finding, advice } = await probe(await serve(390));
    expect([status, finding]).toEqual(['warning', expect.stringMatching(/ends in 7 days/)]);
    expect(advice).toMatch(/^Renew/);
  });

  it.each([
    ['has ended', 400, 'CERT_HAS_EXPIRED', /it has expired/, /correct the clock/],
    ['has not begun', -10, 'CERT_NOT_YET_VALID', /not valid yet/, /correct the clock/],
  ])('%s', async (_what, daysAgo, code, finding, advice) => {
    const result = await probe(await serve(daysAgo));
    expect([result.status, result.facts.error]).toEqual(['error', code]);
    expect(result.finding).toMatch(finding);
    expect(result.advice).toMatch(advice);
  });

  it('is for another name', async () => {
    const result = await probe(await serve(1, ['tenant.test']));
    expect([result.status, result.facts.error]).toEqual(['error', 'ERR_TLS_CERT_ALTNAME_INVALID']);
    expect(result.finding).toMatch(/another name .*DNS:tenant\.test/);
    expect(result.advice).toMatch(/a certificate for 127\.0\.0\.1/);
  });

  it('is by an authority that is not trusted', async () => {
    const result = await probe(await serve(1), { ca: (await createAuthority('another', new Date(now))).cert });
    expect([result.status, result.facts.issuer]).toEqual(['error', 'a CA of the test']);
    expect(result.advice).toMatch(/Trusted are the certificates in ca\.pem .*tenant\.ca/);
  });

  it('is looked at through a proxy, which may refuse', async () => {
    const port = await serve(1);
    const asked: (string | undefined)[] = [];
    const url = `http://${host}:${await listen(createHttpServer().on('connect', connectOn(asked)))}`;
    expect((await probe(port, { proxy: { url, user: 'me', password: 'pw' } })).status).toBe('ok');
    expect(asked).toEqual([`Basic ${Buffer.from('me:pw').toString('base64')}`]);
    await expect(probe(port, { proxy: { url } })).rejects.toMatchObject({
      code: 'tenant-proxy',
      message: expect.stringMatching(/407: it wants user and password/),
    });
  });

  it('is looked at through a proxy over TLS, whose own certificate is checked with the same authorities', async () => {
    const port = await serve(1);
    const asked: (string | undefined)[] = [];
    const certificate = await issueServerCertificate(await authority, [host], new Date(now - DAY));
    const url = `https://${host}:${await listen(createHttpsServer(certificate).on('connect', connectOn(asked)))}`;
    const proxy = { url, user: 'me', password: 'pw' };
    expect((await probe(port, { proxy })).status).toBe('ok');
    expect(asked).toHaveLength(1);
    // What Node.js takes as its default must not hand the password to whoever answers.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const { cert: ca } = await createAuthority('another', new Date(now));
    await expect(probe(port, { proxy, ca })).rejects.toMatchObject({ code: 'tenant-proxy' });
    expect(asked).toHaveLength(1);
  });

  it('is not there where something else answers, or nobody', async () => {
    const plain = await listen(createTcpServer((socket) => void socket.end('220 not TLS\r\n')));
    await expect(probe(plain)).rejects.toMatchObject({ code: 'tenant-no-tls' });
    const silent = await listen(createTcpServer(() => undefined));
    await expect(probe(silent, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'tenant-no-tls' });
    const closed = createTcpServer();
    const port = await listen(closed);
    await new Promise((resolve) => closed.close(resolve));
    await expect(probe(port)).rejects.toMatchObject({ code: 'tenant-unreachable', facts: { reason: 'ECONNREFUSED' } });
  });
});
