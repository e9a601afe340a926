/** Instructions counted by stepping the real CPU through them: for the kernels that valgrind cannot run. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Programs } from './programs.js';

const run = promisify(execFile);

async function steps({ stepper, driver }: Programs, kernel: string, lanes: number, rounds: number): Promise<number> {
  const { stdout } = await run(stepper, [driver, 'rounds', kernel, String(lanes), String(rounds)]);
  return Number(/^steps (\d+)$/m.exec(stdout)![1]);
}

/** Instructions of one SHA-256 compression of PBKDF2's inner loop, over all lanes of that width. */
export async function stepped(programs: Programs, kernel: string, lanes: number): Promise<number> {
  const one = await steps(programs, kernel, lanes, 1);
  const three = await steps(programs, kernel, lanes, 3);
  // Two more rounds of two compressions each; what stands before and behind the loop cancels out.
  return (three - one) / 4;
}
