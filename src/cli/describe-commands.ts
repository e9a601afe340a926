/** The command line as data, from commander's own definitions: what the manual page and shell completion are made of. */

import type { Argument, Command, Option } from 'commander';

/** What stands where a value is expected. */
export type ValueKind = 'file' | 'directory' | 'choice' | 'text';

export interface DescribedValue {
  readonly name: string;
  readonly kind: ValueKind;
  /** For `choice`. */
  readonly choices: readonly string[];
}

export interface DescribedOption {
  /** `--config`; every option has one. */
  readonly long: string;
  readonly short: string | undefined;
  readonly description: string;
  readonly value: DescribedValue | undefined;
  /** Its value may be left out. */
  readonly optional: boolean;
  /** It may be given more than once. */
  readonly variadic: boolean;
  readonly default: string | undefined;
  readonly env: string | undefined;
}

export interface DescribedArgument extends DescribedValue {
  readonly description: string;
  readonly required: boolean;
}

export interface DescribedCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly DescribedOption[];
  readonly arguments: readonly DescribedArgument[];
  /** What `--help` says behind the options. */
  readonly after: string;
}

export interface DescribedProgram extends DescribedCommand {
  readonly version: string;
  readonly commands: readonly DescribedCommand[];
}

/** Value names that stand for something on disk; all others are text. */
const KINDS: Readonly<Record<string, ValueKind>> = { file: 'file', dir: 'directory', directory: 'directory' };

function describeValue(name: string, choices: readonly string[] | undefined): DescribedValue {
  return choices === undefined ? { name, kind: KINDS[name] ?? 'text', choices: [] } : { name, kind: 'choice', choices };
}

function describeOption(option: Option): DescribedOption {
  if (option.long === undefined || option.long === null) throw new TypeError(`option ${option.flags} has no long form`);
  const name = /[<[]([^>\]]+?)(?:\.\.\.)?[>\]]/.exec(option.flags)?.[1];
  return {
    long: option.long,
    short: option.short ?? undefined,
    description: option.description,
    value: name === undefined ? undefined : describeValue(name, option.argChoices),
    optional: option.optional,
    variadic: option.variadic,
    default: typeof option.defaultValue === 'string' ? option.defaultValue : undefined,
    env: option.envVar,
  };
}

function describeArgument(argument: Argument): DescribedArgument {
  return {
    ...describeValue(argument.name(), argument.argChoices),
    description: argument.description,
    required: argument.required,
  };
}

/** What addHelpText put behind the options: the help without what commander makes itself. */
function helpAfter(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text.slice(command.helpInformation().length).trim();
}

function describe(command: Command): DescribedCommand {
  const help = command.createHelp();
  return {
    name: command.name(),
    description: command.description(),
    // With --help, which is the help's own.
    options: help.visibleOptions(command).map(describeOption),
    arguments: help.visibleArguments(command).map(describeArgument),
    after: helpAfter(command),
  };
}

/** All of `program`, which prints no help of its own any more: its commands in the order in which they were added. */
export function describeProgram(program: Command): DescribedProgram {
  return {
    ...describe(program),
    version: program.version() ?? '',
    commands: program.commands.map(describe),
  };
}
