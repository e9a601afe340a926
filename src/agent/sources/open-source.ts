/** Connects to the directory that a connector's configuration names. */

import type { Logger } from 'pino';
import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
import type { ConnectorConfig, DrsDirectoryConfig } from '../config.js';
import { conditionAttributes } from '../scope.js';
import type { DirectorySource } from '../source.js';
import { createDrsSource, type DrsSourceOptions } from './drs-source.js';
import { LabDirectory, LabSource } from './lab-source.js';

export interface OpenSourceOptions {
  /** Where `{ env: … }` secrets are looked up. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly log: Logger;
  /** Whether NTLM may be spoken in FIPS mode. */
  readonly allowMd5InFips: boolean;
}

/** Rejects with a PhsyncError `config-…` or `dc-…`. */
export async function openSource(
  { name, directory, scope }: ConnectorConfig,
  options: OpenSourceOptions,
  signal?: AbortSignal,
): Promise<DirectorySource> {
  if (directory.type === 'lab') {
    const { users, seed, domain, changesPerMinute, journal } = directory;
    return new LabSource(
      new LabDirectory({ users, seed, domain, changesPerMinute, ...(journal === undefined ? {} : { journal }) }),
    );
  }
  return openDrs(name, directory, conditionAttributes(scope), options, signal);
}

async function openDrs(
  connector: string,
  { server, address, domain, auth, pageSize, timeoutSeconds }: DrsDirectoryConfig,
  conditions: DrsSourceOptions['conditionAttributes'],
  { env, log, allowMd5InFips }: OpenSourceOptions,
  signal: AbortSignal | undefined,
): Promise<DirectorySource> {
  if (server === undefined) {
    throw new PhsyncError('config-invalid', 'directory: expected server', {});
  }
  const password =
    auth.password === undefined ? undefined : await resolveSecret(auth.password, 'directory.auth.password', env);
  return createDrsSource(
    {
      server,
      address,
      domain,
      auth: { ...auth, password },
      pageSize,
      conditionAttributes: conditions,
      allowMd5InFips,
      timeouts: timeoutSeconds === undefined ? undefined : { idleMs: timeoutSeconds * 1000 },
      onNotice: ({ code, message }) => log.warn({ connector, code }, message),
    },
    signal,
  );
}
