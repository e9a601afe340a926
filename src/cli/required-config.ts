/** `--config`, asked for after unknown options were named: commander's own mandatory options hide a mistyped one. */

import type { Command } from 'commander';

/** Ends with commander's own error where `--config` is missing. */
export function withConfig<O extends { readonly config?: string }>(
  options: O,
  command: Command,
): O & { readonly config: string } {
  const { config } = options;
  if (config === undefined) {
    command.error("required option '--config <file>' not specified", { code: 'commander.missingMandatoryOptionValue' });
  }
  return { ...options, config };
}
