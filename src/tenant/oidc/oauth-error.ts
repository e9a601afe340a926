/** Token endpoint errors: RFC 6749 5.2 in Entra's shape, with AADSTS codes as its reference of error codes names them. */

import { randomUUID } from 'node:crypto';

type OAuthErrorName =
  | 'access_denied'
  | 'authorization_declined'
  | 'authorization_pending'
  | 'expired_token'
  | 'invalid_scope'
  | 'login_required'
  | 'unsupported_response_type'
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_resource'
  | 'unauthorized_client'
  | 'unsupported_grant_type';

interface Definition {
  readonly error: OAuthErrorName;
  readonly status: 400 | 401;
  readonly text: (subject: string, address: string) => string;
}

/** By AADSTS number. `subject` is what the request named: a parameter, a client, a tenant; `address` a redirect URI. */
const definitions = {
  50034: {
    error: 'invalid_grant',
    status: 400,
    text: (tenant) => `The user account does not exist in the ${tenant} directory.`,
  },
  50053: {
    error: 'invalid_grant',
    status: 400,
    text: () =>
      'The account is locked, you tried to sign in too many times with an incorrect user ID or password. Try again later.',
  },
  50055: { error: 'invalid_grant', status: 400, text: () => 'The password is expired.' },
  50056: {
    error: 'invalid_grant',
    status: 400,
    text: () => 'Invalid or null password: password does not exist in the directory for this user.',
  },
  50057: { error: 'invalid_grant', status: 400, text: () => 'The user account is disabled.' },
  50126: {
    error: 'invalid_grant',
    status: 400,
    text: () => 'Error validating credentials due to invalid username or password.',
  },
  50135: { error: 'invalid_grant', status: 400, text: () => 'Password change is required due to account risk.' },
  70003: {
    error: 'unsupported_grant_type',
    status: 400,
    text: (type) => `The app requested an unsupported grant type '${type}'.`,
  },
  90002: { error: 'invalid_request', status: 400, text: (tenant) => `Tenant '${tenant}' not found.` },
  90013: { error: 'invalid_request', status: 400, text: () => 'Invalid input received from the user.' },
  500011: {
    error: 'invalid_resource',
    status: 400,
    text: (resource) => `The resource principal named ${resource} was not found in the tenant.`,
  },
  700016: {
    error: 'unauthorized_client',
    status: 400,
    text: (client) => `Application with identifier '${client}' was not found in the directory.`,
  },
  900144: {
    error: 'invalid_request',
    status: 400,
    text: (name) => `The request body must contain the following parameter: '${name}'.`,
  },
  7000215: {
    error: 'invalid_client',
    status: 401,
    text: (client) => `Invalid client secret provided for app '${client}'.`,
  },
  7000218: {
    error: 'invalid_client',
    status: 401,
    text: () => `The request body must contain the following parameter: 'client_assertion' or 'client_secret'.`,
  },
  50011: {
    error: 'invalid_request',
    status: 400,
    text: (client, address) =>
      `The redirect URI '${address}' specified in the request does not match the redirect URIs configured for the application '${client}'.`,
  },
  50058: {
    error: 'login_required',
    status: 400,
    text: () => 'A silent sign-in request was sent but no user is signed in.',
  },
  50173: {
    error: 'invalid_grant',
    status: 400,
    text: () => 'The provided grant has expired due to it being revoked, a fresh auth token is needed.',
  },
  54005: {
    error: 'invalid_grant',
    status: 400,
    text: () =>
      'OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.',
  },
  65001: {
    error: 'invalid_grant',
    status: 400,
    text: (client) =>
      `The user or administrator has not consented to use the application with ID '${client}' for the requested scopes.`,
  },
  65004: { error: 'access_denied', status: 400, text: () => 'User declined to consent to access the app.' },
  70000: { error: 'invalid_grant', status: 400, text: () => 'Provided grant is invalid or malformed.' },
  70001: {
    error: 'unauthorized_client',
    status: 400,
    text: (client) => `The application '${client}' is not authorized to use this grant.`,
  },
  70008: {
    error: 'invalid_grant',
    status: 400,
    text: () =>
      'The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.',
  },
  70011: {
    error: 'invalid_scope',
    status: 400,
    text: (scope) =>
      `The provided value for the input parameter 'scope' is not valid. The scope '${scope}' is not valid.`,
  },
  70016: {
    error: 'authorization_pending',
    status: 400,
    text: () => 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.',
  },
  70017: {
    error: 'authorization_declined',
    status: 400,
    text: () => 'OAuth 2.0 device flow error. The end user denied the authorization request.',
  },
  70020: {
    error: 'expired_token',
    status: 400,
    text: () => `The provided value for the input parameter 'device_code' is not valid. This device code has expired.`,
  },
  500112: {
    error: 'invalid_grant',
    status: 400,
    text: () => 'The reply address does not match the reply address provided when requesting the authorization code.',
  },
  501481: {
    error: 'invalid_grant',
    status: 400,
    text: () => 'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
  },
  700025: {
    error: 'invalid_client',
    status: 401,
    text: () => `Client is public so neither 'client_assertion' nor 'client_secret' should be presented.`,
  },
  700054: {
    error: 'unsupported_response_type',
    status: 400,
    text: (client) => `The response_type is not enabled for the application '${client}'.`,
  },
  700082: {
    error: 'invalid_grant',
    status: 400,
    text: () => 'The refresh token has expired due to inactivity.',
  },
  9002325: {
    error: 'invalid_request',
    status: 400,
    text: () => 'Proof Key for Code Exchange is required for authorization code redemption.',
  },
} as const satisfies Readonly<Record<number, Definition>>;

export type AadstsCode = keyof typeof definitions;

/** The reply's body. Names are the wire's. */
export interface OAuthErrorBody {
  readonly error: OAuthErrorName;
  readonly error_description: string;
  readonly error_codes: readonly number[];
  readonly timestamp: string;
  readonly trace_id: string;
  readonly correlation_id: string;
  readonly error_uri: string;
}

/** Longer than any name that can be right; what is echoed is cut here. */
const MAX_ECHO = 128;
const MAX_ECHO_ADDRESS = 512;

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The client's `client-request-id` where it is a GUID, else a new one. */
export function correlationIdOf(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  const given = headers['client-request-id'];
  return typeof given === 'string' && GUID.test(given) ? given.toLowerCase() : randomUUID();
}

/** `2026-01-31 12:34:56Z` */
const timestampOf = (now: Date) => `${now.toISOString().slice(0, 19).replace('T', ' ')}Z`;

/** What AADSTS says for this number, by the words that stand before the trace id. */
export function describeAadsts(code: AadstsCode, subject = '', address = ''): string {
  return `AADSTS${code}: ${definitions[code].text(subject.slice(0, MAX_ECHO), address.slice(0, MAX_ECHO_ADDRESS))}`;
}

export function isAadstsCode(code: number): code is AadstsCode {
  return Object.hasOwn(definitions, code);
}

/** The reply for one error; `baseUrl` is the server's, for error_uri. */
export function oauthError(
  code: AadstsCode,
  context: { readonly baseUrl: string; readonly now: Date; readonly correlationId: string; readonly subject?: string },
): { readonly status: number; readonly body: OAuthErrorBody } {
  const { error, status } = definitions[code];
  const traceId = randomUUID();
  const timestamp = timestampOf(context.now);
  const description = describeAadsts(code, context.subject);
  return {
    status,
    body: {
      error,
      error_description: `${description} Trace ID: ${traceId} Correlation ID: ${context.correlationId} Timestamp: ${timestamp}`,
      error_codes: [code],
      timestamp,
      trace_id: traceId,
      correlation_id: context.correlationId,
      error_uri: `${context.baseUrl}/error?code=${code}`,
    },
  };
}
