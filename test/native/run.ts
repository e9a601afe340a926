/** Programs that tests start. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever that is; throws where it cannot be started or does not end. */
export async function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeout?: number } = {},
): Promise<Result> {
  try {
    const output = await promisify(execFile)(file, args, { cwd: root, maxBuffer: 1 << 28, ...options });
    return { code: 0, ...output };
  } catch (error) {
    const { code, killed, stdout, stderr } = error as { code: unknown; killed: boolean } & Result;
    if (typeof code !== 'number' || killed) throw error;
    return { code, stdout, stderr };
  }
}

/** The output of a program that succeeds. */
export async function output(...[file, args, options]: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, options);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}
