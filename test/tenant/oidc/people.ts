/** What tests of sign-in share: people with known passwords, and a browser's part of an authorization request. */

import { type Dispatcher, request } from 'undici';
import { parseCredential } from '#src/hasher/credential.js';
import type { UserAttributes } from '#src/tenant/store/changes.js';
import { credentialText, type TestTenant, vectors } from '../harness.js';

export const PASSWORD = vectors[0]!.password;

/** A synchronized person whose password is PASSWORD, or that of another vector. Returns the object id. */
export async function addPerson(
  tenant: Pick<TestTenant, 'store'>,
  name: string,
  more: UserAttributes = {},
  vector = 0,
): Promise<string> {
  const attributes = { userPrincipalName: `${name}@phs.test`, displayName: name, ...more };
  const [outcome] = await tenant.store.applyUsers([{ kind: 'upsert', sourceAnchor: name, attributes }]);
  if (outcome?.status !== 'stored' || outcome.objectId === undefined) throw new Error(`${name} was not stored`);
  const credential = parseCredential(credentialText(vectors[vector]!));
  await tenant.store.applyCredentials(
    [
      {
        sourceAnchor: name,
        objectId: undefined,
        changeDate: new Date(),
        ...credential,
        forcePasswordChangeOnLogon: false,
      },
    ],
    { disableExpiration: true, actor: 'agent-1' },
  );
  return outcome.objectId;
}

export interface BrowserReply {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

interface Cookie {
  readonly value: string;
  readonly path: string;
  readonly persistent: boolean;
  /** Milliseconds since 1970. */
  readonly expires: number | undefined;
}

/** Keeps cookies by their paths, as a browser does, and follows nothing by itself. */
export class Browser {
  readonly #cookies = new Map<string, Cookie>();
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  get(url: string): Promise<BrowserReply> {
    return this.#send(url, {});
  }

  post(url: string, form: Readonly<Record<string, string>>): Promise<BrowserReply> {
    return this.#send(url, {
      method: 'POST',
      body: new URLSearchParams(form).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  }

  /** The Cookie header for this address. */
  cookiesFor(url: string): string {
    const { pathname } = new URL(url);
    return [...this.#cookies]
      .filter(([, { path }]) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`))
      .map(([name, { value }]) => `${name.split('\n')[0]}=${value}`)
      .join('; ');
  }

  cookie(name: string): Cookie | undefined {
    return [...this.#cookies].find(([key]) => key.split('\n')[0] === name)?.[1];
  }

  /** Closes and opens again: what was not persistent is gone. */
  restart(): void {
    for (const [key, { persistent }] of this.#cookies) if (!persistent) this.#cookies.delete(key);
  }

  /** Where a request to this address really goes. */
  protected where(url: string): { readonly url: string; readonly dispatcher: Dispatcher } {
    return { url, dispatcher: this.#dispatcher };
  }

  async #send(url: string, init: { method?: 'POST'; body?: string; headers?: Record<string, string> }) {
    const { url: target, dispatcher } = this.where(url);
    const { statusCode, headers, body } = await request(target, {
      ...init,
      headers: { accept: 'text/html', 'sec-fetch-site': 'same-origin', ...init.headers, cookie: this.cookiesFor(url) },
      dispatcher,
    });
    const text = await body.text();
    const set = headers['set-cookie'] ?? [];
    for (const line of Array.isArray(set) ? set : [set]) this.#keep(line);
    const { location } = headers;
    const absolute = typeof location === 'string' ? new URL(location, url).href : undefined;
    return { status: statusCode, location: absolute, text, headers };
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split(/; */);
    const [name = '', ...value] = pair.split('=');
    const attribute = (wanted: string) =>
      attributes.find((text) => text.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
    const path = attribute('path') ?? '/';
    const expires = attribute('expires');
    const key = `${name}\n${path}`;
    if (expires !== undefined && Date.parse(expires) <= Date.now()) this.#cookies.delete(key);
    else
      this.#cookies.set(key, {
        value: value.join('='),
        path,
        persistent: expires !== undefined,
        expires: expires === undefined ? undefined : Date.parse(expires),
      });
  }
}

/** The fields that a page's form sends by itself. */
export function hiddenFields(html: string): Record<string, string> {
  const fields = html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g);
  return Object.fromEntries([...fields].map(([, name, value]) => [name, value]));
}

/** Follows redirects within the tenant; ends at a page, or at an address elsewhere. */
export async function follow(browser: Browser, tenant: TestTenant, start: BrowserReply): Promise<BrowserReply> {
  let reply = start;
  while (reply.location?.startsWith(tenant.url)) reply = await browser.get(reply.location);
  return reply;
}

/** Fills in the sign-in pages from their first on, to where they lead: back to the application, or to a page. */
export async function signInAt(
  browser: Browser,
  tenant: TestTenant,
  location: string,
  name: string,
  more: Readonly<Record<string, string>> = {},
  { stopAtPassword = false }: { readonly stopAtPassword?: boolean } = {},
): Promise<BrowserReply> {
  const base = location.replace(/(\/sign-in\/[^/]+).*$/, '$1');
  const send = async (step: string, fields: Readonly<Record<string, string>>) => {
    const page = await browser.get(`${base}/${step}`);
    return browser.post(`${base}/${step}`, { ...hiddenFields(page.text), ...fields });
  };
  await follow(browser, tenant, await browser.get(location));
  await send('name', { name: `${name}@phs.test` });
  const done = await send('password', { password: PASSWORD, ...more });
  return stopAtPassword ? done : onward(browser, tenant, done);
}

/** From the answer to a right password to where the pages lead. */
export async function onward(browser: Browser, tenant: TestTenant, done: BrowserReply): Promise<BrowserReply> {
  const last = await follow(browser, tenant, done);
  if (last.location !== undefined) return last;
  // The last page leads on by a link or by itself.
  const link = /(?:href|content)="(?:0;\s*url=)?([^"]*\/oauth2\/[^"]*)"/i.exec(last.text)?.[1];
  return link === undefined ? last : follow(browser, tenant, await browser.get(link.replaceAll('&amp;', '&')));
}
