/** OAuth 2.0 client credentials against a real HTTPS token endpoint. */

import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PhsyncError } from '#src/hasher/errors.js';
import {
  type ClientCredentialsOptions,
  createClientCredentials,
  tokenUrlFor,
} from '#src/provisioning/client-credentials.js';
import { type Answer, type Authority, type Certificate, createAuthority, startServer } from './https-server.js';

let authority: Authority;
let certificate: Certificate;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  authority = await createAuthority('Token CA');
  certificate = await authority.issue(['127.0.0.1']);
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) {
    await one.close();
  }
});

const json = { 'content-type': 'application/json; charset=utf-8' };

/** An endpoint that gives `token-1`, `token-2`, …, or what `answer` says. */
async function endpoint(answer?: () => Answer | undefined, options: Partial<ClientCredentialsOptions> = {}) {
  const forms: URLSearchParams[] = [];
  const paths: (string | undefined)[] = [];
  const server = await startServer(certificate, (message, body) => {
    forms.push(new URLSearchParams(body.toString()));
    paths.push(message.url);
    if (answer !== undefined) {
      return answer();
    }
    const body_ = { token_type: 'Bearer', expires_in: 3600, access_token: `token-${forms.length}` };
    return { headers: json, body: JSON.stringify(body_) };
  });
  open.push(server);
  const credentials = createClientCredentials({
    tokenUrl: tokenUrlFor(server.url),
    clientId: 'agent-1',
    clientSecret: 's3cret&=ü',
    ca: authority.pem,
    ...options,
  });
  open.push(credentials);
  return { credentials, forms, paths };
}

async function failure(promise: Promise<unknown>): Promise<PhsyncError> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof PhsyncError) {
    expect(JSON.stringify([error.message, error.facts])).not.toContain('s3cret');
    return error;
  }
  throw error;
}

describe('client credentials', () => {
  it('are asked for at the endpoint of the same origin', async () => {
    const { credentials, forms, paths } = await endpoint(undefined, { scope: 'https://graph.windows.net/.default' });
    expect(await credentials.token()).toBe('token-1');
    expect(paths).toEqual(['/organizations/oauth2/v2.0/token']);
    expect(Object.fromEntries(forms[0]!)).toEqual({
      grant_type: 'client_credentials',
      client_id: 'agent-1',
      client_secret: 's3cret&=ü',
      scope: 'https://graph.windows.net/.default',
    });
    expect(tokenUrlFor('https://h:8443/a/b?c', 'phs.test')).toBe('https://h:8443/phs.test/oauth2/v2.0/token');
  });

  it('share one request, are kept until 60 s before their end, and renewed when forced', async () => {
    let now = 1_000_000;
    const { credentials, forms } = await endpoint(undefined, { now: () => now, clientSecret: async () => 'later' });
    expect(await Promise.all([credentials.token(), credentials.token(), credentials.token(true)])).toEqual(
      Array(3).fill('token-1'),
    );
    now += 3_539_000;
    expect(await credentials.token()).toBe('token-1');
    now += 1_000;
    expect(await credentials.token()).toBe('token-2');
    expect(await credentials.token(true)).toBe('token-3');
    expect(await credentials.token(false)).toBe('token-3');
    expect(forms).toHaveLength(3);
    expect(forms[0]!.get('client_secret')).toBe('later');
  });

  it('that are refused say why, and are asked for again', async () => {
    let refuse = true;
    const refusal = {
      error: 'invalid_client',
      error_description: 'AADSTS7000215: Invalid client secret provided.',
      error_codes: [7000215],
    };
    const { credentials } = await endpoint(() =>
      refuse
        ? { status: 401, headers: json, body: JSON.stringify(refusal) }
        : { headers: json, body: '{"access_token":"t","token_type":"bearer"}' },
    );
    const error = await failure(credentials.token());
    expect(error.code).toBe('token-refused');
    expect(error.message).toContain('AADSTS7000215');
    expect(error.facts).toMatchObject({ error: 'invalid_client', errorCodes: '7000215', status: 401 });
    refuse = false;
    expect(await credentials.token()).toBe('t');
  });

  it.each<[string, Answer]>([
    ['HTML', { headers: { 'content-type': 'text/html' }, body: '<html>' }],
    ['nothing', {}],
    ['another token type', { headers: json, body: '{"access_token":"s3cret","token_type":"mac","expires_in":1}' }],
    ['no token', { headers: json, body: '{"token_type":"bearer","expires_in":1}' }],
    [
      'an end that is no number',
      { headers: json, body: '{"access_token":"s3cret","token_type":"bearer","expires_in":"x"}' },
    ],
    ['an error status without an error', { status: 400, headers: json, body: '{}' }],
    ['a redirect, which would take the secret along', { status: 307, headers: { location: 'https://127.0.0.1:1/' } }],
    ['too much', { headers: json, body: ' '.repeat(300_000) }],
  ])('answered with %s are a bad reply', async (_, answer) => {
    const { credentials } = await endpoint(() => answer);
    expect((await failure(credentials.token())).code).toBe('token-bad-reply');
  });

  it.each<[string, Answer, string, number | undefined]>([
    ['429', { status: 429, headers: { 'retry-after': '5' } }, 'token-busy', 5000],
    ['503', { status: 503, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'token-busy', undefined],
    [
      'temporarily_unavailable',
      { status: 400, headers: json, body: '{"error":"temporarily_unavailable"}' },
      'token-busy',
      undefined,
    ],
    ['500', { status: 500, headers: json, body: '{}' }, 'token-unavailable', undefined],
    ['502', { status: 502 }, 'token-unavailable', undefined],
  ])('answered with %s may be had later', async (_, answer, code, retryAfterMs) => {
    const { credentials } = await endpoint(() => answer);
    const error = await failure(credentials.token());
    expect(error.code).toBe(code);
    expect(error.facts.retryAfterMs).toBe(retryAfterMs);
  });

  it('tell timeout, TLS and a closed port apart', async () => {
    const silent = await endpoint(() => undefined, { timeoutMs: 100 });
    expect((await failure(silent.credentials.token())).code).toBe('token-timeout');
    const other = await createAuthority('Other CA');
    const untrusted = await endpoint(undefined, { ca: other.pem });
    expect((await failure(untrusted.credentials.token())).code).toBe('token-tls');
    const closed = await endpoint(undefined, { tokenUrl: 'https://127.0.0.1:1/x' });
    expect((await failure(closed.credentials.token())).code).toBe('token-unreachable');
  });
});
