/** `phsync completion`: shell completion, made from the commands' own definitions. */

import { Argument, Command } from 'commander';
import { wholeProgram } from './commands.js';
import { bashCompletion } from './completion/bash.js';
import { fishCompletion } from './completion/fish.js';
import { zshCompletion } from './completion/zsh.js';
import { describeProgram } from './describe-commands.js';

const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
type Shell = keyof typeof shells;

const AFTER_HELP = `
Where it goes, so that every new shell has it:

  bash   phsync completion bash > ~/.local/share/bash-completion/completions/phsync
         or, without bash-completion, in ~/.bashrc:  source <(phsync completion bash)
  zsh    phsync completion zsh > DIR/_phsync, for a DIR of $fpath
  fish   phsync completion fish > ~/.config/fish/completions/phsync.fish`;

export function command(): Command {
  return new Command('completion')
    .description('print the completion of a shell')
    .addArgument(new Argument('<shell>', 'whose').choices(Object.keys(shells)))
    .addHelpText('after', AFTER_HELP)
    .action(async (shell: Shell) => {
      process.stdout.write(shells[shell](describeProgram(await wholeProgram())));
    });
}
