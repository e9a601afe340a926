/** How many lanes a kernel's plan spends on a batch: by stubs in the kernel's place. */

import { execFileSync } from 'node:child_process';
import type { Programs } from './programs.js';

export interface Turn {
  readonly lanes: number;
  readonly calls: number;
}

export function plan({ driver }: Programs, kernel: string, jobs: number): Turn[] {
  return execFileSync(driver, ['plan', kernel, String(jobs)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => {
      const [lanes, calls] = line.split(' ').map(Number);
      return { lanes: lanes!, calls: calls! };
    });
}
