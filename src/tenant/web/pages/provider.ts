/** The pages that oidc-provider asks for: device code (RFC 8628), sign-out (RP-Initiated Logout 1.0), errors. */

import { html } from '../html.js';
import { type Page, renderPage } from '../page.js';
import { field, form, notice, type PageContext, type Support, support } from './parts.js';
import { titled } from './sign-in.js';

/** Of oidc-provider's own forms. */
export interface ProviderForm {
  readonly action: string;
  readonly xsrf: string;
}

export function deviceCodePage(
  { brand }: PageContext,
  of: ProviderForm & {
    readonly code?: string | undefined;
    readonly error?: string | undefined;
    readonly notice?: string;
  },
): Page {
  return renderPage({
    title: titled('Enter the code', of.error !== undefined),
    brand,
    content: html`<h1>Enter the code</h1>
<p class="lead">that your app or device shows.</p>
${of.notice !== undefined && notice('good', of.notice)}
${form(
  of.action,
  of.xsrf,
  html`${field({ name: 'user_code', label: 'Code', type: 'text', autocomplete: 'off', value: of.code, error: of.error, focus: true, className: 'code', maxLength: 64 })}
<div class="actions"><button type="submit">Next</button></div>`,
  'xsrf',
)}
${notice('warn', 'Only enter a code that you see on a device in front of you. Nobody from support will ever send you one.')}`,
  });
}

export function deviceConfirmPage(
  { brand, application }: PageContext,
  of: ProviderForm & { readonly code: string; readonly address?: string | undefined },
): Page {
  return renderPage({
    title: `Sign in to ${application ?? 'an application'} on another device?`,
    brand,
    content: html`<h1>Sign in to <bdi>${application}</bdi> on another device?</h1>
<p class="lead">The device shows this code:</p>
<strong class="device-code">${of.code}</strong>
${notice(
  'warn',
  html`Go on only if you started this yourself and the code is the same. It signs in the device, not this browser, and whoever holds the device acts in your name.${of.address !== undefined && html` It asked from the address <bdi>${of.address}</bdi>.`}`,
)}
${form(
  of.action,
  of.xsrf,
  html`<input type="hidden" name="user_code" value="${of.code}">
<div class="actions"><button type="submit" name="confirm" value="yes">Continue</button><button class="quiet" type="submit" name="abort" value="yes">Cancel</button></div>`,
  'xsrf',
)}`,
  });
}

export function deviceDonePage({ brand, application }: PageContext): Page {
  return renderPage({
    title: 'You are signed in on your device',
    brand,
    content: html`<h1>You are signed in on your device</h1>
<p class="lead">${application === undefined ? 'It' : html`<bdi>${application}</bdi>`} goes on by itself in a moment. You can close this window.</p>`,
  });
}

export function signOutPage(
  { brand, application }: PageContext,
  of: ProviderForm & { readonly name?: string | undefined; readonly returnTo?: string | undefined },
): Page {
  return renderPage({
    title: 'Sign out?',
    brand,
    formTargets: of.returnTo === undefined ? [] : [of.returnTo],
    content: html`<h1>Sign out?</h1>
<p class="lead">${application === undefined ? 'You' : html`<bdi>${application}</bdi> asks to sign you out. You`} will be signed out of every application in this browser that you signed in to here.</p>
${of.name !== undefined && html`<p class="account"><bdi>${of.name}</bdi></p>`}
${form(
  of.action,
  of.xsrf,
  html`<div class="actions"><button type="submit" name="logout" value="yes" autofocus>Sign out</button><button class="quiet" type="submit">Stay signed in</button></div>`,
  'xsrf',
)}`,
  });
}

/** `returnTo`: the browser goes on there. */
export function signedOutPage({ brand, application }: PageContext, returnTo?: string): Page {
  return renderPage({
    title: 'You are signed out',
    brand,
    ...(returnTo === undefined ? {} : { goOn: returnTo }),
    content: html`<h1>You are signed out</h1>
${
  returnTo === undefined
    ? html`<p class="lead">You can close this window.</p>`
    : html`<p class="lead">Taking you back to <bdi>${application}</bdi>.</p><p><a href="${returnTo}">Go on, if nothing happens</a></p>`
}`,
  });
}

const ERRORS: Readonly<Record<string, { readonly title: string; readonly text: string }>> = {
  invalid_client: {
    title: 'This application is not known here',
    text: 'Ask whoever runs the application: it is not registered with this tenant, or no longer.',
  },
  invalid_redirect_uri: {
    title: 'This application asks for a way back that is not its own',
    text: 'The address to return to is not registered for the application, so nobody is sent there. Ask whoever runs it.',
  },
  unknown_tenant: {
    title: 'There is no such tenant here',
    text: 'The address names a tenant or domain that this server does not serve. Check it, or ask whoever runs the application.',
  },
  session_over: {
    title: 'This sign-in is over',
    text: 'It has taken too long, or has been finished already. Go back to the application and sign in from there.',
  },
  too_many_requests: {
    title: 'Too many requests',
    text: 'Your network has sent too many of them. Wait a minute and try again.',
  },
  temporarily_unavailable: { title: 'This is busy just now', text: 'Try again in a moment.' },
  server_error: {
    title: 'This went wrong on our side',
    text: 'Try again in a moment. If it stays like this, hand the details below to your help desk.',
  },
};

/** `error`: OAuth's name for it, or one of ours. */
export function errorPage(
  { brand }: PageContext,
  of: { readonly error: string; readonly status: number; readonly support: Support },
): Page {
  const { title, text } = (Object.hasOwn(ERRORS, of.error) ? ERRORS[of.error] : undefined) ?? {
    title: 'This request cannot be carried out',
    text: 'The application asked for something that is not possible. Go back to it and try again, or ask whoever runs it.',
  };
  return renderPage({
    title: `Error: ${title}`,
    brand,
    status: of.status,
    content: html`<h1>${title}</h1>
<p class="lead">${text}</p>
${support(of.support)}`,
  });
}
