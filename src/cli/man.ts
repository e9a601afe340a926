/** `phsync man`: the manual pages, made from the commands' definitions and the configuration's schema. */

import { Command } from 'commander';
import { wholeProgram } from './commands.js';
import { describeProgram } from './describe-commands.js';
import { programPage } from './man/program-page.js';

/** The day it is printed, or the day that SOURCE_DATE_EPOCH names (seconds), so that packages can be built again alike. */
function today(epoch: string | undefined): string {
  const date = epoch !== undefined && /^\d{1,12}$/.test(epoch) ? new Date(Number(epoch) * 1000) : new Date();
  return date.toISOString().slice(0, 10);
}

const AFTER_HELP = `
To read it, or to keep it:

  phsync man | man -l -
  phsync man > /usr/local/share/man/man1/phsync.1`;

export function command(): Command {
  return new Command('man')
    .description('print the manual page phsync(1)')
    .addHelpText('after', AFTER_HELP)
    .action(async () => {
      const program = describeProgram(await wholeProgram());
      process.stdout.write(programPage(program, today(process.env.SOURCE_DATE_EPOCH)));
    });
}
