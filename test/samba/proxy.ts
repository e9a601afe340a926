/** A domain controller's network going wrong: a TCP proxy on an address of its own that cuts a reply, or stops in one. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type DcFacts, facts } from './dc.js';

export interface Trouble {
  /** Lets so many bytes of the DC's replication replies through, over all connections, … */
  readonly afterBytes: number;
  /** … then ends the connection as a crash does (`cut`), or says nothing more (`stall`). */
  readonly then: 'cut' | 'stall';
}

export class TroubledDc {
  readonly address: string;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #trouble: Trouble | undefined;
  readonly #facts: DcFacts;
  #replicated = 0;
  #asked = 0;

  private constructor(address: string, trouble: Trouble | undefined, of: DcFacts) {
    this.#facts = of;
    this.address = address;
    this.#trouble = trouble;
  }

  /** Endpoint mapper and replication of the DC, at another loopback address. Without trouble: a counter. */
  static async start(trouble?: Trouble, of = facts()): Promise<TroubledDc> {
    const proxy = new TroubledDc(`127.1.${1 + Math.floor(Math.random() * 250)}.1`, trouble, of);
    try {
      for (const port of [of.drsuapiPort, 135]) {
        const server = createServer((client) => proxy.#serve(client, port));
        server.listen(port, proxy.address);
        await once(server, 'listening');
        proxy.#servers.push(server);
      }
      return proxy;
    } catch (error) {
      proxy.close();
      throw error;
    }
  }

  /** Bytes of replication replies so far. */
  get replicated(): number {
    return this.#replicated;
  }

  /** Requests to the DC's replication so far. */
  get asked(): number {
    return this.#asked;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Counts requests in what comes, C706 12.6.3.1: PTYPE at 2, PFC_FIRST_FRAG at 3, frag_length at 8. */
  #requestsIn(): (bytes: Buffer) => void {
    let rest = Buffer.alloc(0);
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 10 && rest.length >= rest.readUInt16LE(8)) {
        if (rest[2] === 0 && (rest[3]! & 1) !== 0) this.#asked++;
        rest = rest.subarray(rest.readUInt16LE(8));
      }
    };
  }

  #serve(client: Socket, port: number): void {
    const dc = connect(port, this.#facts.host);
    for (const [socket, other] of [
      [client, dc],
      [dc, client],
    ] as const) {
      this.#sockets.add(socket);
      // Whichever end breaks, both do; the agent is what is looked at.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(dc);
    if (port !== 135) client.on('data', this.#requestsIn());
    dc.on('data', (bytes: Buffer) => {
      const left = port === 135 || this.#trouble === undefined ? Infinity : this.#trouble.afterBytes - this.#replicated;
      if (port !== 135) this.#replicated += bytes.length;
      if (bytes.length < left) {
        client.write(bytes);
        return;
      }
      if (left > 0) client.write(bytes.subarray(0, left));
      if (this.#trouble?.then === 'cut') {
        client.resetAndDestroy();
        dc.destroy();
      }
    });
  }
}
