/** A copy of the checkout, to plant a fault in. */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../instructions/programs.js';

/** What a copy needs to be built and measured; node_modules is linked. */
const PARTS = ['package.json', 'binding.gyp', 'native', 'build', 'dist', 'bench'] as const;

/** @returns the copy's directory; the caller removes it. */
export function copyCheckout(): string {
  const copy = mkdtempSync(join(tmpdir(), 'phsync-planted-'));
  for (const part of PARTS) {
    // With their times: what make finds unchanged it leaves alone.
    cpSync(join(root, part), join(copy, part), { recursive: true, preserveTimestamps: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Builds what has changed: a target of binding.gyp, or all of the addon. */
export function build(copy: string, target = 'phsync'): void {
  execFileSync('make', ['-C', join(copy, 'build'), 'BUILDTYPE=Release', '--silent', target], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
