/** A tenant in a process of its own, so that agent and tenant share nothing but the wire. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PhsyncError } from '../../hasher/errors.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/** The first start makes keys and certificates. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/**
 * Ends the tenant when the channel to its parent breaks: a killed demo leaves nothing behind. The tenant's worker
 * threads import it too, and have no channel.
 */
const END_WITH_PARENT = `data:text/javascript,${encodeURIComponent(
  'if(process.channel){process.once("disconnect",()=>process.kill(process.pid,"SIGTERM"));process.channel.unref()}',
)}`;

export interface TenantProcess {
  readonly pid: number;
  readonly url: string;
  readonly provisioningUrl: string;
  readonly tokenUrl: string;
  readonly tenantId: string;
  /** PEM file with the CA to trust. */
  readonly ca: string;
  /** Resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * Starts `phsync tenant` and waits until it listens. Throws PhsyncError `demo-tenant`, or the tenant's own error.
 * @param onSpawn told the process before it listens: it can be killed from then on
 */
export async function startTenantProcess(
  config: string,
  env: NodeJS.ProcessEnv,
  onSpawn: (child: ChildProcess) => void,
): Promise<TenantProcess> {
  const child = spawn(process.execPath, ['--import', END_WITH_PARENT, MAIN, 'tenant', '--config', config, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    // In a process group of its own: Ctrl-C reaches the demo alone, which then stops the agent first.
    detached: true,
    env,
  });
  onSpawn(child);
  try {
    const ready = JSON.parse(await firstLine(child));
    if (ready.error !== undefined) throw new PhsyncError(ready.error.code, `the tenant: ${ready.error.message}`);
    return { ...ready, pid: child.pid, stop: () => stop(child) };
  } catch (cause) {
    await stop(child);
    if (cause instanceof PhsyncError) throw cause;
    throw new PhsyncError('demo-tenant', `the tenant did not start: ${(cause as Error).message}`, { cause });
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const timer = AbortSignal.timeout(START_TIMEOUT_MS);
  const ended = once(child, 'exit', { signal: timer }).then(([code, signal]) => {
    throw new PhsyncError('demo-tenant', `the tenant ended before it listened (${signal ?? `exit ${code}`})`);
  });
  const [line] = await Promise.race([once(lines, 'line', { signal: timer }), ended]);
  // The race is decided; the tenant's end later on is no failure of its start.
  ended.catch(() => undefined);
  return line;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(kill);
}
