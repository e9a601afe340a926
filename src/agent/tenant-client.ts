/** The tenant's client as the configuration has it: secret, certificates, token. */

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileErrorText } from '../config/file-error.js';
import { resolveSecret } from '../config/secrets.js';
import { PhsyncError } from '../hasher/errors.js';
import { createProvisioningClient, type ProvisioningClient } from '../provisioning/client.js';
import { type ClientCredentials, createClientCredentials, tokenUrlFor } from '../provisioning/client-credentials.js';
import type { ProxySettings } from '../provisioning/http.js';
import type { Clock } from './clock.js';
import type { AgentConfig } from './config.js';

/** The resource that the provisioning service's tokens are for. */
const PROVISIONING_SCOPE = 'https://graph.windows.net/.default';

export interface TenantConnection {
  readonly ca?: string;
  readonly caFile?: string;
  readonly proxy: ProxySettings | undefined;
}

export interface OpenTenantClient {
  readonly client: ProvisioningClient;
  readonly credentials: ClientCredentials;
  /** How it is reached, for other clients of the same tenant. */
  readonly connection: TenantConnection;
  close(): Promise<void>;
}

/**
 * Contacts nobody yet. Goes through `tenant.proxy` alone: HTTPS_PROXY and the like say what a shell's user wants, and a
 * service that sends credentials takes its way from its configuration.
 * @throws PhsyncError `config-secret`, `config-ca`
 */
export async function openTenantClient(
  { url, ca: caFile, auth, proxy: proxyConfig }: AgentConfig['tenant'],
  { env, clock }: { readonly env: Readonly<NodeJS.ProcessEnv>; readonly clock: Clock },
): Promise<OpenTenantClient> {
  const clientSecret = await resolveSecret(auth.clientSecret, 'tenant.auth.clientSecret', env);
  const ca = caFile === undefined ? {} : { ca: await readCa(caFile), caFile };
  const proxy = proxyConfig && {
    url: proxyConfig.url,
    user: proxyConfig.user,
    password: proxyConfig.password && (await resolveSecret(proxyConfig.password, 'tenant.proxy.password', env)),
  };
  const now = () => clock.now();
  const credentials = createClientCredentials({
    tokenUrl: tokenUrlFor(url),
    clientId: auth.clientId,
    clientSecret,
    scope: PROVISIONING_SCOPE,
    now,
    proxy,
    ...ca,
  });
  const client = createProvisioningClient({ url, token: (force) => credentials.token(force), now, proxy, ...ca });
  return {
    client,
    credentials,
    connection: { ...ca, proxy },
    async close() {
      await Promise.all([client.close(), credentials.close()]);
    },
  };
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** PEM certificates of a file that `key` names. TLS passes over what it cannot read, and would trust nobody. @throws PhsyncError `config-ca` */
export async function readCa(file: string, key = 'tenant.ca'): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const reason = fileErrorText(cause);
    throw new PhsyncError('config-ca', `${key}: cannot read ${file}: ${reason}`, { cause, facts: { file } });
  }
  const certificates = text.match(PEM_CERTIFICATE);
  if (certificates === null) {
    throw new PhsyncError('config-ca', `${key}: ${file} has no PEM certificate in it`, { facts: { file } });
  }
  for (const [i, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw new PhsyncError('config-ca', `${key}: certificate ${i + 1} in ${file} cannot be read`, {
        cause,
        facts: { file },
      });
    }
  }
  return text;
}
