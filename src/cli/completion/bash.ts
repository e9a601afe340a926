/** Completion for bash: one function, as the Bash Reference Manual's section "Programmable Completion" wants it. */

import type { DescribedCommand, DescribedOption, DescribedProgram, DescribedValue } from '../describe-commands.js';

/** What completes a value. `COMPREPLY` stays empty for free text. */
function replyFor({ kind, choices }: DescribedValue): string {
  if (kind === 'choice') return `_phsync_words ${choices.join(' ')}`;
  // `filenames` has readline append the slash of directories, and quote.
  if (kind === 'file') return '_phsync_paths -f';
  if (kind === 'directory') return '_phsync_paths -d';
  return ':';
}

const patternOf = ({ long, short }: DescribedOption) => (short === undefined ? long : `${short}|${long}`);

function branch(command: DescribedCommand): string[] {
  const valued = command.options.flatMap((option) =>
    option.value === undefined ? [] : [`        ${patternOf(option)}) ${replyFor(option.value)}; return ;;`],
  );
  const [argument] = command.arguments;
  return [
    `    ${command.name})`,
    ...(valued.length === 0 ? [] : ['      case $previous in', ...valued, '      esac']),
    ...(argument === undefined ? [] : [`      [[ $current == -* ]] || { ${replyFor(argument)}; return; }`]),
    `      _phsync_words ${command.options.map(({ long }) => long).join(' ')}`,
    '      ;;',
  ];
}

export function bashCompletion({ commands, options }: DescribedProgram): string {
  const names = commands.map(({ name }) => name).join(' ');
  const lines = [
    '# bash completion of phsync, made by `phsync completion bash`',
    '_phsync_words() { mapfile -t COMPREPLY < <(compgen -W "$*" -- "$current"); }',
    '_phsync_paths() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen "$1" -- "$current"); }',
    '_phsync() {',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    '  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}',
    '  COMPREPLY=()',
    '  # `--option=value` comes as three words: `=` is one of COMP_WORDBREAKS.',
    '  if [[ $current == "=" ]]; then',
    '    current=""',
    '  elif [[ $previous == "=" ]]; then',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    '    previous=${COMP_WORDS[COMP_CWORD-2]}',
    '  fi',
    `  if ((COMP_CWORD == 1)); then`,
    `    _phsync_words ${names} help ${options.map(({ long }) => long).join(' ')}`,
    '    return',
    '  fi',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    '  case ${COMP_WORDS[1]} in',
    ...commands.flatMap(branch),
    `    help) _phsync_words ${names} ;;`,
    '  esac',
    '}',
    'complete -F _phsync phsync',
  ];
  return `${lines.join('\n')}\n`;
}
