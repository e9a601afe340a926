/** Asks a running agent over its control socket. */

import { connect } from 'node:net';
import { PhsyncError } from '../../hasher/errors.js';
import { controlAddress } from './address.js';
import { readLines } from './lines.js';
import {
  type ControlArguments,
  type ControlKind,
  type ControlReply,
  type ControlResults,
  replySchema,
} from './messages.js';

/** A single object may wait for a page that is being sent, and for a tenant that is slow. */
const TIMEOUT_MS = 300_000;

/**
 * Asks the agent that runs on the state directory. Undefined: none does, and whoever takes the state's lock may do the
 * work.
 * @throws PhsyncError with the code that the agent answers; `control-denied`, `control-lost`, `control-timeout`
 * @example
 * const report = await askAgent(config.stateDir, 'sync-object', { dn });
 */
export async function askAgent<K extends ControlKind>(
  stateDir: string,
  request: K,
  args: ControlArguments[K],
  timeoutMs = TIMEOUT_MS,
): Promise<ControlResults[K] | undefined> {
  const address = controlAddress(stateDir);
  if (address === undefined) return undefined;
  const reply = await exchange(address, { id: 1, request, ...args }, timeoutMs);
  if (reply === undefined) return undefined;
  if (!reply.ok) throw new PhsyncError(reply.error.code, reply.error.message);
  return reply.result as ControlResults[K];
}

function exchange(address: string, request: object, timeoutMs: number): Promise<ControlReply | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    const fail = (code: string, why: string, cause?: unknown) => {
      reject(new PhsyncError(code, `the running agent at ${address} ${why}`, { cause, facts: { address } }));
      socket.destroy();
    };
    const timer = setTimeout(() => fail('control-timeout', `did not answer within ${timeoutMs / 1000} s`), timeoutMs);
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // No socket, or one that a killed agent left behind: nobody is there.
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else if (error.code === 'EACCES' || error.code === 'EPERM')
        fail('control-denied', `is another user's: its control socket is for that user alone`, error);
      else fail('control-lost', `cannot be asked: ${error.message}`, error);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      fail('control-lost', 'ended before it answered');
    });
    readLines(socket, (line) => {
      const reply = parse(line);
      if (reply === undefined) fail('control-lost', 'sent what it must not');
      else resolve(reply);
      socket.destroy();
    });
  });
}

function parse(line: string): ControlReply | undefined {
  try {
    return replySchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
