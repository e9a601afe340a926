/** Where a running agent's control socket is: a Unix socket in its state directory; on Windows a named pipe of its own. */

import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { join, relative } from 'node:path';

/** sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL among them. */
const MAX_SOCKET_PATH = 103;

/** Undefined: the path is too long for a socket. */
export function controlAddress(stateDir: string): string | undefined {
  if (process.platform === 'win32') {
    const digest = createHash('sha256').update(realpathSync.native(stateDir).toLowerCase()).digest('hex');
    return `\\\\.\\pipe\\phsync-${digest.slice(0, 32)}`;
  }
  const path = join(stateDir, 'agent.sock');
  const shorter = relative('', path);
  return [path, shorter].find((each) => Buffer.byteLength(each) <= MAX_SOCKET_PATH);
}
