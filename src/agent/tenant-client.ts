/** The tenant's client as the configuration has it: secret, certificates, token. */

import { readCa } from '../config/ca.js';
import { resolveSecret } from '../config/secrets.js';
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
