/** Connects to the directory that a connector's configuration names. */

import type { Logger } from 'pino';
import { resolveSecret } from '../../config/secrets.js';
import type { ConnectorConfig, DirectoryConfig } from '../config.js';
import type { DirectorySource } from '../source.js';
import { createDrsSource } from './drs-source.js';
import { LabDirectory, LabSource } from './lab-source.js';

/** Rejects with a PhsyncError `config-…` or `dc-…`. `env`: where `{ env: … }` secrets are looked up. */
export async function openSource(
  { name, directory }: ConnectorConfig,
  env: Readonly<NodeJS.ProcessEnv>,
  log: Logger,
  signal?: AbortSignal,
): Promise<DirectorySource> {
  if (directory.type === 'lab') {
    const { users, seed, domain, changesPerMinute, journal } = directory;
    return new LabSource(
      new LabDirectory({ users, seed, domain, changesPerMinute, ...(journal === undefined ? {} : { journal }) }),
    );
  }
  return openDrs(name, directory, env, log, signal);
}

async function openDrs(
  connector: string,
  { server, address, domain, auth, pageSize, timeoutSeconds }: Extract<DirectoryConfig, { type: 'drs' }>,
  env: Readonly<NodeJS.ProcessEnv>,
  log: Logger,
  signal: AbortSignal | undefined,
): Promise<DirectorySource> {
  const password = await resolveSecret(auth.password, 'directory.auth.password', env);
  return createDrsSource(
    {
      server,
      address,
      domain,
      auth: { mechanism: auth.mechanism, user: auth.user, password },
      pageSize,
      timeouts: timeoutSeconds === undefined ? undefined : { idleMs: timeoutSeconds * 1000 },
      onNotice: ({ code, message }) => log.warn({ connector, code }, message),
    },
    signal,
  );
}
