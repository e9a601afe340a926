/** The applications as oidc-provider's clients (OpenID Connect Dynamic Client Registration 1.0, 2: their metadata). */

import { randomBytes } from 'node:crypto';
import type { AllClientMetadata } from 'oidc-provider';
import type { Application, Applications } from './applications.js';

export class ClientAdapter {
  readonly #applications: Applications;
  /** What oidc-provider wants to have as a secret; the comparison is ours. */
  readonly #placeholder = randomBytes(32).toString('base64url');

  constructor(applications: Applications) {
    this.#applications = applications;
  }

  async find(clientId: string): Promise<AllClientMetadata | undefined> {
    const application = this.#applications.find(clientId);
    return application && this.#metadata(application);
  }

  #metadata(application: Application): AllClientMetadata {
    const { clientId, displayName, confidential, redirectUris, postLogoutRedirectUris, idTokenAlgorithm } = application;
    // RFC 8252 7.3: a native application's port on the loopback address is free.
    const native = !confidential && [...redirectUris, ...postLogoutRedirectUris].some((uri) => !/^https:/.test(uri));
    return {
      client_id: clientId,
      client_name: displayName,
      application_type: native ? 'native' : 'web',
      redirect_uris: redirectUris,
      post_logout_redirect_uris: postLogoutRedirectUris,
      id_token_signed_response_alg: idTokenAlgorithm,
      response_types: redirectUris.length === 0 ? [] : ['code'],
      grant_types: [
        ...(redirectUris.length === 0 ? [] : ['authorization_code']),
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:device_code',
      ],
      ...(confidential
        ? { client_secret: this.#placeholder, token_endpoint_auth_method: 'client_secret_post' as const }
        : { token_endpoint_auth_method: 'none' as const }),
    };
  }

  async upsert(): Promise<void> {
    throw new Error('applications stand in the configuration');
  }
  async findByUid(): Promise<undefined> {
    return undefined;
  }
  async findByUserCode(): Promise<undefined> {
    return undefined;
  }
  async consume(): Promise<void> {}
  async destroy(): Promise<void> {}
  async revokeByGrantId(): Promise<void> {}
}
