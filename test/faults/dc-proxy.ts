/** The network before the domain controller, which breaks when it is told to: a TCP proxy at an address of its own. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { DcFacts } from '../samba/dc.js';

const EPM_PORT = 135;

export class DcProxy {
  readonly address: string;
  readonly #servers = new Map<number, Server>();
  readonly #sockets = new Set<Socket>();
  #host = '';
  #cutAfter = Number.POSITIVE_INFINITY;
  cuts = 0;

  private constructor(address: string) {
    this.address = address;
  }

  static async start(facts: DcFacts): Promise<DcProxy> {
    for (;;) {
      const proxy = new DcProxy(`127.2.${1 + Math.floor(Math.random() * 250)}.${1 + Math.floor(Math.random() * 250)}`);
      try {
        await proxy.retarget(facts);
        return proxy;
      } catch (error) {
        proxy.close();
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  /** After a restart the DC may listen for DRSUAPI on another port. */
  async retarget({ host, drsuapiPort }: DcFacts): Promise<void> {
    this.#host = host;
    for (const port of [EPM_PORT, drsuapiPort]) {
      if (this.#servers.has(port)) continue;
      const server = createServer((client) => this.#serve(client, port));
      server.listen(port, this.address);
      await once(server, 'listening');
      this.#servers.set(port, server);
    }
  }

  /** Ends the connections of replication once so many more bytes have come from the DC: between pages, or in one. */
  cutAfter(bytes: number): void {
    this.#cutAfter = bytes;
  }

  calm(): void {
    this.#cutAfter = Number.POSITIVE_INFINITY;
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(client: Socket, port: number): void {
    const dc = connect(port, this.#host);
    for (const [socket, other] of [
      [client, dc],
      [dc, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(dc);
    dc.on('end', () => client.end());
    dc.on('data', (bytes: Buffer) => {
      if (port !== EPM_PORT) this.#cutAfter -= bytes.length;
      if (this.#cutAfter > 0) {
        client.write(bytes);
        return;
      }
      this.#cutAfter = Number.POSITIVE_INFINITY;
      this.cuts++;
      client.write(bytes.subarray(0, bytes.length >> 1), () => client.destroy());
    });
  }
}
