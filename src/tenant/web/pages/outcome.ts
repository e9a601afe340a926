/** The pages at the end of a sign-in: done, to be done elsewhere, refused, or too late. */

import { html } from '../html.js';
import { type Page, renderPage } from '../page.js';
import { type FormContext, notice, type PageContext, type Support, support } from './parts.js';

/** The browser goes on by itself: a form's answer that redirects out of here would be held against form-action. */
export function donePage({ brand, application }: PageContext, returnTo: string): Page {
  return renderPage({
    title: 'You are signed in',
    brand,
    goOn: returnTo,
    content: html`<h1>You are signed in</h1>
<p class="lead">${application === undefined ? 'Going on.' : html`Taking you back to <bdi>${application}</bdi>.`}</p>
<p><a href="${returnTo}">Go on, if nothing happens</a></p>`,
  });
}

export function federatedPage({ brand }: PageContext, url: string): Page {
  return renderPage({
    title: 'Your organization signs you in',
    brand,
    goOn: url,
    content: html`<h1>Your organization signs you in</h1>
<p class="lead">Taking you to its sign-in page at <bdi>${new URL(url).host}</bdi>.</p>
<p><a href="${url}">Go on, if nothing happens</a></p>`,
  });
}

const REFUSED = {
  50055: { title: 'Your password has to be changed', text: undefined },
  50057: {
    title: 'Your account is turned off',
    text: 'An administrator has disabled this account. Ask your organization’s help desk if you think that is a mistake.',
  },
  50135: {
    title: 'Your account may be at risk',
    // No change of password here: whoever has found the password out could make it theirs.
    text: 'Your password may be known to others, so it cannot be used to sign in. Change it where your organization manages passwords, or ask its help desk to reset it.',
  },
} as const;

/** `message`: what to do, where the number alone does not say it. */
export interface Refused {
  readonly code: keyof typeof REFUSED;
  readonly message: string;
}

export const isRefused = (
  failure: { readonly code?: number | undefined; readonly message: string } | undefined,
): failure is Refused => Object.hasOwn(REFUSED, String(failure?.code));

/** The password was right and does not let its owner in. */
export function refusedPage({ brand, base }: FormContext, { code, message }: Refused, details: Support): Page {
  const { title, text = message } = REFUSED[code];
  return renderPage({
    title: `Error: ${title}`,
    brand,
    content: html`<h1>${title}</h1>
${notice('bad', text)}
<div class="actions"><a class="button quiet" href="${base}/name">Use another account</a></div>
${support(details)}`,
  });
}

export function timedOutPage({ brand }: PageContext, details: Support): Page {
  return renderPage({
    title: 'Error: This sign-in is over',
    brand,
    status: 400,
    content: html`<h1>This sign-in is over</h1>
<p class="lead">It has taken too long, has been finished already, or was begun in another browser. Go back to the application and sign in from there.</p>
${support(details)}`,
  });
}

/** A form that did not come from our page. */
export function foreignFormPage({ brand }: PageContext, details: Support): Page {
  return renderPage({
    title: 'Error: This form was not accepted',
    brand,
    status: 403,
    content: html`<h1>This form was not accepted</h1>
<p class="lead">It did not come from a page of this sign-in, so nothing was done with it. Go back to the application and sign in from there.</p>
${support(details)}`,
  });
}
