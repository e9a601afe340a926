/** The control socket of a running agent: who may write to the state directory may ask, nobody else. */

import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import { PhsyncError } from '../../hasher/errors.js';
import { controlAddress } from './address.js';
import { readLines } from './lines.js';
import { type ControlArguments, type ControlResults, requestSchema } from './messages.js';

const MAX_CONNECTIONS = 16;
/** Requests of one connection that are worked on at the same time. */
const MAX_UNDER_WAY = 16;

/** What the agent does at a request; what they throw becomes the reply's error. */
export interface ControlHandlers {
  status(): ControlResults['status'];
  full(request: ControlArguments['full']): ControlResults['full'];
  syncObject(request: ControlArguments['sync-object']): Promise<ControlResults['sync-object']>;
}

export interface ControlServer {
  close(): Promise<void>;
}

/**
 * Listens below the state directory, whose lock the caller holds: a socket that lies there is left over from an agent
 * that was killed. @throws PhsyncError `control-unavailable`
 */
export async function startControlServer(
  stateDir: string,
  handlers: ControlHandlers,
  log: Logger,
): Promise<ControlServer> {
  const address = controlAddress(stateDir);
  if (address === undefined) {
    throw unavailable(`the path of ${stateDir} is too long for a socket`);
  }
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, handlers, log);
  });
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await listen(server, address);
  } catch (cause) {
    throw unavailable((cause as Error).message, cause);
  }
  server.on('error', (error) => log.warn({ err: error }, 'the control socket failed'));
  return {
    close: () =>
      new Promise((resolve) => {
        // Node removes the socket's file.
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function listen(server: Server, address: string): Promise<void> {
  if (process.platform !== 'win32') {
    const left = lstatSync(address, { throwIfNoEntry: false });
    if (left?.isSocket()) rmSync(address);
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // The directory of mode 0700 has kept everybody out until here.
  if (process.platform !== 'win32') chmodSync(address, 0o600);
}

function serve(socket: Socket, handlers: ControlHandlers, log: Logger): void {
  // A client that goes away in the middle is its own business.
  socket.on('error', (error) => log.debug({ err: error }, 'a control connection broke'));
  let underWay = 0;
  readLines(socket, (line) => {
    if (underWay >= MAX_UNDER_WAY) {
      socket.destroy();
      return;
    }
    underWay++;
    void answer(line, handlers).then((reply) => {
      underWay--;
      if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
    });
  });
}

async function answer(line: string, handlers: ControlHandlers): Promise<unknown> {
  let id: number | null = null;
  try {
    const request = parse(line);
    id = request.id;
    switch (request.request) {
      case 'status':
        return { id, ok: true, result: handlers.status() };
      case 'full':
        return { id, ok: true, result: handlers.full(request) };
      case 'sync-object':
        return { id, ok: true, result: await handlers.syncObject(request) };
    }
  } catch (error) {
    return { id, ok: false, error: describe(error) };
  }
}

function parse(line: string) {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new PhsyncError('control-request', 'a request is one line of JSON', { cause });
  }
  const parsed = requestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PhsyncError('control-request', `${issue!.path.join('.') || 'the request'}: ${issue!.message}`);
}

/** Message and code say what happened; causes may quote bytes of a peer, and stay out. */
function describe(error: unknown): { code: string; message: string } {
  if (error instanceof PhsyncError) return { code: error.code, message: error.message };
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

function unavailable(why: string, cause?: unknown): PhsyncError {
  return new PhsyncError('control-unavailable', `the control socket cannot be opened: ${why}`, { cause });
}
