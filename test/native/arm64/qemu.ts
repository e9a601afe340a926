/** Programs for arm64 on another machine: Debian's cross compiler and user-mode emulator. */

import { type Result, run } from '../run.js';

/** For `describeWithTools`. The compiler brings the libraries that arm64 programs are linked with. */
export const ARM64_TOOLS = { 'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu', 'qemu-aarch64': 'qemu-user' };

/** `environment` is the emulated program's, on top of ours. */
export function qemu(
  program: readonly string[],
  { environment = {}, options = [] }: { environment?: Record<string, string>; options?: readonly string[] } = {},
): Promise<Result> {
  const variables = Object.entries(environment).flatMap(([name, value]) => ['-E', `${name}=${value}`]);
  // `max` has every extension that QEMU knows, the SHA-2 instructions among them.
  return run('qemu-aarch64', ['-cpu', 'max', '-L', '/usr/aarch64-linux-gnu', ...variables, ...options, ...program]);
}
