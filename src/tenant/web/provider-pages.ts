/** The pages that oidc-provider shows by itself (device code, sign-out, errors), as parts of its configuration. */

import type { Middleware } from 'koa';
import type { Configuration, ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import type { TenantContext } from '../context.js';
import { correlationIdOf } from '../oidc/oauth-error.js';
import { nameOfAccount } from './directory.js';
import type { Page } from './page.js';
import type { PageContext, Support } from './pages/parts.js';
import {
  deviceCodePage,
  deviceConfirmPage,
  deviceDonePage,
  errorPage,
  signedOutPage,
  signOutPage,
} from './pages/provider.js';

type Features = NonNullable<Configuration['features']>;
type DeviceFlow = NonNullable<Features['deviceFlow']>;
type Logout = NonNullable<Features['rpInitiatedLogout']>;

export interface ProviderPages {
  readonly renderError: NonNullable<Configuration['renderError']>;
  /** To be spread into `features.deviceFlow`. */
  readonly deviceFlow: Required<Pick<DeviceFlow, 'userCodeInputSource' | 'userCodeConfirmSource' | 'successSource'>>;
  /** To be spread into `features.rpInitiatedLogout`. */
  readonly rpInitiatedLogout: Required<Pick<Logout, 'logoutSource' | 'postLogoutSuccessSource'>>;
  /** Where an address names a tenant that this is not. */
  unknownTenant(correlationId: string): Page;
  /** For `provider.use()`: puts pages of ours where the provider would send forms off by a script. */
  readonly middleware: Middleware;
}

/** By the names of oidc-provider's errors on a user code. */
const CODE_ERRORS: Readonly<Record<string, string>> = {
  NoCodeError: 'Enter the code.',
  NotFoundError: 'There is no such code. Look at it once more.',
  ExpiredError: 'This code has expired. Ask the device for a new one.',
  AlreadyUsedError: 'This code has been used already. Ask the device for a new one.',
};

/** Of oidc-provider's routes those that browsers are sent to. */
const isForPeople = (route: string) =>
  /^(authorization|resume|code_verification|device_resume|end_session)/.test(route);

/** oidc-provider's name for a cookie or a request that is gone. */
const sessionIsOver = (error: Error) => error.name === 'SessionNotFound';

export function createProviderPages(context: TenantContext): ProviderPages {
  const page = (application?: string): PageContext => ({ brand: context.displayName, application });
  const put = (ctx: KoaContextWithOIDC, { status, headers, body }: Page) => {
    ctx.status = status;
    ctx.set({ ...headers });
    ctx.body = body;
  };
  const support = (ctx: KoaContextWithOIDC, out?: ErrorOut): Support => ({
    code: out?.error,
    description: out?.error_description,
    correlationId: ctx.response.get('client-request-id') || correlationIdOf(ctx.headers),
    now: context.now(),
  });
  const applicationOf = (ctx: KoaContextWithOIDC) => ctx.oidc.client?.clientName ?? ctx.oidc.client?.clientId;
  const xsrf = (ctx: KoaContextWithOIDC) => String(ctx.oidc.session?.state?.secret ?? '');

  const deviceCode = (ctx: KoaContextWithOIDC, code: string | undefined, error?: Error) =>
    put(
      ctx,
      deviceCodePage(page(), {
        action: ctx.oidc.urlFor('code_verification'),
        xsrf: xsrf(ctx),
        code,
        ...(error?.name === 'AbortedError'
          ? { notice: 'Nobody was signed in. You can close this window, or enter another code.' }
          : { error: error && (CODE_ERRORS[error.name] ?? 'That did not work. Enter the code once more.') }),
      }),
    );

  /** Nobody is signed in, so nothing is left to confirm. */
  const signedOutAlready = (ctx: KoaContextWithOIDC) => {
    const { post_logout_redirect_uri: uri, state } = ctx.oidc.params ?? {};
    if (typeof uri !== 'string') return put(ctx, signedOutPage(page()));
    const returnTo = new URL(uri);
    if (typeof state === 'string') returnTo.searchParams.set('state', state);
    return put(ctx, signedOutPage(page(applicationOf(ctx)), returnTo.href));
  };

  return {
    renderError(ctx, out, error) {
      // A program that takes HTML as well is a program all the same.
      if (!isForPeople(ctx.oidc.route)) {
        ctx.body = out;
        return;
      }
      const over = sessionIsOver(error);
      put(
        ctx,
        errorPage(page(), {
          error: over ? 'session_over' : out.error,
          status: ctx.status >= 400 ? ctx.status : 400,
          support: support(ctx, out),
        }),
      );
    },
    deviceFlow: {
      userCodeInputSource(ctx, _form, _out, error) {
        const { session } = ctx.oidc;
        // After an error the form's secret comes too late for a session that is not kept yet: oidc-provider would fail on
        // it. So the person, whose session has ended, begins with a form of a new one.
        if (error !== undefined && session !== undefined && session.exp === undefined) {
          Object.assign(session, { touched: false });
          ctx.status = 303;
          ctx.redirect(ctx.oidc.urlFor('code_verification'));
          return;
        }
        const code = error !== undefined && 'userCode' in error ? error.userCode : undefined;
        deviceCode(ctx, typeof code === 'string' ? code : undefined, error);
      },
      userCodeConfirmSource(ctx, _form, client, deviceInfo, userCode) {
        const { ip } = deviceInfo;
        put(
          ctx,
          deviceConfirmPage(page(client.clientName ?? client.clientId), {
            action: ctx.oidc.urlFor('code_verification'),
            xsrf: xsrf(ctx),
            code: userCode,
            address: typeof ip === 'string' ? ip : undefined,
          }),
        );
      },
      successSource(ctx) {
        put(ctx, deviceDonePage(page(applicationOf(ctx))));
      },
    },
    rpInitiatedLogout: {
      async logoutSource(ctx) {
        const { accountId } = ctx.oidc.session ?? {};
        const { post_logout_redirect_uri: uri } = ctx.oidc.params ?? {};
        put(
          ctx,
          signOutPage(page(applicationOf(ctx)), {
            action: ctx.oidc.urlFor('end_session_confirm'),
            xsrf: xsrf(ctx),
            name: accountId && (await nameOfAccount(context.store.database, accountId)),
            returnTo: typeof uri === 'string' ? uri : undefined,
          }),
        );
      },
      postLogoutSuccessSource(ctx) {
        put(ctx, signedOutPage(page(applicationOf(ctx))));
      },
    },
    unknownTenant: (correlationId) =>
      errorPage(page(), {
        error: 'unknown_tenant',
        status: 400,
        support: { code: 90002, correlationId, now: context.now() },
      }),
    async middleware(ctx, next) {
      // For the one page that stays: response_mode=form_post sends itself off, by a script whose digest the provider adds.
      ctx.set({
        'content-security-policy': "default-src 'none'; script-src; base-uri 'none'",
        'referrer-policy': 'same-origin',
      });
      await next();
      const { oidc } = ctx as unknown as Partial<KoaContextWithOIDC>;
      if (oidc === undefined || ctx.status !== 200) return;
      const known = ctx as unknown as KoaContextWithOIDC;
      const { user_code: code } = oidc.params ?? {};
      if (oidc.route === 'code_verification' && ctx.method === 'GET' && typeof code === 'string')
        deviceCode(known, code);
      if (oidc.route === 'end_session' && oidc.session?.accountId === undefined) signedOutAlready(known);
    },
  };
}
