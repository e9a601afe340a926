/** Client and token endpoint through a real HTTP proxy that CONNECTs, over HTTP and over TLS. */

import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { PhsyncError } from '#src/hasher/errors.js';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials, tokenUrlFor } from '#src/provisioning/client-credentials.js';
import { CONTENT_TYPE, decodeRequest, encodeResponse } from '#src/provisioning/server-codec.js';
import { ConnectProxy } from './connect-proxy.js';
import { type Authority, type Certificate, createAuthority, startServer } from './https-server.js';
import { companyConfiguration, results } from './samples.js';

let authority: Authority;
let certificate: Certificate;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  authority = await createAuthority('Test CA');
  certificate = await authority.issue(['127.0.0.1']);
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function startProxy(tls?: Certificate): Promise<ConnectProxy> {
  const proxy = await ConnectProxy.start('proxy user', 'pröxy:pass', tls);
  open.push(proxy);
  return proxy;
}

async function service(tls = certificate) {
  const server = await startServer(tls, (message, body) => {
    if (message.url!.endsWith('/token')) {
      const answer = { access_token: 'token', token_type: 'Bearer', expires_in: 3600 };
      return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) };
    }
    const request = decodeRequest(body);
    const answer = { operation: 'GetCompanyConfiguration', header: request.header } as const;
    return {
      headers: { 'content-type': CONTENT_TYPE },
      body: encodeResponse(answer, results.GetCompanyConfiguration),
    };
  });
  open.push(server);
  return server;
}

function connect(url: string, proxyUrl: string, login = { user: 'proxy user', password: 'pröxy:pass' }) {
  const common = { ca: authority.pem, proxy: { url: proxyUrl, ...login } };
  const credentials = createClientCredentials({
    tokenUrl: tokenUrlFor(url),
    clientId: 'agent-1',
    clientSecret: 's3cret',
    ...common,
  });
  const client = createProvisioningClient({ url, token: (force) => credentials.token(force), ...common });
  open.push(client, credentials);
  return client;
}

const failure = (promise: Promise<unknown>): Promise<PhsyncError> =>
  promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (error) => error,
  );

describe('a proxy', () => {
  it.each(['http', 'https'])('spoken to over %s takes both requests to the service', async (scheme) => {
    const server = await service();
    const proxy = await startProxy(scheme === 'https' ? certificate : undefined);
    expect(await connect(server.url, proxy.url).getCompanyConfiguration()).toEqual(companyConfiguration);
    expect(proxy.targets).toEqual([new URL(server.url).host, new URL(server.url).host]);
  });

  it('that asks for another password is named, and the password is not', async () => {
    const server = await service();
    const proxy = await startProxy();
    const client = connect(server.url, proxy.url, { user: 'proxy user', password: 'wr0ng' });
    const error = await failure(client.getCompanyConfiguration());
    expect(error.code).toBe('token-proxy');
    expect(error.message).toMatch(new RegExp(`the proxy ${proxy.host} does not connect to .*: HTTP status 407`));
    expect(JSON.stringify([error.message, error.facts])).not.toMatch(/wr0ng|d3Iwbmc/);
  });

  it('that is not there is named', async () => {
    const server = await service();
    const error = await failure(connect(server.url, 'http://127.0.0.1:1').getCompanyConfiguration());
    expect(error.code).toBe('token-unreachable');
    expect(error.message).toContain('through the proxy 127.0.0.1:1');
  });

  it('weakens no check of the service’s certificate, nor does NODE_TLS_REJECT_UNAUTHORIZED', async () => {
    const other = await createAuthority('Other CA');
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const proxy = await startProxy();
      for (const wrong of [await other.issue(['127.0.0.1']), await authority.issue(['tenant.test'])]) {
        const server = await service(wrong);
        expect((await failure(connect(server.url, proxy.url).getCompanyConfiguration())).code).toBe('token-tls');
        const direct = createProvisioningClient({ url: server.url, ca: authority.pem, token: async () => 't' });
        open.push(direct);
        expect((await failure(direct.getCompanyConfiguration())).code).toBe('provisioning-tls');
      }
      const good = await service();
      const untrusted = await startProxy(await other.issue(['127.0.0.1']));
      expect((await failure(connect(good.url, untrusted.url).getCompanyConfiguration())).code).toBe('token-tls');
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  it('named by the environment alone is not gone through', async () => {
    const server = await service();
    const proxy = await startProxy();
    process.env.HTTPS_PROXY = proxy.url;
    try {
      const client = createProvisioningClient({ url: server.url, ca: authority.pem, token: async () => 't' });
      open.push(client);
      expect(await client.getCompanyConfiguration()).toEqual(companyConfiguration);
      expect(proxy.targets).toEqual([]);
    } finally {
      delete process.env.HTTPS_PROXY;
    }
  });
});
