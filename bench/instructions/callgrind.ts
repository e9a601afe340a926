/** Instructions counted by valgrind's callgrind: on a CPU of its own making, so the same on every machine. */

import { execFile, execFileSync } from 'node:child_process';
import { createHash, pbkdf2Sync } from 'node:crypto';
import { promisify } from 'node:util';
import { md4 } from '#src/crypto/md4.js';
import type { Programs } from './programs.js';

export type Work = 'derive' | 'md4' | 'md5' | 'sha256';

const ITERATIONS = 1000;

const run = promisify(execFile);

/** `valgrind-3.19.0`, or undefined where there is none. */
export function valgrindVersion(): string | undefined {
  try {
    return execFileSync('valgrind', ['--version'], { encoding: 'utf8' }).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The command before a program that shows it valgrind's CPU and counts nothing. */
export const VALGRIND_CPU = ['valgrind', '--quiet', '--tool=none'] as const;

/** Job's digest of the driver's painted inputs, by node:crypto (MD4, which it lacks, by phsync's JavaScript). */
function expected(work: Work, job: number, iterations: number): string {
  const input = Uint8Array.from({ length: 16 }, (_, i) => (16 * job + i) % 251);
  if (work === 'derive') {
    const password = Buffer.from(Buffer.from(input).toString('hex').toUpperCase(), 'utf16le');
    const salt = Uint8Array.from({ length: 10 }, (_, i) => (10 * job + i) % 241);
    return pbkdf2Sync(password, salt, iterations, 32, 'sha256').toString('hex');
  }
  return work === 'md4' ? Buffer.from(md4(input)).toString('hex') : createHash(work).update(input).digest('hex');
}

async function collected(
  { driver }: Programs,
  kernel: string,
  work: Work,
  jobs: number,
  iterations: number,
): Promise<number> {
  const args = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--toggle-collect=counted'];
  const { stdout, stderr } = await run(
    'valgrind',
    [...args, driver, 'run', kernel, work, String(jobs), String(iterations)],
    { maxBuffer: 1 << 26 },
  );
  const digests = stdout.trim();
  const size = digests.length / jobs;
  for (let job = 0; job < jobs; job++) {
    if (digests.slice(job * size, (job + 1) * size) !== expected(work, job, iterations)) {
      throw new Error(`${kernel} ${work}: digest ${job} of ${jobs} is wrong under valgrind`);
    }
  }
  const count = /Collected : (\d+)/.exec(stderr)?.[1];
  if (count === undefined) throw new Error(`valgrind has not counted: ${stderr.slice(-500)}`);
  return Number(count);
}

/**
 * Instructions a job. A credential's 1000 iterations are extrapolated from 2 and 12, which is exact: every iteration
 * runs the same instructions.
 */
export async function callgrind(programs: Programs, kernel: string, work: Work, jobs: number): Promise<number> {
  if (work !== 'derive') return (await collected(programs, kernel, work, jobs, 1)) / jobs;
  const few = await collected(programs, kernel, work, jobs, 2);
  const more = await collected(programs, kernel, work, jobs, 12);
  return (few + ((ITERATIONS - 2) * (more - few)) / 10) / jobs;
}
