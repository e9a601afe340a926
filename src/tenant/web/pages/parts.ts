/** The parts that pages are made of: forms with their token, fields with their error, notices. */

import { type Html, html } from '../html.js';

/** What every page needs: the tenant's name, and where a form of it goes with what. */
export interface PageContext {
  /** The tenant's display name. */
  readonly brand: string;
  /** The application that the person signs in to. */
  readonly application?: string | undefined;
}

export interface FormContext extends PageContext {
  /** `/sign-in/<uid>`, without a slash at its end. */
  readonly base: string;
  /** Shows that the form is ours and of this interaction. */
  readonly token: string;
}

/** What helps whoever is asked for help, and tells nobody else anything. */
export interface Support {
  /** AADSTS number, or an OAuth error's name. */
  readonly code?: string | number | undefined;
  readonly description?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly now: Date;
}

const TOKEN_FIELD = 'token';

export const form = (action: string, token: string, content: Html, tokenField = TOKEN_FIELD): Html =>
  html`<form method="post" action="${action}" novalidate>
<input type="hidden" name="${tokenField}" value="${token}">
${content}
</form>`;

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: 'text' | 'password' | 'email';
  readonly autocomplete: 'username' | 'current-password' | 'new-password' | 'one-time-code' | 'off';
  /** Never of a password. */
  readonly value?: string | undefined;
  readonly hint?: string | undefined;
  readonly error?: string | undefined;
  /** The first field that is wrong, or the first of the page, takes the focus. */
  readonly focus: boolean;
  readonly className?: string;
  readonly maxLength?: number;
}

export function field(of: Field): Html {
  const { name, label, type, autocomplete, value, hint, error, focus, className, maxLength } = of;
  const described = [error !== undefined && `${name}-error`, hint !== undefined && `${name}-hint`].filter(
    (id) => id !== false,
  );
  const keyboard = type === 'password' || autocomplete === 'off' || autocomplete === 'username';
  return html`<div class="field">
<label for="${name}">${label}</label>
<input id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}" required${attribute('value', type === 'password' ? undefined : value)}${attribute('class', className)}${attribute('maxlength', maxLength)}${keyboard && html` autocapitalize="none" spellcheck="false"`}${attribute('aria-describedby', described.length > 0 ? described.join(' ') : undefined)}${error !== undefined && html` aria-invalid="true"`}${focus && html` autofocus`}>
${error !== undefined && html`<p class="error" id="${name}-error">${error}</p>`}
${hint !== undefined && html`<p class="hint" id="${name}-hint">${hint}</p>`}
</div>`;
}

const attribute = (name: 'value' | 'class' | 'maxlength' | 'aria-describedby', value: string | number | undefined) => {
  if (value === undefined) return false;
  // The name is one of ours, but a template takes values only.
  return {
    value: html` value="${value}"`,
    class: html` class="${value}"`,
    maxlength: html` maxlength="${value}"`,
    'aria-describedby': html` aria-describedby="${value}"`,
  }[name];
};

/** `alert`: said by screen readers at once. */
export const notice = (kind: 'bad' | 'warn' | 'good', content: string | Html): Html =>
  html`<div class="notice ${kind}" role="${kind === 'bad' ? 'alert' : 'status'}">${content}</div>`;

export const lead = (application: string | undefined): Html | false =>
  application !== undefined && html`<p class="lead">to continue to <bdi>${application}</bdi></p>`;

export function support({ code, description, correlationId, now }: Support): Html {
  return html`<details>
<summary>Details for support</summary>
<dl>
${code !== undefined && html`<dt>Error</dt><dd>${code}</dd>`}
${description !== undefined && html`<dt>Description</dt><dd>${description}</dd>`}
${correlationId !== undefined && html`<dt>Correlation ID</dt><dd>${correlationId}</dd>`}
<dt>Time</dt><dd><time datetime="${now.toISOString()}">${now.toISOString().slice(0, 19).replace('T', ' ')} UTC</time></dd>
</dl>
</details>`;
}

/** Who is signing in, with the way to be somebody else. */
export const account = (name: string, otherAddress: string): Html =>
  html`<p class="account"><bdi>${name}</bdi> <a href="${otherAddress}">Not you?</a></p>`;
