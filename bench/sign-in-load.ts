/** Sign-ins by password over TLS from a process of its own: so many connections, each with one request under way. */

import { connect, type TLSSocket } from 'node:tls';

/** What the parent sends. */
export interface LoadTask {
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  readonly path: string;
  readonly clientId: string;
  readonly scope: string;
  readonly connections: number;
  readonly seconds: number;
  readonly people: readonly { readonly name: string; readonly password: string }[];
}

/** What it gets back. */
export interface LoadResult {
  readonly signIns: number;
  readonly seconds: number;
  readonly latencyMicroseconds: readonly number[];
}

const HEAD_END = Buffer.from('\r\n\r\n');

function requestsOf({ path, port, clientId, scope, people }: LoadTask): Buffer[] {
  return people.map(({ name, password }) => {
    const form = new URLSearchParams({ grant_type: 'password', client_id: clientId, username: name, password, scope });
    const body = form.toString();
    const head = [
      `POST ${path} HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      'content-type: application/x-www-form-urlencoded',
      `content-length: ${Buffer.byteLength(body)}`,
    ];
    return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
  });
}

/** The whole answer, which must be 200 with an access token. */
function answerOn(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    const onData = (part: Buffer) => {
      seen = seen.length === 0 ? part : Buffer.concat([seen, part]);
      const end = seen.indexOf(HEAD_END);
      if (end < 0) return;
      const head = seen.toString('latin1', 0, end);
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
      if (seen.length < end + HEAD_END.length + length) return;
      socket.off('data', onData).off('error', reject);
      if (head.startsWith('HTTP/1.1 200 ') && seen.includes('"access_token":"')) resolve();
      else reject(new Error(`not signed in: ${seen.toString('latin1').slice(0, 600)}`));
    };
    socket.on('data', onData).once('error', reject);
  });
}

async function connected({ port, ca }: LoadTask): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca });
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject);
  });
  return socket;
}

async function run(task: LoadTask): Promise<LoadResult> {
  const requests = requestsOf(task);
  const sockets = await Promise.all(Array.from({ length: task.connections }, () => connected(task)));
  const latencies: number[] = [];
  let next = 0;
  const began = performance.now();
  const until = began + task.seconds * 1000;
  await Promise.all(
    sockets.map(async (socket) => {
      while (performance.now() < until) {
        const sent = performance.now();
        socket.write(requests[next++ % requests.length]!);
        await answerOn(socket);
        latencies.push((performance.now() - sent) * 1000);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  for (const socket of sockets) socket.destroy();
  return { signIns: latencies.length, seconds, latencyMicroseconds: latencies };
}

process.on('message', (task: LoadTask) => {
  run(task).then(
    (result) => process.send!(result),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
process.send!('ready');
