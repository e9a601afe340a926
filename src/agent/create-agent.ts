/** Puts an agent together from its configuration: secrets, tenant client, hasher, state store. */

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { resolveSecret } from '../config/secrets.js';
import { createHasher } from '../hasher/create-hasher.js';
import { PhsyncError } from '../hasher/errors.js';
import { checkFips } from '../hasher/fips.js';
import type { HasherInfo } from '../hasher/types.js';
import { createProvisioningClient } from '../provisioning/client.js';
import { createClientCredentials, tokenUrlFor } from '../provisioning/client-credentials.js';
import { Agent, type AgentParts } from './agent.js';
import { type Clock, systemClock } from './clock.js';
import type { AgentConfig } from './config.js';
import { openSource } from './sources/open-source.js';
import { openStateStore } from './state/store.js';

/** The resource that the provisioning service's tokens are for. */
const PROVISIONING_SCOPE = 'https://graph.windows.net/.default';

export interface CreateAgentOptions {
  readonly log: Logger;
  readonly clock?: Clock;
  readonly env?: Readonly<NodeJS.ProcessEnv>;
  /** Takes the place of the configured directories; the demo and tests hand in a lab directory of their own. */
  readonly openSource?: AgentParts['openSource'];
  readonly onProgress?: AgentParts['onProgress'];
}

export interface CreatedAgent {
  readonly agent: Agent;
  readonly hasher: HasherInfo;
  /** True once every object of the connector's directory had been seen. */
  wasSynchronized(connector: string): boolean;
  close(): Promise<void>;
}

/** Throws PhsyncError `config-secret`, `config-ca`, `config-fips`, `state-…`; contacts nobody yet. */
export async function createAgent(config: AgentConfig, options: CreateAgentOptions): Promise<CreatedAgent> {
  const { log, clock = systemClock, env = process.env } = options;
  const { allowMd5InFips } = config;
  const { url, auth } = config.tenant;
  checkFips('the agent', 'MD4, MD5 and RC4', allowMd5InFips);
  const clientSecret = await resolveSecret(auth.clientSecret, 'tenant.auth.clientSecret', env);
  if (options.openSource === undefined) await checkPasswords(config, env);
  const ca = config.tenant.ca === undefined ? {} : { ca: await readCa(config.tenant.ca), caFile: config.tenant.ca };
  const store = openStateStore(config.stateDir);
  const hasher = createHasher({ allowMd5InFips });
  const credentials = createClientCredentials({
    tokenUrl: tokenUrlFor(url),
    clientId: auth.clientId,
    clientSecret,
    scope: PROVISIONING_SCOPE,
    now: () => clock.now(),
    ...ca,
  });
  const client = createProvisioningClient({ url, token: (force) => credentials.token(force), ...ca });
  const agent = new Agent({
    connectors: config.connectors,
    client,
    hasher,
    store,
    clock,
    log,
    openSource:
      options.openSource ?? ((connector, signal) => openSource(connector, { env, log, allowMd5InFips }, signal)),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  });
  return {
    agent,
    hasher: hasher.info,
    wasSynchronized: (connector) => store.connector(connector).fullSyncAt !== undefined,
    async close() {
      store.close();
      await Promise.all([client.close(), credentials.close(), hasher.close()]);
    },
  };
}

/** They are read again at every cycle; a mistake in the configuration shows here, before anything is contacted. */
async function checkPasswords({ connectors }: AgentConfig, env: Readonly<NodeJS.ProcessEnv>): Promise<void> {
  for (const [i, { enabled, directory }] of connectors.entries()) {
    if (!enabled || directory.type !== 'drs' || directory.auth.password === undefined) continue;
    await resolveSecret(directory.auth.password, `connectors[${i}].directory.auth.password`, env);
  }
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** TLS passes over what it cannot read, and would trust nobody. */
async function readCa(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new PhsyncError('config-ca', `tenant.ca: cannot read ${file}: ${code}`, { cause, facts: { file } });
  }
  const certificates = text.match(PEM_CERTIFICATE);
  if (certificates === null) {
    throw new PhsyncError('config-ca', `tenant.ca: ${file} has no PEM certificate in it`, { facts: { file } });
  }
  for (const [i, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw new PhsyncError('config-ca', `tenant.ca: certificate ${i + 1} in ${file} cannot be read`, {
        cause,
        facts: { file },
      });
    }
  }
  return text;
}
