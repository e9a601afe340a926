/** One authorization request that waits for its person (OpenID Connect Core 1.0, 3.1.2.3), as oidc-provider keeps it. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { errors, libraryTime } from '../oidc/library.js';

type ProviderInteraction = Awaited<ReturnType<Provider['interactionDetails']>>;
type ProviderSession = InstanceType<Provider['Session']>;

export interface Interaction {
  readonly uid: string;
  readonly clientId: string;
  /** The application's name, or its client id. */
  readonly application: string;
  readonly flow: 'browser' | 'deviceCode';
  /** select_account: which of the accounts; login: everything else. */
  readonly prompt: string;
  /** Object id of the browser's session. */
  readonly accountId: string | undefined;
  readonly loginHint: string | undefined;
  readonly domainHint: string | undefined;
  /** Where the browser goes on, once there is an answer. */
  readonly returnTo: string | undefined;
  /** Somebody has signed in. */
  finish(accountId: string, remember: boolean): Promise<void>;
  /** The session's account is to be taken as it is. */
  keepAccount(): Promise<void>;
}

/** Undefined: it is over, has timed out, or belongs to another browser. */
export async function findInteraction(
  provider: Provider,
  uid: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Interaction | undefined> {
  let found: ProviderInteraction;
  try {
    found = await provider.interactionDetails(request, response);
  } catch (error) {
    if (error instanceof errors.SessionNotFound) return undefined;
    throw error;
  }
  // The cookie is of this path, so it is; a cookie that somebody put there by hand need not be.
  if (found.uid !== uid) return undefined;
  const text = (name: string) => {
    const value = found.params[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const clientId = text('client_id') ?? '';
  const client = await provider.Client.find(clientId);
  const save = () => found.save(found.exp - libraryTime());
  return {
    uid,
    clientId,
    application: client?.clientName ?? clientId,
    flow: found.deviceCode === undefined ? 'browser' : 'deviceCode',
    prompt: found.prompt.name,
    accountId: found.session?.accountId,
    loginHint: text('login_hint'),
    domainHint: text('domain_hint'),
    returnTo: found.result === undefined ? undefined : found.returnTo,
    async finish(accountId, remember) {
      const session = await provider.Session.get(provider.createContext(request, response));
      await settleSession(session, found, accountId, remember);
      // Who has just signed in has chosen the account as well.
      found.result = {
        ...found.lastSubmission,
        // The password was checked now, and not when the browser comes back: what is revoked in between stays out.
        login: { accountId, remember, amr: ['pwd'], ts: libraryTime() },
        select_account: {},
      };
      await save();
    },
    async keepAccount() {
      found.result = { ...found.lastSubmission, select_account: {} };
      await save();
    },
  };
}

/** Of the browser's session, which may have begun after the interaction, in another window. */
async function settleSession(
  session: ProviderSession,
  interaction: ProviderInteraction,
  accountId: string,
  remember: boolean,
): Promise<void> {
  if (session.accountId !== undefined && session.accountId !== accountId) {
    // oidc-provider would sign the other one out by a form that a script sends, and take its refresh tokens away.
    await session.destroy();
    interaction.session = undefined;
  } else if (session.accountId !== undefined && session.transient && remember) {
    // A session that once ended with the browser would go on doing so.
    session.transient = undefined;
    await session.persist();
  }
}
