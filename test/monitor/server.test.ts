import { request } from 'node:http';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { jsonPage, type MonitorServer, startMonitorServer } from '#src/monitor/server.js';

const log = pino({ level: 'silent' });
const pages = {
  '/healthz': () => jsonPage(503, { status: 'failing' }),
  '/metrics': async () => ({ status: 200, contentType: 'text/plain', body: 'up 1\n' }),
  '/broken': () => {
    throw new Error('a secret of the inside');
  },
};

const servers: MonitorServer[] = [];
async function start(host = '127.0.0.1', port = 0): Promise<MonitorServer> {
  const server = await startMonitorServer({ host, port, pages, log });
  servers.push(server);
  return server;
}
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

test('serves its pages to GET and HEAD', async () => {
  const { url } = await start();
  const metrics = await fetch(`${url}/metrics?x=1`);
  expect(metrics.status).toBe(200);
  expect(metrics.headers.get('content-type')).toBe('text/plain');
  expect(metrics.headers.get('cache-control')).toBe('no-store');
  expect(await metrics.text()).toBe('up 1\n');
  const health = await fetch(`${url}/healthz`);
  expect([health.status, await health.json()]).toEqual([503, { status: 'failing' }]);
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '5', '']);
});

const statusFor = (url: string, host: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    request(`${url}/metrics`, { headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });

test('answers to names of this machine alone, not to a page of the web that has its name lead here', async () => {
  const { url } = await start();
  const port = new URL(url).port;
  for (const host of [`127.0.0.1:${port}`, '127.0.0.1', `localhost:${port}`, `[::1]:${port}`]) {
    expect([host, await statusFor(url, host)]).toEqual([host, 200]);
  }
  for (const host of [`rebound.example:${port}`, '127.0.0.1.rebound.example', 'localhost.rebound.example']) {
    expect([host, await statusFor(url, host)]).toEqual([host, 421]);
  }
});

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
  const { url } = await start();
  const response = await fetch(`${url}/metrics`, { method });
  expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
});

test.each(['/', '/metrics/', '/constructor', '/__proto__', '/../metrics%00'])('has nothing at %s', async (path) => {
  const { url } = await start();
  const response = await fetch(url + path);
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({ error: 'there is /healthz, /metrics, /broken' });
});

test('says nothing of what went wrong inside', async () => {
  const { url } = await start();
  const response = await fetch(`${url}/broken`);
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain('secret');
});

test('a port that is taken is a clear error', async () => {
  const { url } = await start();
  const port = Number(new URL(url).port);
  await expect(start('127.0.0.1', port)).rejects.toMatchObject({
    code: 'monitor-listen',
    message: `the monitor cannot listen on 127.0.0.1, port ${port}: another program listens there: choose another monitor.port`,
  });
});

test('listens on loopback addresses alone', async () => {
  await expect(start('0.0.0.0')).rejects.toMatchObject({
    code: 'monitor-listen',
    message: 'monitor.host: 0.0.0.0 is 0.0.0.0 here, which is no loopback address',
  });
  expect((await start('localhost')).url).toMatch(/^http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/);
});

test('closes at once, whoever is connected', async () => {
  const { url, close } = await start();
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  // A reset says it as well.
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write('GET /metrics HTTP/1.1\r\n');
  await new Promise((resolve) => setImmediate(resolve));
  await close();
  await closed;
  await expect(fetch(`${url}/metrics`)).rejects.toThrow();
});

test('takes no header without end', async () => {
  const { url } = await start();
  const response = await fetch(`${url}/metrics`, { headers: { 'x-long': 'x'.repeat(20_000) } });
  expect(response.status).toBe(431);
});
