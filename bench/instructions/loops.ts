/**
 * Instructions of a kernel's longest loops, read off the disassembly (x86): needs a compiler and no CPU that has them.
 * A static count: a loop inside the loop counts once, however often it turns.
 */

import { execFileSync } from 'node:child_process';

export interface Loop {
  /** Demangled, without namespaces and arguments: `pbkdf2_rounds<Pair>`. */
  readonly function: string;
  /** From the loop's head to the jump back, both included, padding left out. */
  readonly instructions: number;
}

/** Unrolled rounds of a hash are in the hundreds; set-up and wiping loops are not of interest. */
const LEAST = 100;

const shortName = (demangled: string): string =>
  demangled
    .replaceAll('(anonymous namespace)::', '')
    .replaceAll('phsync::', '')
    .replace(/^(?:void|int) /, '')
    .replace(/\((?:[^()]|\([^()]*\))*\)(?: \[clone [^\]]*\])*$/, '');

/** What pads code to a boundary. */
const isPadding = (instruction: string): boolean => /^(?:data16|cs |nop|xchg +%ax,%ax)/.test(instruction);

/** Every function's longest loop of at least LEAST instructions, of `objdump -d -C --no-show-raw-insn`. */
export function loopsOf(disassembly: string): Loop[] {
  const loops: Loop[] = [];
  for (const [, name, body] of disassembly.matchAll(/^[0-9a-f]+ <(.+)>:\n((?:.+\n?)*)/gm)) {
    const code = [...body!.matchAll(/^ *([0-9a-f]+):\t(.*)$/gm)].map(([, address, instruction]) => ({
      address: Number.parseInt(address!, 16),
      instruction: instruction!.trim(),
    }));
    let longest = 0;
    for (const [end, { address, instruction }] of code.entries()) {
      const target = Number.parseInt(/^j[a-z]+ +([0-9a-f]+)/.exec(instruction)?.[1] ?? '', 16);
      if (!(target < address)) continue;
      const begin = code.findIndex((line) => line.address === target);
      if (begin < 0) continue;
      longest = Math.max(longest, code.slice(begin, end + 1).filter((line) => !isPadding(line.instruction)).length);
    }
    if (longest >= LEAST) loops.push({ function: shortName(name!), instructions: longest });
  }
  return loops;
}

/** @param library path of a static library or an object. */
export function loops(library: string): Loop[] {
  return loopsOf(
    execFileSync('objdump', ['-d', '-C', '--no-show-raw-insn', library], { encoding: 'utf8', maxBuffer: 1 << 28 }),
  );
}
