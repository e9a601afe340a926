/** The commands by name, each loaded from its own file when it is wanted. */

import { Command } from 'commander';
import { packageVersion } from '../config/version.js';

/** In the order of `phsync --help`. */
export const names = [
  'demo',
  'init',
  'agent',
  'tenant',
  'domain-services',
  'diagnose',
  'sync-object',
  'events',
  'permissions',
  'leaks',
  'hash',
  'verify',
  'info',
  'bench',
  'systemd',
  'man',
  'completion',
] as const;
export type CommandName = (typeof names)[number];

const AFTER_HELP = `
\`phsync help <command>\` tells a command's options; agent and tenant show a configuration there.

Exit codes: 0 done, 1 the answer is no, 2 wrong usage or configuration, 3 the work failed.

Environment:
  PHSYNC_BACKEND  auto, native or fallback: which hasher to use
  PHSYNC_KERNEL   one of the kernels that \`phsync info\` lists`;

/** `phsync` without its commands; `load` adds them. */
export function createProgram(): Command {
  return (
    new Command('phsync')
      .description('Password hash synchronization: agent, tenant and the hasher under them.')
      .version(packageVersion())
      .helpCommand(true)
      .addHelpText('after', AFTER_HELP)
      .exitOverride()
      // What commander would print as an error goes through `fail`, in our form and with our exit code.
      .configureOutput({ outputError: () => {} })
  );
}

/** Imports the files of these commands, and of no others, and adds them. */
export async function addCommands(program: Command, wanted: readonly CommandName[]): Promise<void> {
  const files: { command(): Command }[] = await Promise.all(wanted.map((name) => import(`./${name}.js`)));
  for (const file of files) program.addCommand(file.command().copyInheritedSettings(program));
}

/** The whole program, for what is made from all definitions: the manual page and shell completion. */
export async function wholeProgram(): Promise<Command> {
  const program = createProgram();
  await addCommands(program, names);
  return program;
}
