/** The form of a token request and the client behind it (RFC 6749 2.3.1, 3.2): secret in the body, or HTTP Basic. */

import type { FastifyRequest } from 'fastify';
import type { Application, Applications } from './applications.js';
import type { AadstsCode } from './oauth-error.js';

export interface Form {
  /** The parameter, where it came once and is not empty (RFC 6749 3.2: repeated ones are not valid). */
  get(name: string): string | undefined;
}

/** The form, with client_id and client_secret from HTTP Basic where they came that way. */
export function formOf(request: FastifyRequest): Form {
  const body = (request.body ?? {}) as Readonly<Record<string, unknown>>;
  const basic = basicCredentials(request.headers.authorization);
  return {
    get(name) {
      const value = basic?.[name] ?? (Object.hasOwn(body, name) ? body[name] : undefined);
      return typeof value === 'string' && value !== '' ? value : undefined;
    },
  };
}

/** The body as it came, repetitions and all. */
export function rawForm(request: FastifyRequest): URLSearchParams {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries((request.body ?? {}) as Record<string, unknown>)) {
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, String(one));
  }
  return form;
}

/** The client, or the AADSTS number of why it is not taken. */
export function authenticateClient(
  form: Form,
  clientId: string,
  applications: Applications,
): Application | { readonly code: AadstsCode } {
  const application = applications.find(clientId);
  if (application === undefined) return { code: 700016 };
  const secret = form.get('client_secret');
  if (!application.confidential && secret === undefined) return application;
  if (!application.confidential) return { code: applications.isListed(clientId) ? 700025 : 700016 };
  if (secret === undefined) return { code: 7000218 };
  return applications.checkSecret(clientId, secret) ? application : { code: 7000215 };
}

function basicCredentials(header: string | undefined): Readonly<Record<string, string>> | undefined {
  if (header === undefined) return undefined;
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header)?.[1];
  if (encoded === undefined) return undefined;
  const [id, ...secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  try {
    return { client_id: decodeFormText(id ?? ''), client_secret: decodeFormText(secret.join(':')) };
  } catch {
    // Not form-encoded: no credentials came.
    return undefined;
  }
}

const decodeFormText = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
