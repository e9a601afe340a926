/** What tests of sign-in share: people with known passwords, and a browser's part of an authorization request. */

import { type Agent, request } from 'undici';
import { parseCredential } from '#src/hasher/credential.js';
import type { UserAttributes } from '#src/tenant/store/store.js';
import { credentialText, type TestTenant, vectors } from '../harness.js';

export const PASSWORD = vectors[0]!.password;

/** A synchronized person whose password is PASSWORD. Returns the object id. */
export async function addPerson(tenant: TestTenant, name: string, more: UserAttributes = {}): Promise<string> {
  const attributes = { userPrincipalName: `${name}@phs.test`, displayName: name, ...more };
  const [outcome] = await tenant.store.applyUsers([{ kind: 'upsert', sourceAnchor: name, attributes }]);
  if (outcome?.status !== 'stored' || outcome.objectId === undefined) throw new Error(`${name} was not stored`);
  const credential = parseCredential(credentialText(vectors[0]!));
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
}

/** Keeps cookies by their paths, as a browser does, and follows nothing by itself. */
export class Browser {
  readonly #cookies = new Map<string, Cookie>();
  readonly #dispatcher: Agent;

  constructor(dispatcher: Agent) {
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

  async #send(url: string, init: { method?: 'POST'; body?: string; headers?: Record<string, string> }) {
    const { statusCode, headers, body } = await request(url, {
      ...init,
      headers: { accept: 'text/html', ...init.headers, cookie: this.cookiesFor(url) },
      dispatcher: this.#dispatcher,
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
    else this.#cookies.set(key, { value: value.join('='), path, persistent: expires !== undefined });
  }
}
