/** `phsync init`: writes agent.yaml, by questions on a terminal or from options and environment variables. */

import { dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { agentConfigSchema } from '../agent/config.js';
import { parseConfig } from '../config/load-config.js';
import { PhsyncError } from '../hasher/errors.js';
import type { Draft } from './init/draft.js';
import { nextSteps } from './init/next-steps.js';
import { addAnswers, defaultSecrets, draftOf, refuseIncomplete } from './init/options.js';
import { leaveOutOwnAccounts, unknownAccounts } from './init/own-account.js';
import { renderConfig } from './init/render.js';
import { type SecretFile, secretsFromEnvironment } from './init/secrets.js';
import { refuseExisting, writeFiles } from './init/write.js';
import { printJson } from './output.js';

interface Options extends Readonly<Record<string, unknown>> {
  readonly config: string;
  readonly express?: true;
  readonly custom?: true;
  readonly nonInteractive?: true;
  readonly writeSecrets?: true;
  readonly force?: true;
  readonly json?: true;
}

interface Gathered {
  readonly draft: Draft;
  readonly secrets: readonly SecretFile[];
}

function fromOptions(options: Options): Gathered {
  if (options.custom) {
    throw new PhsyncError('usage-init', '--custom asks on a terminal: it does not go with --non-interactive or --json');
  }
  const draft = draftOf(options, options.config);
  defaultSecrets(draft);
  const secrets = options.writeSecrets ? secretsFromEnvironment(draft, process.env) : [];
  refuseIncomplete(draft);
  return { draft, secrets };
}

async function byQuestions(options: Options): Promise<Gathered | undefined> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new PhsyncError(
      'usage-init',
      'there is no terminal to ask on; give the answers as options, with --non-interactive',
    );
  }
  // Only here: who asks nothing needs no prompts.
  const { ask } = await import('./init/ask.js');
  return ask(draftOf(options, options.config), options);
}

async function init(options: Options): Promise<void> {
  if (options.express && options.custom) {
    throw new PhsyncError('usage-init', 'expected either --express or --custom');
  }
  const { force = false, json = false } = options;
  const config = resolve(options.config);
  // Before the questions, not after them.
  if (!force) await refuseExisting([config]);
  const gathered = options.nonInteractive || json ? fromOptions(options) : await byQuestions(options);
  if (gathered === undefined) return;
  leaveOutOwnAccounts(gathered.draft);
  const text = renderConfig(gathered.draft);
  parseConfig(text, config, agentConfigSchema);
  const secrets = gathered.secrets.map(({ name, secret }) => ({
    path: join(dirname(config), name),
    text: `${secret}\n`,
  }));
  await writeFiles([...secrets, { path: config, text }], force);
  const steps = nextSteps(gathered.draft, options.config);
  const notes = unknownAccounts(gathered.draft).map(unknownAccountText);
  if (json) {
    printJson({
      config,
      secrets: secrets.map(({ path }) => path),
      next: steps.map(({ command }) => command),
      ...(notes.length === 0 ? {} : { notes }),
    });
    return;
  }
  const written = [config, ...secrets.map(({ path }) => path)].map((path) => `Written: ${path}\n`).join('');
  process.stdout.write(
    `${written}\nNext:\n${steps.map(({ what, command }) => `\n  # ${what}\n  ${command}\n`).join('')}${notes.map((note) => `\nNote: ${note}\n`).join('')}`,
  );
}

const unknownAccountText = (connector: string) =>
  `${connector}: whose the credential cache is cannot be told here. That account may read every password hash: leave it out of ` +
  'the tenant with scope.cloudFiltered, e.g. [ { attribute: sAMAccountName, equals: phs.sync } ]. Where agent.yaml names ' +
  'it, too (directory.auth.user), the dry run and `phsync diagnose --dn` tell of it while it is in scope.';

const AFTER_HELP = `
On a terminal it asks: express (the default) what has no default, custom for every key. Options that are given are not
asked for. Without a terminal, or in scripts:

  phsync init --non-interactive --account phs.sync@dc1.phs.test \\
    --tenant-url https://tenant.example/provisioningservice.svc --client-id agent-1

Every such option is an environment variable, too: PHSYNC_INIT_TENANT_URL stands for --tenant-url.
Secrets never come into agent.yaml. It names environment variables (PHSYNC_AD_PASSWORD, PHSYNC_AGENT_SECRET), files or
credentials of a systemd service; with --write-secrets what is in these variables now is written to files beside it.`;

export function command(): Command {
  const plain = new Command('init')
    .description('write agent.yaml, by questions or from options')
    .option('--config <file>', 'the file to write', 'agent.yaml')
    .option('--express', 'ask only what has no default')
    .option('--custom', 'ask for every key')
    .option('--non-interactive', 'ask nothing')
    .option('--write-secrets', 'keep the secrets of the environment variables in files of mode 0600 beside it')
    .option('--force', 'overwrite files that are there')
    .option('--json', 'ask nothing, and print one JSON document: config, secrets, next, notes');
  return addAnswers(plain)
    .addHelpText('after', AFTER_HELP)
    .action((options: Options) => init(options));
}
