/** The tenant's OpenID Connect, put together: keys, applications, tokens, oidc-provider and their endpoints. */

import { createHmac } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Provider } from 'oidc-provider';
import { issuerOf, type TenantContext } from '../context.js';
import type { SignIn } from '../sign-in/types.js';
import { readDigestKey } from '../store/digest-key.js';
import { type AgentTokenResult, createAccessTokens, verifyAgentToken, verifyReaderToken } from './access-tokens.js';
import { Accounts } from './accounts.js';
import { Applications, type ApplicationsOptions } from './applications.js';
import type { AccessTokens } from './caller.js';
import { createHandOver } from './hand-over.js';
import { registerMetadataEndpoints } from './metadata-endpoints.js';
import { checkApplications, createProvider, type ProviderPages } from './provider.js';
import { registerProviderEndpoints } from './provider-endpoints.js';
import { Signer } from './signatures.js';
import { SigningKeys } from './signing-keys.js';
import { registerTokenEndpoint } from './token-endpoint.js';
import { Tokens } from './tokens.js';
import { registerUserinfoEndpoint } from './userinfo-endpoint.js';

export interface OidcOptions extends ApplicationsOptions {
  readonly context: TenantContext;
  readonly signIn: SignIn;
  /** User principal names. */
  readonly administrators: readonly string[];
  /** Where versions before kept the signing key. */
  readonly formerKeyFile: string;
  readonly interactionPath: (uid: string) => string;
  readonly pages: ProviderPages;
}

export interface Oidc {
  readonly accessTokens: AccessTokens;
  /** An agent's token, of an agent that still stands in the configuration. */
  verifyAgentToken(token: string): Promise<AgentTokenResult>;
  /** The same of a reader of Domain Services' feed. */
  verifyReaderToken(token: string): Promise<AgentTokenResult>;
  /** Once the server listens. Another one when the keys have changed. */
  readonly provider: () => Provider;
  register(server: FastifyInstance): void;
  close(): Promise<void>;
}

/** @throws PhsyncError `config-application`, `token-key`, `store-busy`, `store-failed`. */
export async function createOidc(options: OidcOptions): Promise<Oidc> {
  const { context, signIn, administrators, formerKeyFile, interactionPath, pages } = options;
  const { store, now, log } = context;
  const keys = await SigningKeys.open({
    database: store.database,
    now,
    formerFile: formerKeyFile,
    onEarlyKey: ({ kid, alg, activeFrom }) =>
      log.warn(
        { kid, alg, activeFrom: new Date(activeFrom), now: now() },
        'a signing key signs before its time, since no other is there: compare the clock here with that of the machine that made it',
      ),
  });
  const applications = new Applications(options);
  const accounts = new Accounts(store.database, administrators);
  const tokenOptions = { keys, tenantId: store.tenantId, issuer: () => issuerOf(context), now };
  const signer = new Signer();
  const tokens = new Tokens({ ...tokenOptions, sign: (alg, key, input) => signer.sign(alg, key, input) });
  const accessTokens = createAccessTokens({ ...tokenOptions, accounts });
  const cookieKey = await derivedKey(context, 'oidc cookies');

  const providerOptions = { context, applications, accounts, keys, signIn, cookieKey, interactionPath, pages };
  await checkApplications(providerOptions);
  let current: Provider | undefined;
  keys.onChange(() => {
    current = undefined;
  });
  const provider = () => {
    current ??= createProvider(providerOptions);
    return current;
  };
  keys.watch((err) => log.error({ err }, 'signing keys could not be read'));
  const handOver = createHandOver({ context, applications, provider });

  return {
    accessTokens,
    async verifyAgentToken(token) {
      const checked = await verifyAgentToken(accessTokens, token);
      // Its token outlives an agent that was taken out of the configuration.
      return checked.ok && !applications.isAgent(checked.clientId) ? { ok: false, reason: 'invalid' } : checked;
    },
    async verifyReaderToken(token) {
      const checked = await verifyReaderToken(accessTokens, token);
      return checked.ok && !applications.isReader(checked.clientId) ? { ok: false, reason: 'invalid' } : checked;
    },
    provider,
    register(server) {
      registerTokenEndpoint(server, { context, applications, accounts, tokens, signIn, provider, handOver });
      registerProviderEndpoints(server, { context, handOver, unknownTenant: pages.unknownTenant });
      registerMetadataEndpoints(server, { context, signIn });
      registerUserinfoEndpoint(server, { tenantId: store.tenantId, accounts, accessTokens });
    },
    close() {
      keys.stop();
      return signer.close();
    },
  };
}

/** The same in every process of the tenant, and of no use for anything else. */
async function derivedKey({ store }: TenantContext, purpose: string): Promise<string> {
  return createHmac('sha256', await readDigestKey(store.database))
    .update(purpose)
    .digest('base64url');
}
