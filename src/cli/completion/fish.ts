/** Completion for fish: one `complete` line for every command and option (complete(1) of fish). */

import type { DescribedArgument, DescribedOption, DescribedProgram, DescribedValue } from '../describe-commands.js';

const quoted = (text: string) => `'${text.replaceAll(/[\\']/g, '\\$&')}'`;

function valueWords({ kind, choices }: DescribedValue): string {
  if (kind === 'choice') return ` -x -a ${quoted(choices.join(' '))}`;
  if (kind === 'file') return ' -r -F';
  if (kind === 'directory') return " -x -a '(__fish_complete_directories)'";
  return ' -x';
}

function optionLine(condition: string, { long, short, description, value }: DescribedOption): string {
  const names = `${short === undefined ? '' : `-s ${short.slice(1)} `}-l ${long.slice(2)}`;
  return `complete -c phsync -n ${condition} ${names}${value === undefined ? '' : valueWords(value)} -d ${quoted(description)}`;
}

function argumentLine(condition: string, argument: DescribedArgument): string[] {
  if (argument.kind === 'text') return [];
  return [`complete -c phsync -n ${condition}${valueWords(argument)} -d ${quoted(argument.description)}`];
}

export function fishCompletion({ commands, options }: DescribedProgram): string {
  const first = '__fish_use_subcommand';
  const lines = [
    '# fish completion of phsync, made by `phsync completion fish`',
    'complete -c phsync -f',
    ...options.map((option) => optionLine(first, option)),
    ...commands.map(({ name, description }) => `complete -c phsync -n ${first} -a ${name} -d ${quoted(description)}`),
    `complete -c phsync -n ${first} -a help -d 'the help of a command'`,
    `complete -c phsync -n '__fish_seen_subcommand_from help' -a ${quoted(commands.map(({ name }) => name).join(' '))}`,
    ...commands.flatMap((command) => {
      const condition = quoted(`__fish_seen_subcommand_from ${command.name}`);
      return [
        ...command.options.map((option) => optionLine(condition, option)),
        ...command.arguments.flatMap((argument) => argumentLine(condition, argument)),
      ];
    }),
  ];
  return `${lines.join('\n')}\n`;
}
