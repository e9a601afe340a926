/** The sign-in page's side of an authorization request (OpenID Connect Core 3.1.2.3): what is asked for, and its answer. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { errors, type InteractionResults, type Provider } from 'oidc-provider';

/**
 * Where a person is sent to sign in: `/{tenant id}/login/{uid}`. The interaction's cookie is bound to that path, so the
 * page and all its steps (`…/{uid}/change`) lie below it, and two tabs do not disturb each other.
 */
export const loginPath = (tenantId: string, uid: string) => `/${tenantId}/login/${uid}`;

export interface InteractionDetails {
  readonly uid: string;
  /** Why the person is asked: no session yet, `prompt=login`, `max_age`, `prompt=select_account`, … (Core 3.1.2.1). */
  readonly reasons: readonly string[];
  readonly clientId: string;
  /** The application's name; its client id where it has none. */
  readonly clientName: string;
  readonly flow: 'browser' | 'deviceCode';
  /** `login_hint`: a user principal name, as the application wrote it. Untrusted. */
  readonly loginHint: string | undefined;
  /** `domain_hint`, untrusted. */
  readonly domainHint: string | undefined;
  /** Object id of who is signed in in this browser and is asked again. */
  readonly signedIn: string | undefined;
  /** Until then it can be answered. */
  readonly expires: Date;
}

export interface SignedIn {
  readonly objectId: string;
  /** *Keep me signed in*: a cookie of 180 days; otherwise one that ends with the browser. */
  readonly remember: boolean;
  /** Authentication methods (RFC 8176); default `pwd`. */
  readonly methods?: readonly string[];
}

/** All take the raw request and response: the interaction is known by its cookie alone. */
export interface Interactions {
  /** Undefined: the cookie or the request is gone (after an hour, or finished in another tab). */
  details(request: IncomingMessage, response: ServerResponse): Promise<InteractionDetails | undefined>;
  /** Answers it. Returns the address to send the browser to (303), or undefined as above. */
  signedIn(request: IncomingMessage, response: ServerResponse, result: SignedIn): Promise<string | undefined>;
  /** *Cancel*: the application hears `access_denied`. Returns the address, or undefined as above. */
  cancelled(request: IncomingMessage, response: ServerResponse): Promise<string | undefined>;
}

/** `clientName` tells an application's name by its id. */
export function createInteractions(
  provider: () => Promise<Provider>,
  clientName: (clientId: string) => string | undefined,
): Interactions {
  const unlessGone = async <T>(work: (provider: Provider) => Promise<T>): Promise<T | undefined> => {
    try {
      return await work(await provider());
    } catch (error) {
      if (error instanceof errors.SessionNotFound) return undefined;
      throw error;
    }
  };
  const finish = (request: IncomingMessage, response: ServerResponse, result: InteractionResults) =>
    unlessGone((known) => known.interactionResult(request, response, result, { mergeWithLastSubmission: false }));
  return {
    details: (request, response) =>
      unlessGone(async (known) => {
        const { uid, prompt, params, session, deviceCode, exp } = await known.interactionDetails(request, response);
        const text = (name: string) => (typeof params[name] === 'string' ? params[name] : undefined);
        const clientId = text('client_id') ?? '';
        return {
          uid,
          reasons: prompt.reasons,
          clientId,
          clientName: clientName(clientId) ?? clientId,
          flow: deviceCode === undefined ? 'browser' : 'deviceCode',
          loginHint: text('login_hint'),
          domainHint: text('domain_hint'),
          signedIn: session?.accountId,
          expires: new Date(exp * 1000),
        };
      }),
    signedIn: (request, response, { objectId, remember, methods = ['pwd'] }) =>
      finish(request, response, {
        login: { accountId: objectId, remember, amr: [...methods] },
        // Whoever has just signed in has also chosen the account.
        select_account: {},
      }),
    cancelled: (request, response) =>
      finish(request, response, {
        error: 'access_denied',
        error_description: 'The person cancelled the sign-in.',
      }),
  };
}
