/** OAuth 2.0 client credentials (RFC 6749, 4.4): the agent's token for the provisioning service. */

import type { Dispatcher } from 'undici';

export interface ClientCredentialsOptions {
  /** `https://host/{tenant | organizations}/oauth2/v2.0/token` */
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string | (() => Promise<string> | string);
  readonly scope?: string;
  readonly dispatcher?: Dispatcher;
  readonly ca?: string | Buffer;
  readonly timeoutMs?: number;
  /** Milliseconds since the epoch, default Date.now. */
  readonly now?: () => number;
}

/** `token` fits ProvisioningClientOptions.token. */
export interface ClientCredentials {
  /**
   * The cached token until 60 s before its end, else a new one; calls at the same time share one request.
   * @throws PhsyncError `token-refused` (facts error, errorCodes), `token-unreachable`, `token-timeout`, `token-tls`,
   *   `token-bad-reply`
   */
  token(forceRefresh?: boolean): Promise<string>;
  close(): Promise<void>;
}

/** The token endpoint of a provisioning service that runs beside it: same origin, tenant `organizations`. */
export declare function tokenUrlFor(provisioningUrl: string, tenant?: string): string;
export declare function createClientCredentials(options: ClientCredentialsOptions): ClientCredentials;
