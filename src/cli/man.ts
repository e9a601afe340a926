/** `phsync man`: the manual pages, made from the commands' definitions and the configuration's schema. */

import { Argument, Command } from 'commander';
import { packageVersion } from '../config/version.js';
import { wholeProgram } from './commands.js';
import { describeProgram } from './describe-commands.js';
import { agentYaml, domainServicesYaml, tenantYaml } from './man/config-files.js';
import { configPage } from './man/config-page.js';
import { programPage } from './man/program-page.js';

/** The day it is printed, or the day that SOURCE_DATE_EPOCH names (seconds), so that packages can be built again alike. */
function today(epoch: string | undefined): string {
  const date = epoch !== undefined && /^\d{1,12}$/.test(epoch) ? new Date(Number(epoch) * 1000) : new Date();
  return date.toISOString().slice(0, 10);
}

const PAGES = {
  phsync: async (date: string) => programPage(describeProgram(await wholeProgram()), date),
  'agent.yaml': async (date: string) => configPage(agentYaml(), packageVersion(), date),
  'tenant.yaml': async (date: string) => configPage(tenantYaml(), packageVersion(), date),
  'domain-services.yaml': async (date: string) => configPage(domainServicesYaml(), packageVersion(), date),
} as const;

const AFTER_HELP = `
To read them, or to keep them:

  phsync man | man -l -
  phsync man > /usr/local/share/man/man1/phsync.1
  phsync man agent.yaml > /usr/local/share/man/man5/agent.yaml.5
  phsync man tenant.yaml > /usr/local/share/man/man5/tenant.yaml.5
  phsync man domain-services.yaml > /usr/local/share/man/man5/domain-services.yaml.5`;

export function command(): Command {
  return new Command('man')
    .description('print a manual page: phsync(1), agent.yaml(5), tenant.yaml(5) or domain-services.yaml(5)')
    .addArgument(new Argument('[page]', 'which').choices(Object.keys(PAGES)).default('phsync'))
    .addHelpText('after', AFTER_HELP)
    .action(async (page: keyof typeof PAGES) => {
      process.stdout.write(await PAGES[page](today(process.env.SOURCE_DATE_EPOCH)));
    });
}
