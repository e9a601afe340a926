/** The monitor's HTTP server: GET and HEAD of a few fixed paths, on a loopback address. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { PhsyncError } from '../hasher/errors.js';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface MonitorServer {
  /** `http://127.0.0.1:9464` */
  readonly url: string;
  close(): Promise<void>;
}

export interface MonitorServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Path → page. */
  readonly pages: Readonly<Record<string, () => Page | Promise<Page>>>;
  readonly log: Logger;
}

const LIMITS = {
  maxHeaderSize: 8192,
  headersTimeout: 5000,
  requestTimeout: 5000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 2500,
};
const MAX_CONNECTIONS = 64;
/** A page of the web whose name is made to lead here (DNS rebinding) is asked for by that name. */
const LOCAL_HOST = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)(:\d+)?$/i;
const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

/** @throws PhsyncError `monitor-listen`: the port is taken, or the address is none of this machine's loopback ones */
export async function startMonitorServer(options: MonitorServerOptions): Promise<MonitorServer> {
  const { host, port } = options;
  const server = createServer(LIMITS, (request, response) => void answer(request, response, options));
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    throw cannotListen(host, port, cause);
  }
  server.on('error', (error) => options.log.warn({ err: error }, 'the monitor'));
  const { address, family, port: bound } = server.address() as AddressInfo;
  const close = () => closeServer(server);
  if (!LOOPBACK.test(address)) {
    await close();
    throw new PhsyncError('monitor-listen', `monitor.host: ${host} is ${address} here, which is no loopback address`, {
      facts: { host, address },
    });
  }
  return { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`, close };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: MonitorServerOptions) {
  const { pages, log } = options;
  try {
    const page = await pageOf(request, pages);
    send(request, response, page);
  } catch (error) {
    log.warn({ err: error, path: request.url?.slice(0, 100) }, 'the monitor cannot answer');
    send(request, response, problem(500, 'the program cannot tell; its log says why'));
  }
}

function pageOf({ method, url = '', headers }: IncomingMessage, pages: MonitorServerOptions['pages']) {
  if (headers.host !== undefined && !LOCAL_HOST.test(headers.host)) {
    return problem(421, 'ask for a loopback address, or for localhost');
  }
  const path = url.split('?', 1)[0]!;
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (page === undefined) return problem(404, `there is ${Object.keys(pages).join(', ')}`);
  if (method !== 'GET' && method !== 'HEAD') return problem(405, 'GET and HEAD alone');
  return page();
}

function problem(status: number, error: string): Page {
  return jsonPage(status, { error });
}

/** One JSON document and a line feed. */
export function jsonPage(status: number, body: unknown): Page {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
}

function send(request: IncomingMessage, response: ServerResponse, { status, contentType, body }: Page): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    // Nobody has a reason to send a body, and none is read.
    ...(request.method === 'GET' || request.method === 'HEAD' ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function cannotListen(host: string, port: number, cause: unknown): PhsyncError {
  const { code = 'unknown' } = cause as NodeJS.ErrnoException;
  const why =
    code === 'EADDRINUSE'
      ? 'another program listens there: choose another monitor.port'
      : code === 'EACCES'
        ? 'ports below 1024 are for privileged programs: choose another monitor.port'
        : code;
  return new PhsyncError('monitor-listen', `the monitor cannot listen on ${host}, port ${port}: ${why}`, {
    cause,
    facts: { host, port, cause: code },
  });
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
