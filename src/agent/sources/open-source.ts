/** Connects to the directory that a connector's configuration names. */

import { randomInt } from 'node:crypto';
import type { Logger } from 'pino';
import { resolveSecret } from '../../config/secrets.js';
import { type Clock, systemClock } from '../clock.js';
import type { ConnectorConfig, DrsDirectoryConfig } from '../config.js';
import { type EventSink, noEvents, ofConnector } from '../events/event.js';
import { conditionAttributes } from '../scope.js';
import type { DirectorySource } from '../source.js';
import { locateControllers } from './dc-locator.js';
import { createDrsSource, type DrsSourceOptions } from './drs-source.js';
import { openFailoverSource } from './failover-source.js';
import { LabDirectory, LabSource } from './lab-source.js';

export interface OpenSourceOptions {
  /** Where `{ env: … }` secrets are looked up. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly log: Logger;
  readonly events?: EventSink | undefined;
  readonly clock?: Clock | undefined;
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
  directory: DrsDirectoryConfig,
  conditions: DrsSourceOptions['conditionAttributes'],
  { env, log, events = noEvents, clock = systemClock, allowMd5InFips }: OpenSourceOptions,
  signal: AbortSignal | undefined,
): Promise<DirectorySource> {
  const { domain, auth, pageSize, timeoutSeconds } = directory;
  const readAuth = async () => ({
    ...auth,
    password: auth.password && (await resolveSecret(auth.password, 'directory.auth.password', env)),
  });
  const own = log.child({ connector });
  return openFailoverSource(
    {
      locate: async () => (await locateControllers(directory, { random })).controllers,
      open: async ({ server, address }, sessionKeys, until) =>
        createDrsSource(
          {
            server,
            address,
            domain,
            auth: await readAuth(),
            readAuth,
            sessionKeys,
            pageSize,
            conditionAttributes: conditions,
            allowMd5InFips,
            timeouts: timeoutSeconds === undefined ? undefined : { idleMs: timeoutSeconds * 1000 },
            onNotice: ({ code, message }) => own.warn({ code }, message),
          },
          until,
        ),
      clock,
      log: own,
      events: ofConnector(events, { name: connector, directory }),
    },
    signal,
  );
}

const random = (): number => randomInt(2 ** 32) / 2 ** 32;
