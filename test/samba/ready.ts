/** When a domain controller that `dc/serve` makes is there. */

import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

const ENOUGH_SECONDS = 600;

/** Resolves when `serve` says that the accounts are there; rejects with its last lines when it ends before. */
export function untilReady(server: ChildProcess, say: (line: string) => void = () => {}): Promise<void> {
  const errors: string[] = [];
  createInterface({ input: server.stderr! }).on('line', (line) => {
    errors.push(line);
    if (/^\d+\/\d+ |^added /.test(line)) say(line);
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the DC did not come up within ${ENOUGH_SECONDS} s:\n${errors.slice(-20).join('\n')}`)),
      ENOUGH_SECONDS * 1000,
    );
    createInterface({ input: server.stdout! }).once('line', () => {
      clearTimeout(timer);
      resolve();
    });
    server.once('error', reject);
    server.once('close', (code) => {
      clearTimeout(timer);
      reject(new Error(`the DC did not come up (exit ${code}):\n${errors.slice(-20).join('\n')}`));
    });
  });
}
