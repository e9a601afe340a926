/** Connects to the directory that a connector's configuration names. */

import { PhsyncError } from '../../hasher/errors.js';
import type { ConnectorConfig } from '../config.js';
import type { DirectorySource } from '../source.js';
import { LabDirectory, LabSource } from './lab-source.js';

export async function openSource(
  { name, directory }: ConnectorConfig,
  _env: Readonly<NodeJS.ProcessEnv>,
): Promise<DirectorySource> {
  if (directory.type === 'lab') {
    const { users, seed, domain, changesPerMinute, journal } = directory;
    return new LabSource(
      new LabDirectory({ users, seed, domain, changesPerMinute, ...(journal === undefined ? {} : { journal }) }),
    );
  }
  throw new PhsyncError('drs-missing', `connector ${name}: no DRS source`);
}
