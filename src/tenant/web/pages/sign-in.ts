/** The pages before somebody is signed in: user name, password, choice of account. */

import { html } from '../html.js';
import { type Page, renderPage } from '../page.js';
import { account, type FormContext, field, form, lead, notice, type Support, support } from './parts.js';

/** Longer than any user principal name that a directory takes: 64 before the @ and 256 in all in Active Directory. */
export const MAX_NAME = 320;

export function namePage(context: FormContext, of: { readonly name?: string; readonly error?: string }): Page {
  return renderPage({
    title: titled('Sign in', of.error !== undefined),
    brand: context.brand,
    content: html`<h1>Sign in</h1>
${lead(context.application)}
${form(
  `${context.base}/name`,
  context.token,
  html`${field({
    name: 'name',
    label: 'User name',
    type: 'text',
    autocomplete: 'username',
    value: of.name,
    error: of.error,
    hint: 'Looks like an email address: name@example.com',
    focus: true,
    maxLength: MAX_NAME,
  })}
<div class="actions"><button type="submit">Next</button></div>`,
)}`,
  });
}

export interface PasswordPage {
  readonly name: string;
  readonly error?: string | undefined;
  /** Of a refusal that is not about what was typed. */
  readonly notice?: string | undefined;
  readonly offerKeep: boolean;
  readonly support?: Support | undefined;
}

export function passwordPage(context: FormContext, of: PasswordPage): Page {
  return renderPage({
    title: titled('Enter your password', of.error !== undefined || of.notice !== undefined),
    brand: context.brand,
    content: html`<h1>Enter your password</h1>
${lead(context.application)}
${of.notice !== undefined && notice('bad', of.notice)}
${account(of.name, `${context.base}/name`)}
${form(
  `${context.base}/password`,
  context.token,
  html`<input type="text" value="${of.name}" autocomplete="username" readonly hidden>
${field({ name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password', error: of.error, focus: true })}
${
  of.offerKeep &&
  html`<div class="check"><input type="checkbox" id="keep" name="keep" value="yes" aria-describedby="keep-hint">
<div><label for="keep">Keep me signed in</label><p class="hint" id="keep-hint">For 180 days in this browser. Not on a computer that others use.</p></div></div>`
}
<div class="actions"><button type="submit">Sign in</button></div>`,
)}
${of.support !== undefined && support(of.support)}`,
  });
}

export function accountPage(context: FormContext, of: { readonly name: string }): Page {
  return renderPage({
    title: 'Choose an account',
    brand: context.brand,
    content: html`<h1>Choose an account</h1>
${lead(context.application)}
${form(
  `${context.base}/account`,
  context.token,
  html`<button class="quiet choice" type="submit" name="choice" value="this" autofocus><bdi>${of.name}</bdi><small>Signed in</small></button>
<button class="quiet choice" type="submit" name="choice" value="other">Use another account</button>`,
)}`,
  });
}

/** A title is what a screen reader says first. */
export const titled = (title: string, wrong: boolean): string => (wrong ? `Error: ${title}` : title);
