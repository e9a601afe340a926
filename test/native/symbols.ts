/** What a kernel's library defines: nothing weak, which the linker could merge across ISAs, and one exported table. */

import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';

/** What a program of binutils prints. */
export const tool = (name: string, ...args: string[]): string =>
  execFileSync(name, args, { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });

/** `nm` is that of the library's architecture. */
export function expectOwnSymbolsOnly(nm: string, library: string): void {
  const symbols = tool(nm, '--defined-only', library)
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields.length === 3)
    .map(([, type, name]) => ({ type: type!, name: name! }));
  expect(symbols.length).toBeGreaterThan(0);
  expect(symbols.filter(({ type }) => /[WVu]/.test(type))).toEqual([]);
  expect(symbols.filter(({ type }) => /[A-Z]/.test(type)).map(({ name }) => name)).toHaveLength(1);
}
