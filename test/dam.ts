/** A way to the tenant that lets through what the test allows: who sends by it is in the middle for as long as it is wanted. */

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Dam {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Sockets that wait to send, towards the tenant. */
  readonly #waiting = new Map<Socket, () => void>();
  #allowed = 0;
  #dry: (() => void) | undefined;

  private constructor(server: Server, tenant: URL) {
    this.#server = server;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (client) => {
      const upstream = connect(Number(tenant.port), tenant.hostname);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          this.#waiting.delete(socket);
          other.destroy();
        });
      }
      upstream.pipe(client);
      client.on('data', (some: Buffer) => {
        client.pause();
        this.#waiting.set(client, () => {
          this.#allowed -= some.length;
          upstream.write(some);
          client.resume();
        });
        this.#flow();
      });
    });
  }

  static async before(tenantUrl: string): Promise<Dam> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Dam(server, new URL(tenantUrl));
  }

  /** From now on so many bytes, and what is left of a piece that was begun. */
  allow(bytes: number): void {
    this.#allowed = bytes;
    this.#flow();
  }

  /** Resolves when somebody wants to send and may not. */
  dry(): Promise<void> {
    return new Promise((resolve) => {
      this.#dry = resolve;
      this.#flow();
    });
  }

  #flow(): void {
    for (const [client, send] of this.#waiting) {
      if (this.#allowed <= 0) {
        this.#dry?.();
        return;
      }
      this.#waiting.delete(client);
      send();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
