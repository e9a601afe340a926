/** The conversation of `phsync init`: which way, the questions, and whether to write what came out. */

import { intro, note, outro } from '@clack/prompts';
import { PhsyncError } from '../../hasher/errors.js';
import { complaintsOf, type Draft } from './draft.js';
import { Interview } from './interview.js';
import { leaveOutOwnAccounts } from './own-account.js';
import { renderConfig } from './render.js';
import type { SecretFile } from './secrets.js';
import { custom, express } from './wizard.js';

/** Undefined where it is not to be written. Throws PhsyncError `init-cancelled` at Ctrl-C. */
export async function ask(
  draft: Draft,
  options: { readonly config: string; readonly express?: true; readonly custom?: true },
): Promise<{ readonly draft: Draft; readonly secrets: readonly SecretFile[] } | undefined> {
  // A serial console says that it has no columns, and every word would break after each letter.
  if (!process.stdout.columns) process.stdout.columns = 80;
  intro(`phsync init: ${options.config}`);
  const interview = new Interview(draft);
  const way = options.custom
    ? 'custom'
    : options.express
      ? 'express'
      : await interview.way('How much do you want to be asked?', {
          express: 'express: every default; account, domain controller and tenant',
          custom: 'custom: everything',
        });
  const secrets = way === 'custom' ? await custom(interview) : await express(interview);
  const complaints = complaintsOf(draft).map(({ path, message }) => `${path.join('.')}: ${message}`);
  if (complaints.length > 0) {
    throw new PhsyncError(
      'init-invalid',
      `these answers do not go together, and nothing was written: ${complaints.join('; ')}`,
    );
  }
  // The comments, and what is left at its default, are for those who read the file.
  leaveOutOwnAccounts(draft);
  const shown = renderConfig(draft)
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line));
  note(shown.join('\n'), options.config);
  if (!(await interview.yes('Write this?', true))) {
    outro('Nothing was written.');
    return undefined;
  }
  outro('Done.');
  return { draft, secrets };
}
