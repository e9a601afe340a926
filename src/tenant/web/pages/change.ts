/** Changing the password at sign-in: it is temporary, or it has expired. */

import { html } from '../html.js';
import { type Page, renderPage } from '../page.js';
import { account, type FormContext, field, form, notice, type Support, support } from './parts.js';
import { titled } from './sign-in.js';

export type ChangeField = 'old' | 'new' | 'confirm';

export interface ChangePage {
  readonly name: string;
  readonly reason: 'expired' | 'temporary';
  /** About one field, or about none of them. */
  readonly error?: { readonly field?: ChangeField | undefined; readonly message: string } | undefined;
  readonly support?: Support | undefined;
}

const WHY = {
  temporary: 'Your password is temporary, or this is your first sign-in. Choose one that only you know.',
  expired: 'Your password has expired. Choose a new one.',
} as const;

export function changePage(context: FormContext, of: ChangePage): Page {
  const { error } = of;
  const errorOf = (name: ChangeField) => (error?.field === name ? error.message : undefined);
  const focused = error?.field ?? 'old';
  return renderPage({
    title: titled('Change your password', error !== undefined),
    brand: context.brand,
    content: html`<h1>Change your password</h1>
<p class="lead">${WHY[of.reason]}</p>
${error !== undefined && error.field === undefined && notice('bad', error.message)}
${account(of.name, `${context.base}/name`)}
${form(
  `${context.base}/change`,
  context.token,
  html`<input type="text" value="${of.name}" autocomplete="username" readonly hidden>
${field({ name: 'old', label: 'Current password', type: 'password', autocomplete: 'current-password', error: errorOf('old'), focus: focused === 'old' })}
${field({ name: 'new', label: 'New password', type: 'password', autocomplete: 'new-password', error: errorOf('new'), focus: focused === 'new' })}
${field({ name: 'confirm', label: 'New password, once more', type: 'password', autocomplete: 'new-password', error: errorOf('confirm'), focus: focused === 'confirm' })}
<div class="actions"><button type="submit">Change password and sign in</button></div>`,
)}
${of.support !== undefined && support(of.support)}`,
  });
}
