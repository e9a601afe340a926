/** A real HTTP proxy that CONNECTs, over HTTP or TLS, asks for user and password, and says where it was asked to connect to. */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Certificate } from './https-server.js';

export class ConnectProxy {
  readonly url: string;
  readonly host: string;
  readonly targets: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  private constructor(server: Server, scheme: 'http' | 'https', login: string) {
    this.#server = server;
    this.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.url = `${scheme}://${this.host}`;
    server.on('connection', (socket: Duplex) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
      client.on('error', () => client.destroy());
      if (request.headers['proxy-authorization'] !== login) {
        client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n');
        return;
      }
      this.targets.push(request.url!);
      const [host, port] = request.url!.split(':');
      const upstream = connect(Number(port), host!, () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.write(head);
        upstream.pipe(client).pipe(upstream);
      });
      upstream.on('error', () => client.destroy());
      client.on('close', () => upstream.destroy());
    });
  }

  static async start(user: string, password: string, tls?: Certificate): Promise<ConnectProxy> {
    const server: Server = tls === undefined ? createServer() : createTlsServer({ key: tls.key, cert: tls.cert });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const login = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    return new ConnectProxy(server, tls === undefined ? 'http' : 'https', login);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}
