/** The client against a real HTTPS server that speaks through the server codec. */

import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PhsyncError } from '#src/hasher/errors.js';
import { createProvisioningClient, type ProvisioningClientOptions } from '#src/provisioning/client.js';
import {
  CONTENT_TYPE,
  decodeRequest,
  encodeFault,
  encodeResponse,
  type KnownRequest,
  type ProvisioningFault,
} from '#src/provisioning/server-codec.js';
import { type Answer, type Authority, type Certificate, createAuthority, startServer } from './https-server.js';
import { bodies, companyConfiguration, results } from './samples.js';

let authority: Authority;
let certificate: Certificate;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  authority = await createAuthority('Test CA');
  certificate = await authority.issue(['127.0.0.1', 'localhost']);
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) {
    await one.close();
  }
});

const headers = { 'content-type': CONTENT_TYPE };

function reply(request: KnownRequest): Answer {
  const { operation } = request;
  return { headers, body: encodeResponse({ operation, header: request.header }, results[operation] as never) };
}

function fault(value: ProvisioningFault): Answer {
  return { status: 500, headers, body: encodeFault(value) };
}

const adminFault = {
  code: 'Sender',
  reason: 'reason',
  errorCode: '1',
  errorDescription: 'description',
  trackingId: 'tracking',
  serverName: 'server',
} as const;

/** Answers each request by `answer`, which may look at it; by default with the sample result. */
async function serve(
  answer: (request: KnownRequest, message: IncomingMessage) => Answer | undefined | Promise<Answer | undefined> = reply,
  tls: Certificate = certificate,
) {
  const server = await startServer(tls, (message, body) => {
    const request = decodeRequest(body);
    if (request.operation === undefined) {
      throw new Error(`unexpected operation ${request.name}`);
    }
    return answer(request, message);
  });
  open.push(server);
  return server;
}

function connect(url: string, options: Partial<ProvisioningClientOptions> = {}) {
  const client = createProvisioningClient({ url, ca: authority.pem, token: async () => 'token-1', ...options });
  open.push(client);
  return client;
}

async function failure(promise: Promise<unknown>): Promise<PhsyncError> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof PhsyncError) {
    return error;
  }
  throw error;
}

describe('operations', () => {
  it('go there and back over kept connections', async () => {
    const seen: KnownRequest[] = [];
    const server = await serve((request) => {
      seen.push(request);
      return reply(request);
    });
    const client = connect(server.url);
    expect(await client.getCompanyConfiguration()).toEqual(companyConfiguration);
    expect(await client.provisionCredentials(bodies.ProvisionCredentials.items)).toEqual(
      results.ProvisionCredentials.results,
    );
    expect(await client.provisionAzureADSyncObjects(bodies.ProvisionAzureADSyncObjects.objects)).toEqual(
      results.ProvisionAzureADSyncObjects.results,
    );
    await client.setCompanyDirsyncFeatures(41017);
    expect(await client.getWindowsCredentialsSyncConfig()).toEqual(results.GetWindowsCredentialsSyncConfig);
    await client.finalizeExport(12, 11);
    expect(seen.map(({ body }) => body)).toEqual([
      bodies.GetCompanyConfiguration,
      bodies.ProvisionCredentials,
      bodies.ProvisionAzureADSyncObjects,
      bodies.SetCompanyDirsyncFeatures,
      bodies.GetWindowsCredentialsSyncConfig,
      bodies.FinalizeExport,
    ]);
    // One would do; undici may open a second while it takes note that the first is free.
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  it('carry the documented HTTP headers and SyncToken', async () => {
    const uuid = '5a0a4a0e-6b3b-4c1c-8f5e-0f7f3b7a1122';
    let received: { request: KnownRequest; message: IncomingMessage } | undefined;
    const server = await serve((request, message) => {
      received = { request, message };
      return reply(request);
    });
    const client = connect(server.url, { uuid: () => uuid, tenantId: 'tid', build: '2.5.0.0', clientVersion: '8.1' });
    await client.getCompanyConfiguration();
    expect(received?.message.headers).toMatchObject({
      'content-type': CONTENT_TYPE,
      'client-request-id': uuid,
      'x-ms-aadmsods-appid': '1651564e-7ce4-4d99-88be-0a65050d8dc3',
      'x-ms-aadmsods-apiaction': 'GetCompanyConfiguration',
      'x-ms-aadmsods-clientversion': '8.1',
      'x-ms-aadmsods-dirsyncbuildnumber': '2.5.0.0',
      'x-ms-aadmsods-fimbuildnumber': '2.5.0.0',
      'x-ms-aadmsods-tenantid': 'tid',
    });
    expect(received?.request.header).toMatchObject({
      messageId: `urn:uuid:${uuid}`,
      to: server.url,
      syncToken: { bearerToken: 'token-1', trackingId: uuid, dirSyncBuildNumber: '2.5.0.0', clientVersion: '8.1' },
    });
  });

  it('put results in the order of what was sent, or refuse them', async () => {
    const { items } = bodies.ProvisionCredentials;
    const answers = [...results.ProvisionCredentials.results];
    let results_ = answers.toReversed();
    const server = await serve(({ header }) => ({
      headers,
      body: encodeResponse({ operation: 'ProvisionCredentials', header }, { results: results_ }),
    }));
    const client = connect(server.url);
    expect(await client.provisionCredentials(items)).toEqual(answers);
    for (const wrong of [answers.slice(1), [answers[0]!, { ...answers[1]!, cloudAnchor: 'User_other' }]]) {
      results_ = wrong;
      expect((await failure(client.provisionCredentials(items))).code).toBe('provisioning-bad-reply');
    }
  });

  it('are sent again, once, when the connection ends before the answer', async () => {
    let failures = 1;
    const server = await serve((request, message) => {
      if (failures > 0) {
        failures--;
        message.socket.destroy();
        return undefined;
      }
      return reply(request);
    });
    const client = connect(server.url);
    expect(await client.getCompanyConfiguration()).toEqual(companyConfiguration);
    failures = 2;
    expect((await failure(client.getCompanyConfiguration())).code).toBe('provisioning-unreachable');
  });

  it('end when the client is closed', async () => {
    const server = await serve(() => undefined);
    const client = connect(server.url);
    const call = failure(client.getCompanyConfiguration());
    setTimeout(() => client.close(), 50);
    expect((await call).code).toBe('provisioning-aborted');
    expect((await failure(client.getCompanyConfiguration())).code).toBe('provisioning-aborted');
  });
});

describe('redirects', () => {
  /** `hops` servers of which each but the last redirects to the next. */
  async function chain(hops: number) {
    const last = await serve();
    const counts: number[] = [];
    let url = last.url;
    for (let i = 0; i < hops; i++) {
      const target = url;
      const index = i;
      counts[index] = 0;
      const server = await serve(() => {
        counts[index]!++;
        return fault({ redirectUrl: target });
      });
      url = server.url;
    }
    return { url, last, counts };
  }

  it('are followed three times, and the address is kept', async () => {
    const { url, last, counts } = await chain(3);
    const client = connect(url);
    expect(await client.getCompanyConfiguration()).toEqual(companyConfiguration);
    expect(client.url).toBe(last.url);
    await client.getCompanyConfiguration();
    expect(counts).toEqual([1, 1, 1]);
  });

  it('are not followed a fourth time', async () => {
    const { url } = await chain(4);
    expect(await failure(connect(url).getCompanyConfiguration())).toMatchObject({ code: 'provisioning-redirect' });
  });

  it.each(['http://127.0.0.1:1/x', 'ftp://127.0.0.1/', 'not a url', 'https://user:pw@127.0.0.1/'])(
    'to %s are refused',
    async (redirectUrl) => {
      const server = await serve(() => fault({ redirectUrl }));
      expect(await failure(connect(server.url).getCompanyConfiguration())).toMatchObject({
        code: 'provisioning-redirect',
      });
    },
  );

  it.each([307, 308])('by HTTP status %d are followed, over TLS', async (status) => {
    const last = await serve();
    let location = last.url;
    const first = await serve(() => ({ status, headers: { location } }));
    const client = connect(first.url);
    expect(await client.getCompanyConfiguration()).toEqual(companyConfiguration);
    expect(client.url).toBe(last.url);
    location = last.url.replace('https:', 'http:');
    expect((await failure(connect(first.url).getCompanyConfiguration())).code).toBe('provisioning-redirect');
    // Relative: to itself, without end.
    location = '/elsewhere';
    expect((await failure(connect(first.url).getCompanyConfiguration())).message).toMatch(/more than 3 times/);
  });

  it('to an address that is gone are forgotten', async () => {
    const gone = await serve();
    await gone.close();
    let redirecting = true;
    const server = await serve((request) => (redirecting ? fault({ redirectUrl: gone.url }) : reply(request)));
    const client = connect(server.url);
    expect((await failure(client.getCompanyConfiguration())).code).toBe('provisioning-unreachable');
    redirecting = false;
    expect(await client.getCompanyConfiguration()).toEqual(companyConfiguration);
  });
});

describe('faults', () => {
  it.each([
    [{ ...adminFault, errorCode: '1' }, 'provisioning-fault'],
    [{ ...adminFault, errorCode: 81 }, 'provisioning-busy'],
    [{ ...adminFault, errorCode: 90 }, 'provisioning-not-activated'],
    [{ ...adminFault, errorCode: 'AccessDenied' }, 'provisioning-access-denied'],
    [
      { ...adminFault, errorDescription: 'Access to the directory has been denied. Contact Technical Support.' },
      'provisioning-access-denied',
    ],
  ])('%o are told as %s', async (value, code) => {
    const server = await serve(() => fault(value));
    const error = await failure(connect(server.url).getCompanyConfiguration());
    expect(error.code).toBe(code);
    expect(error.message).toContain(value.errorDescription);
    expect(error.facts).toMatchObject({
      errorCode: String(value.errorCode),
      trackingId: 'tracking',
      serverName: 'server',
      operation: 'GetCompanyConfiguration',
    });
  });
});

describe('the token', () => {
  it.each([
    ['a fault InvalidSecurityToken', fault({ ...adminFault, subcode: 'InvalidSecurityToken' })],
    ['HTTP status 401', { status: 401, headers: { 'content-type': 'text/html' }, body: 'no' }],
  ])('is refreshed once after %s', async (_, refusal) => {
    const seen: string[] = [];
    const server = await serve((request) => {
      const token = request.header.syncToken!.bearerToken;
      seen.push(token);
      return token === 'fresh' ? reply(request) : refusal;
    });
    const token = async (forceRefresh: boolean) => (forceRefresh ? 'fresh' : 'stale');
    expect(await connect(server.url, { token }).getCompanyConfiguration()).toEqual(companyConfiguration);
    expect(seen).toEqual(['stale', 'fresh']);
    seen.length = 0;
    const error = await failure(connect(server.url, { token: async () => 'stale' }).getCompanyConfiguration());
    expect(error.code).toBe('provisioning-access-denied');
    expect(seen).toEqual(['stale', 'stale']);
  });

  it('that several calls saw refused is refreshed once for all of them', async () => {
    const refusal = fault({ ...adminFault, subcode: 'InvalidSecurityToken' });
    const refused: ((answer: Answer) => void)[] = [];
    const server = await serve((request) =>
      request.header.syncToken!.bearerToken === 'stale'
        ? new Promise((resolve) => refused.push(resolve))
        : reply(request),
    );
    let current = 'stale';
    let refreshes = 0;
    const token = async (forceRefresh: boolean) => {
      if (forceRefresh) current = `fresh ${++refreshes}`;
      return current;
    };
    const client = connect(server.url, { token });
    const calls = Array.from({ length: 8 }, () => client.getCompanyConfiguration());
    await expect.poll(() => refused.length).toBe(8);
    refused[0]!(refusal);
    await Promise.race(calls);
    expect(refreshes).toBe(1);
    // They hear of it when there is a new one.
    for (const answer of refused.slice(1)) answer(refusal);
    await Promise.all(calls);
    expect(refreshes).toBe(1);
  });

  it('never stands in an error, and what the token function throws passes through', async () => {
    const server = await serve(() => ({ status: 418, body: 'x' }));
    const error = await failure(connect(server.url).getCompanyConfiguration());
    expect(JSON.stringify([error.message, error.facts, String(error.cause)])).not.toContain('token-1');
    const reason = new PhsyncError('token-refused', 'no');
    const client = connect(server.url, { token: () => Promise.reject(reason) });
    await expect(client.getCompanyConfiguration()).rejects.toBe(reason);
  });
});

describe('what goes wrong below', () => {
  it('TLS: an authority that is not trusted, with a hint at the setting', async () => {
    const server = await serve();
    const other = await createAuthority('Other CA');
    for (const [trusted, hint] of [
      [{ ca: other.pem, caFile: '/etc/other.pem' }, /certificates in \/etc\/other\.pem \(setting `ca`\)/],
      [{ ca: other.pem }, /`ca`/],
      [{}, /`ca`/],
    ] as const) {
      const client = createProvisioningClient({ url: server.url, token: async () => 't', ...trusted });
      open.push(client);
      const error = await failure(client.getCompanyConfiguration());
      expect(error.code).toBe('provisioning-tls');
      expect(error.message).toMatch(hint);
    }
  });

  it('TLS: a name that is not the certificate’s, and one out of date', async () => {
    const server = await serve(reply, await authority.issue(['tenant.test']));
    expect(await failure(connect(server.url).getCompanyConfiguration())).toMatchObject({
      code: 'provisioning-tls',
      facts: { cause: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    });
    const past = { from: new Date(Date.now() - 9e7), to: new Date(Date.now() - 1e6) };
    const expired = await serve(reply, await authority.issue(['127.0.0.1'], past));
    expect(await failure(connect(expired.url).getCompanyConfiguration())).toMatchObject({
      code: 'provisioning-tls',
      facts: { cause: 'CERT_HAS_EXPIRED' },
    });
  });

  it('TLS: a port that does not speak it', async () => {
    const plain = createServer((socket) =>
      socket.on('error', () => undefined).end('hello there\r\n', () => socket.destroy()),
    );
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => new Promise((resolve) => plain.close(() => resolve())) });
    const url = `https://127.0.0.1:${(plain.address() as AddressInfo).port}/`;
    expect((await failure(connect(url).getCompanyConfiguration())).code).toBe('provisioning-tls');
  });

  it('a closed port, a name that does not exist', async () => {
    const server = await serve();
    await server.close();
    expect(await failure(connect(server.url).getCompanyConfiguration())).toMatchObject({
      code: 'provisioning-unreachable',
      facts: { cause: 'ECONNREFUSED' },
    });
    const client = connect('https://no-such-host.invalid/provisioningservice.svc');
    expect((await failure(client.getCompanyConfiguration())).code).toBe('provisioning-unreachable');
  });

  it('a server that never answers, and a caller that gives up', async () => {
    const server = await serve(() => undefined);
    const error = await failure(connect(server.url, { timeoutMs: 150 }).getCompanyConfiguration());
    expect(error.code).toBe('provisioning-timeout');
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    const aborted = await failure(connect(server.url).getCompanyConfiguration({ signal: abort.signal }));
    expect(aborted.code).toBe('provisioning-aborted');
  });

  it('a server that is busy, forbids, answers otherwise, or too much', async () => {
    const answers: [Answer, string][] = [
      [{ status: 503 }, 'provisioning-busy'],
      [{ status: 500, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'provisioning-unavailable'],
      [{ status: 502 }, 'provisioning-unavailable'],
      [{ status: 504 }, 'provisioning-unavailable'],
      [{ status: 429 }, 'provisioning-busy'],
      [{ status: 403 }, 'provisioning-access-denied'],
      [{ status: 404, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'provisioning-bad-reply'],
      [{ status: 302, headers: { location: 'https://127.0.0.1:1/' } }, 'provisioning-bad-reply'],
      [{ headers: { 'content-type': 'application/soap+xml' }, body: 'x' }, 'provisioning-bad-reply'],
      [{ headers, body: 'x' }, 'provisioning-bad-reply'],
      [{ headers, body: Buffer.alloc(70_000) }, 'provisioning-bad-reply'],
    ];
    let answer: Answer = {};
    const server = await serve(() => answer);
    const client = connect(server.url, { maxReplyBytes: 65_536 });
    for (const [next, code] of answers) {
      answer = next;
      expect((await failure(client.getCompanyConfiguration())).code, JSON.stringify(next.status)).toBe(code);
    }
    expect((await failure(client.getCompanyConfiguration())).message).toMatch(/more than 65536 bytes/);
  });

  it('a server that is busy, and says for how long', async () => {
    const now = Date.UTC(2026, 10, 22, 7, 0, 0);
    let header = '';
    let answer: () => Answer = () => ({ status: 429, headers: { 'retry-after': header } });
    const server = await serve(() => answer());
    const client = connect(server.url, { now: () => now });
    for (const [text, milliseconds] of [
      ['7', 7000],
      ['0', 0],
      ['86400', 600_000],
      ['Sun, 22 Nov 2026 07:00:09 GMT', 9000],
      ['Sunday, 22-Nov-26 07:00:09 GMT', 9000],
      ['Sun, 22 Nov 2026 06:00:00 GMT', 0],
      ['Mon, 22 Nov 2027 06:00:00 GMT', 600_000],
      ['soon', undefined],
      ['-1', undefined],
      ['1.5', undefined],
    ] as const) {
      header = text;
      const error = await failure(client.getCompanyConfiguration());
      expect(error, text).toMatchObject({ code: 'provisioning-busy', facts: { retryAfterMs: milliseconds } });
    }
    const busy = { ...adminFault, errorCode: 81 };
    answer = () => ({ ...fault(busy), headers: { ...headers, 'retry-after': '3' } });
    expect((await failure(client.getCompanyConfiguration())).facts).toMatchObject({ retryAfterMs: 3000 });
  });

  it('an answer that is cut off, or told shorter or longer than it is', async () => {
    let body: Buffer = Buffer.alloc(0);
    let length = (whole: number) => whole;
    let cut = (whole: Buffer) => whole;
    const server = await serve((request) => {
      body = Buffer.from(reply(request).body as Uint8Array);
      return { headers: { ...headers, 'content-length': String(length(body.length)) }, body: cut(body) };
    });
    const client = connect(server.url);
    expect(await client.getCompanyConfiguration()).toEqual(companyConfiguration);
    // The whole length promised, half of it sent: the answer never ends.
    cut = (whole) => whole.subarray(0, whole.length / 2);
    const hasty = connect(server.url, { timeoutMs: 1500 });
    expect((await failure(hasty.getCompanyConfiguration())).code).toMatch(/^provisioning-(timeout|unreachable)$/);
    length = (whole) => Math.floor(whole / 2);
    expect((await failure(client.getCompanyConfiguration())).code).toBe('provisioning-bad-reply');
  });

  it('a result that comes with an error status', async () => {
    const server = await serve((request) => ({ ...reply(request), status: 500 }));
    expect((await failure(connect(server.url).getCompanyConfiguration())).code).toBe('provisioning-bad-reply');
  });

  it('options that cannot be', () => {
    const token = async () => '';
    expect(() => createProvisioningClient({ url: 'nonsense', token })).toThrow(TypeError);
    expect(() => createProvisioningClient({ url: 'ftp://x/', token })).toThrow(RangeError);
  });
});
