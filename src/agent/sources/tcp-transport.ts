/** A TCP connection to a domain controller as the protocol's Transport. */

import { connect, type Socket } from 'node:net';
import { PhsyncError } from '../../hasher/errors.js';
import type { Transport } from '../../protocol/rpc/transport.js';

export interface TcpOptions {
  /** IP address, or a name to resolve. */
  readonly host: string;
  readonly port: number;
  /** The name that people know the peer by, where `host` is only its address. */
  readonly name?: string;
  /** Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** Longest wait for the next bytes, and for the peer to take ours. Default 60 s. */
  readonly idleTimeoutMs?: number;
  /** Aborted: the attempt ends at once, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

const CONNECT_TIMEOUT = 10_000;
export const IDLE_TIMEOUT = 60_000;
/** Between cycles nothing is said: the system finds out in good time that the peer, or the way to it, is gone. */
const KEEP_ALIVE = 20_000;

/**
 * Connects. Rejects with a PhsyncError: `dc-name-unknown`, `dc-unreachable` (`facts.reason`: refused, timeout,
 * no-route or the system's code). The transport's own failures are `dc-connection-lost` and `dc-timeout`.
 */
export function connectTcp(options: TcpOptions): Promise<Transport> {
  const { host, port, name } = options;
  const timeout = options.connectTimeoutMs ?? CONNECT_TIMEOUT;
  const peer = name === undefined || name === host ? `${host}:${port}` : `${name} (${host}:${port})`;
  return new Promise((resolve, reject) => {
    const { signal } = options;
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE });
    const fail = (error: unknown) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(unreachable(peer, host, port, 'timeout', `no answer within ${timeout / 1000} s: is a firewall in between?`));
    }, timeout);
    const abort = () => fail(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const failed = (error: NodeJS.ErrnoException) => fail(connectError(error, peer, host, port));
    socket.once('error', failed);
    socket.once('connect', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.off('error', failed);
      resolve(new TcpTransport(socket, peer, options.idleTimeoutMs ?? IDLE_TIMEOUT));
    });
  });
}

function connectError(error: NodeJS.ErrnoException, peer: string, host: string, port: number): PhsyncError {
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
      return new PhsyncError(
        'dc-name-unknown',
        `${host} has no address (${error.code}): check the name, or give the address of the domain controller`,
        { cause: error, facts: { host, port } },
      );
    case 'ECONNREFUSED':
      return unreachable(peer, host, port, 'refused', 'nothing listens on this port (ECONNREFUSED)', error);
    case 'ETIMEDOUT':
      return unreachable(peer, host, port, 'timeout', 'no answer (ETIMEDOUT): is a firewall in between?', error);
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return unreachable(peer, host, port, 'no-route', `no way to this host (${error.code})`, error);
    default:
      return unreachable(peer, host, port, error.code ?? 'unknown', error.message, error);
  }
}

function unreachable(
  peer: string,
  host: string,
  port: number,
  reason: string,
  why: string,
  cause?: unknown,
): PhsyncError {
  return new PhsyncError('dc-unreachable', `cannot connect to ${peer}: ${why}`, {
    cause,
    facts: { host, port, reason },
  });
}

interface Waiter {
  readonly resolve: (bytes: Uint8Array | undefined) => void;
  readonly reject: (error: PhsyncError) => void;
}

class TcpTransport implements Transport {
  readonly peer: string;
  readonly #socket: Socket;
  readonly #idleTimeout: number;
  readonly #pieces: Uint8Array[] = [];
  #waiter: Waiter | undefined;
  #ended = false;
  #failure: PhsyncError | undefined;

  constructor(socket: Socket, peer: string, idleTimeout: number) {
    this.peer = peer;
    this.#socket = socket;
    this.#idleTimeout = idleTimeout;
    socket.on('data', (piece) => {
      const waiter = this.#take();
      if (waiter !== undefined) {
        waiter.resolve(piece);
      } else {
        this.#pieces.push(piece);
        // Nobody reads: let TCP's window hold the peer back instead of our heap.
        socket.pause();
      }
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#take()?.resolve(undefined);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#fail(this.#lost(error.code === undefined ? error.message : `${error.message} (${error.code})`, error));
    });
    socket.on('timeout', () => {
      // Idle while nobody waits is no failure.
      if (this.#waiter !== undefined) {
        this.#fail(this.#late('sent nothing'));
      }
    });
    socket.on('close', () => this.#fail(this.#lost('the connection is closed')));
  }

  send(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(this.#late('took none of our bytes')), this.#idleTimeout);
      this.#socket.write(bytes, (error) => {
        clearTimeout(timer);
        // A destroyed socket calls back without an error for the write that it cut off.
        if (this.#failure !== undefined) {
          reject(this.#failure);
        } else if (error == null) {
          resolve();
        } else {
          reject(this.#lost(error.message, error));
        }
      });
    });
  }

  receive(): Promise<Uint8Array | undefined> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      return Promise.resolve(piece);
    }
    if (this.#ended) {
      return Promise.resolve(undefined);
    }
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#socket.setTimeout(this.#idleTimeout);
      this.#socket.resume();
    });
  }

  close(): void {
    this.#fail(this.#lost('the connection was closed by us'));
  }

  /** The waiting receive, which is served now. */
  #take(): Waiter | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    return waiter;
  }

  #fail(error: PhsyncError): void {
    this.#failure ??= error;
    this.#socket.destroy();
    this.#take()?.reject(this.#failure);
  }

  #late(what: string): PhsyncError {
    return new PhsyncError('dc-timeout', `${this.peer} ${what} for ${this.#idleTimeout / 1000} s`, {
      facts: { peer: this.peer, timeoutMs: this.#idleTimeout },
    });
  }

  #lost(why: string, cause?: unknown): PhsyncError {
    return new PhsyncError('dc-connection-lost', `the connection to ${this.peer} is lost: ${why}`, {
      cause,
      facts: { peer: this.peer },
    });
  }
}
