/** A browser reduced to what the forms' safety rests on: cookies, forms and headers that a test may set as it likes. */

import { request } from 'undici';
import type { TestTenant } from '../harness.js';

export interface FormReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly location: string | undefined;
}

export class FormClient {
  /** By name; the paths of the tenant's cookies do not overlap within one sign-in. */
  readonly cookies = new Map<string, string>();
  #tenant: TestTenant;

  constructor(tenant: TestTenant) {
    this.#tenant = tenant;
  }

  /** The next requests go to another process of the same tenant, under the same name. */
  moveTo(tenant: TestTenant): void {
    this.#tenant = tenant;
  }

  get(address: string, headers: Readonly<Record<string, string>> = {}): Promise<FormReply> {
    return this.#send('GET', address, headers);
  }

  /** As a browser sends a form of the page, unless `headers` say otherwise. */
  post(
    address: string,
    fields: Readonly<Record<string, string>> | string,
    headers: Readonly<Record<string, string | undefined>> = {},
  ): Promise<FormReply> {
    const sent = { origin: this.#tenant.url, 'sec-fetch-site': 'same-origin', ...headers };
    const given = Object.fromEntries(Object.entries(sent).filter((entry): entry is [string, string] => !!entry[1]));
    const body = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString();
    return this.#send('POST', address, { 'content-type': 'application/x-www-form-urlencoded', ...given }, body);
  }

  /** Follows an authorization request to its sign-in page. Returns the interaction's address and the forms' token. */
  async begin(authorizationUrl: string): Promise<{ readonly base: string; readonly token: string }> {
    const { location = '' } = await this.get(authorizationUrl);
    const page = await this.get(`${location}/name`);
    return { base: location, token: tokenOf(page) };
  }

  async #send(
    method: 'GET' | 'POST',
    address: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<FormReply> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    // A name that many processes may share stands for each of them.
    const { pathname, search } = new URL(address, this.#tenant.url);
    const reply = await request(new URL(pathname + search, `https://127.0.0.1:${this.#tenant.port}`), {
      method,
      dispatcher: this.#tenant.dispatcher,
      headers: { accept: 'text/html', ...(cookie === '' ? {} : { cookie }), ...headers },
      ...(body === undefined ? {} : { body }),
    });
    for (const line of [reply.headers['set-cookie'] ?? []].flat()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (/max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) this.cookies.delete(name!);
      else this.cookies.set(name!, value!);
    }
    const { location } = reply.headers;
    return {
      status: reply.statusCode,
      headers: reply.headers,
      text: await reply.body.text(),
      location: typeof location === 'string' ? location : undefined,
    };
  }
}

export function tokenOf({ text }: FormReply): string {
  const token = /<input type="hidden" name="token" value="([\w-]+)">/.exec(text)?.[1];
  if (token === undefined) throw new Error('a page without a form');
  return token;
}
