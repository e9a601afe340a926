/** Puts one needless instruction into PBKDF2's loops of a built kernel, in the compiler's own assembly: in C++ it would shuffle the rest. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A move to itself changes neither register nor flags. */
const NEEDLESS = '\tmovq\t%rax, %rax';

/** The assembly with NEEDLESS at the head of the longest loop of every function of PBKDF2's rounds (x86, GNU syntax). */
export function plantInstruction(assembly: string): { assembly: string; planted: number } {
  const lines = assembly.split('\n');
  const heads: number[] = [];
  let begin = -1;
  for (const [end, line] of lines.entries()) {
    if (/^_ZN\w*pbkdf2_rounds\w*:/.test(line)) begin = end;
    if (begin < 0 || !/^\t\.size\t/.test(line)) continue;
    const labels = new Map<string, number>();
    let head = begin;
    let longest = 0;
    for (let at = begin; at < end; at++) {
      const label = /^(\.L\d+):/.exec(lines[at]!)?.[1];
      if (label !== undefined) labels.set(label, at);
      const target = labels.get(/^\tj[a-z]+\t(\.L\d+)$/.exec(lines[at]!)?.[1] ?? '');
      if (target === undefined || at - target <= longest) continue;
      longest = at - target;
      head = target;
    }
    if (longest > 0) heads.push(head);
    begin = -1;
  }
  for (const head of heads.reverse()) lines.splice(head + 1, 0, NEEDLESS);
  return { assembly: lines.join('\n'), planted: heads.length };
}

/** Recompiles one kernel of a built copy over its assembly, with the command that make has kept. */
export function rebuildWithInstruction(copy: string, kernel: string): void {
  const build = join(copy, 'build');
  const object = `Release/obj.target/phsync_${kernel}/native/kernels/${kernel}/kernel_${kernel}.o`;
  const kept = readFileSync(join(build, 'Release/.deps', `${object}.d`), 'utf8').split('\n')[0]!;
  const command = kept.slice(kept.indexOf(':=') + 2);
  const shell = (text: string) =>
    execFileSync('sh', ['-c', text], { cwd: build, stdio: ['ignore', 'inherit', 'inherit'] });
  const file = join(build, `${kernel}.s`);
  shell(command.replace(`-o ${object}`, `-o ${file}`).replace(/ -c$/, ' -S'));
  const { assembly, planted } = plantInstruction(readFileSync(file, 'utf8'));
  if (planted === 0) throw new Error(`${kernel}: no loop to plant an instruction in`);
  writeFileSync(file, assembly);
  shell(`c++ -c ${file} -o ${object}`);
  // The library has its object by name or in itself: `ar r` does for both.
  shell(
    `ar rs Release/obj.target/phsync_${kernel}.a ${object} && ln -f Release/obj.target/phsync_${kernel}.a Release/`,
  );
}
