/** Ports for programs that must be told theirs before they listen. */

import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below those that a system gives to who asks for any (RFC 6335: from 49152, Linux: from 32768), so that no other test
 * and no connection gets one between choosing and listening; each test process has twenty of its own.
 */
const FIRST = 16_000;
const PROCESSES = 800;
const EACH = 20;
let next = 0;

/** A port of 127.0.0.1 on which nobody listens, given once by each test process. */
export async function freePort(): Promise<number> {
  while (next < EACH) {
    const port = FIRST + (process.pid % PROCESSES) * EACH + next++;
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen({ host: '127.0.0.1', port, exclusive: true }, () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error(`none of ${EACH} ports from ${FIRST + (process.pid % PROCESSES) * EACH} on is free`);
}
