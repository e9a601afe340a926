/** Programs for arm64 on another machine: Debian's cross compiler and user-mode emulator. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** For `describeWithTools`. The compiler brings the libraries that arm64 programs are linked with. */
export const ARM64_TOOLS = { 'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu', 'qemu-aarch64': 'qemu-user' };

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(command: string, args: readonly string[], cwd = root): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') reject(error);
      else resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : null, stdout, stderr });
    });
  });
}

/** Throws where the command fails, with what it said. */
export async function runOrThrow(command: string, args: readonly string[], cwd = root): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, cwd);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} (exit ${code}):\n${stdout}${stderr}`);
  return stdout;
}

/** `environment` is the emulated program's, on top of ours. */
export function qemu(
  program: readonly string[],
  { environment = {}, options = [] }: { environment?: Record<string, string>; options?: readonly string[] } = {},
): Promise<Outcome> {
  const variables = Object.entries(environment).flatMap(([name, value]) => ['-E', `${name}=${value}`]);
  // `max` has every extension that QEMU knows, the SHA-2 instructions among them.
  return run('qemu-aarch64', ['-cpu', 'max', '-L', '/usr/aarch64-linux-gnu', ...variables, ...options, ...program]);
}
