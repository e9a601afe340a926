/** Lines of a socket, with a limit to their length. */

import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { MAX_LINE } from './messages.js';

/** Calls `onLine` for each line without its end. A longer one than MAX_LINE ends the connection. */
export function readLines(socket: Socket, onLine: (line: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  socket.on('data', (bytes: Buffer) => {
    const lines = (rest + decoder.write(bytes)).split('\n');
    rest = lines.pop()!;
    if (rest.length > MAX_LINE || lines.some((line) => line.length > MAX_LINE)) {
      socket.destroy();
      return;
    }
    for (const line of lines) if (!socket.destroyed) onLine(line);
  });
}
