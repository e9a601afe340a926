/** Completion for zsh: a function for a directory of `$fpath`, on `_arguments` of zshcompsys(1). */

import type { DescribedCommand, DescribedOption, DescribedProgram, DescribedValue } from '../describe-commands.js';

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
/** Within a specification of _arguments and _describe, these have meanings. */
const plain = (text: string) => text.replaceAll(/[\\[\]:]/g, '\\$&');

function actionOf({ name, kind, choices }: DescribedValue): string {
  if (kind === 'choice') return `${plain(name)}:(${choices.join(' ')})`;
  if (kind === 'file') return `${plain(name)}:_files`;
  if (kind === 'directory') return `${plain(name)}:_files -/`;
  return `${plain(name)}: `;
}

function specification({ long, short, description, value, variadic }: DescribedOption): string[] {
  const tail = `[${plain(description)}]${value === undefined ? '' : `:${actionOf(value)}`}`;
  const repeated = variadic ? '*' : '';
  // `=`: the value comes as the next word or behind an equals sign.
  const forms = value === undefined ? [long] : [`${long}=`];
  if (short !== undefined) forms.unshift(short);
  const excluded = short === undefined || variadic ? '' : `(${short} ${long})`;
  return forms.map((form) => quoted(`${repeated}${excluded}${form}${tail}`));
}

function branch(command: DescribedCommand): string[] {
  const specifications = [
    ...command.options.flatMap(specification),
    ...command.arguments.map((argument) => quoted(`${argument.required ? ':' : '::'}${actionOf(argument)}`)),
  ];
  return [
    `    ${command.name})`,
    '      _arguments -s \\',
    ...specifications.map((text, i) => `        ${text}${i + 1 < specifications.length ? ' \\' : ''}`),
    '      ;;',
  ];
}

export function zshCompletion({ commands, options }: DescribedProgram): string {
  const described = commands.map(({ name, description }) => `    ${quoted(`${name}:${plain(description)}`)}`);
  const lines = [
    '#compdef phsync',
    '# zsh completion of phsync, made by `phsync completion zsh`',
    '_phsync() {',
    '  local -a commands=(',
    ...described,
    "    'help:the help of a command'",
    '  )',
    '  if ((CURRENT == 2)); then',
    '    _describe command commands',
    `    compadd -- ${options.map(({ long }) => long).join(' ')}`,
    '    return',
    '  fi',
    '  local command=$words[2]',
    '  # _arguments sees the command as the first word.',
    '  shift words',
    '  ((CURRENT--))',
    '  case $command in',
    ...commands.flatMap(branch),
    '    help) _describe command commands ;;',
    '  esac',
    '}',
    '# Autoloaded from $fpath this file is the function; sourced, it is registered.',
    'if [[ $funcstack[1] == _phsync ]]; then _phsync "$@"; else compdef _phsync phsync; fi',
  ];
  return `${lines.join('\n')}\n`;
}
