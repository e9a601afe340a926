/** Loopback addresses for domain controllers, which want the same ports of each. */

import { createServer, type Server } from 'node:net';

// DNS's 53 is looked at where it is served alone; the RPC ports are the endpoint mapper's to name.
const PORTS = [88, 135, 389, 445, 464, 636, 3268, 3269];
/** Held for as long as an address is ours: a DC that is being made listens on nothing for seconds. */
const HOLDER_PORT = 47_001;

function listen(host: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}

async function canListen(host: string, port: number): Promise<boolean> {
  const server = await listen(host, port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

export interface ReservedAddress {
  readonly address: string;
  release(): void;
}

/** A loopback address from 127.0.0.`first` on that nobody has, with all of a DC's ports free; nobody else gets it now. */
export async function reserveAddress(first: number, dns = false): Promise<ReservedAddress> {
  const ports = dns ? [53, ...PORTS] : PORTS;
  for (let last = first; last < 250; last += 1) {
    const address = `127.0.0.${last}`;
    const holder = await listen(address, HOLDER_PORT);
    if (holder === undefined) continue;
    holder.unref();
    if ((await Promise.all(ports.map((port) => canListen(address, port)))).every(Boolean)) {
      return { address, release: () => holder.close() };
    }
    holder.close();
  }
  throw new Error(`no address from 127.0.0.${first} to 127.0.0.249 has the ports ${ports.join(', ')} free`);
}
