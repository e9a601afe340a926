/** phsync(1), from the commands' own definitions. */

import type { DescribedCommand, DescribedOption, DescribedProgram, DescribedValue } from '../describe-commands.js';
import { bold, escaped, filled, heading, italic, subheading, tagged, title, verbatim } from './roff.js';

const valueText = ({ name, kind, choices }: DescribedValue) =>
  kind === 'choice' ? choices.map(bold).join('|') : italic(name);

function optionTag({ short, long, value, optional }: DescribedOption): string {
  const names = [...(short === undefined ? [] : [short]), long].map(bold).join(', ');
  if (value === undefined) return names;
  return optional ? `${names} [${valueText(value)}]` : `${names} ${valueText(value)}`;
}

function optionBody({ description, default: standard, env, variadic }: DescribedOption): string {
  return [
    description,
    ...(variadic ? ['(may be given more than once)'] : []),
    ...(standard === undefined ? [] : [`(default: ${standard})`]),
    ...(env === undefined ? [] : [`(environment: ${env})`]),
  ].join(' ');
}

const options = (command: DescribedCommand) =>
  command.options.flatMap((option) => tagged(optionTag(option), optionBody(option)));

function commandSection(command: DescribedCommand): string[] {
  const values = command.arguments.map((value) => (value.required ? valueText(value) : `[${valueText(value)}]`));
  return [
    subheading(`phsync ${command.name}`),
    `.B phsync ${escaped(command.name)}`,
    // A line each, which roff fills: sources have lines of up to 80 bytes.
    `[${italic('options')}]`,
    ...values,
    '.PP',
    ...filled(sentence(command.description)),
    ...command.arguments.flatMap((value) => tagged(valueText(value), value.description)),
    ...options(command),
    ...(command.after === '' ? [] : ['.PP', ...verbatim(command.after)]),
  ];
}

/** Help texts are lower-case fragments. */
const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;

/** roff source; `date` as YYYY-MM-DD. */
export function programPage(program: DescribedProgram, date: string): string {
  const { commands, description, after, version } = program;
  const lines = [
    title('PHSYNC', 1, date, version, 'User Commands'),
    heading('NAME'),
    'phsync \\- password hash synchronization',
    heading('SYNOPSIS'),
    '.B phsync',
    `${italic('command')} [${italic('options')}]`,
    heading('DESCRIPTION'),
    ...filled(description),
    ...options(program),
    '.PP',
    ...verbatim(after),
    heading('COMMANDS'),
    ...commands.flatMap(commandSection),
    heading('SEE ALSO'),
    '.BR agent.yaml (5),',
    '.BR tenant.yaml (5)',
  ];
  return `${lines.join('\n')}\n`;
}
