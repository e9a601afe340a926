/**
 * A look at a server's TLS certificate, accepted or not. Nothing is sent over the connection and nothing read from it
 * but the handshake: whatever the agent sends goes over connections of its own, on which the certificate is checked.
 */

import { type ClientRequest, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { PhsyncError } from '../../hasher/errors.js';
import type { ProxySettings } from '../../provisioning/http.js';

export interface TlsProbeOptions {
  readonly host: string;
  readonly port: number;
  /** PEM; the system's otherwise. */
  readonly ca: string | undefined;
  readonly proxy?: ProxySettings | undefined;
  readonly timeoutMs: number;
}

export interface TlsReport {
  /** Undefined: chain, name and validity are as they must be. */
  readonly error: string | undefined;
  /** `TLSv1.3` */
  readonly protocol: string | undefined;
  readonly subject: string;
  readonly issuer: string;
  /** Subject alternative names, as in `DNS:a.test, IP Address:127.0.0.1`. */
  readonly names: string;
  /** Milliseconds since 1970. */
  readonly validFrom: number;
  readonly validTo: number;
}

/** @throws PhsyncError `tenant-unreachable` (facts `reason`), `tenant-proxy`, `tenant-no-tls` */
export async function probeTls(options: TlsProbeOptions): Promise<TlsReport> {
  const { host, port, proxy } = options;
  const socket =
    proxy === undefined ? await open(host, port, options.timeoutMs) : await openThroughProxy(proxy, options);
  return handshake(socket, options);
}

/** @throws PhsyncError `tenant-unreachable` */
function open(host: string, port: number, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port });
    const fail = (reason: string) => {
      socket.destroy();
      reject(unreachable(host, port, reason));
    };
    socket.setTimeout(timeoutMs, () => fail('ETIMEDOUT'));
    socket.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      socket.removeAllListeners('timeout');
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}

function unreachable(host: string, port: number, reason: string): PhsyncError {
  return new PhsyncError('tenant-unreachable', `${host}:${port} cannot be reached: ${REASONS[reason] ?? reason}`, {
    facts: { host, port, reason },
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'DNS knows no such name (ENOTFOUND)',
  EAI_AGAIN: 'DNS did not answer (EAI_AGAIN)',
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ECONNRESET: 'the connection was reset (ECONNRESET)',
  ETIMEDOUT: 'no answer (ETIMEDOUT): is a firewall in between?',
  EHOSTUNREACH: 'no way to this host (EHOSTUNREACH)',
  ENETUNREACH: 'no way to this network (ENETUNREACH)',
};

/** HTTP CONNECT (RFC 9110, 9.3.6). @throws PhsyncError `tenant-proxy` */
function openThroughProxy(
  { url, user, password }: ProxySettings,
  { host, port, ca, timeoutMs }: TlsProbeOptions,
): Promise<Socket> {
  const { protocol, hostname, port: proxyPort } = new URL(url);
  const target = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  const fail = (why: string) =>
    new PhsyncError('tenant-proxy', `the proxy ${hostname} does not connect to ${target}: ${why}`, { facts: { url } });
  return new Promise((resolve, reject) => {
    const ask = protocol === 'https:' ? httpsRequest : httpRequest;
    const request: ClientRequest = ask({
      method: 'CONNECT',
      host: hostname,
      port: proxyPort === '' ? undefined : proxyPort,
      path: target,
      headers: {
        host: target,
        ...(user === undefined
          ? {}
          : { 'proxy-authorization': `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}` }),
      },
      agent: false,
      timeout: timeoutMs,
      // As the agent itself, whatever NODE_TLS_REJECT_UNAUTHORIZED says: user and password go to the proxy.
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca }),
    });
    request.once('connect', ({ statusCode }, socket) => {
      if (statusCode === 200) {
        resolve(socket as Socket);
        return;
      }
      socket.destroy();
      const hint = statusCode === 407 ? ': it wants user and password (tenant.proxy.user, tenant.proxy.password)' : '';
      reject(fail(`HTTP status ${statusCode}${hint}`));
    });
    request.once('response', ({ statusCode }) => {
      request.destroy();
      reject(fail(`HTTP status ${statusCode}: is it a proxy?`));
    });
    request.once('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
    request.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? error.message;
      reject(fail(REASONS[reason] ?? reason));
    });
    request.end();
  });
}

/** @throws PhsyncError `tenant-no-tls` */
function handshake(socket: Socket, { host, port, ca, timeoutMs }: TlsProbeOptions): Promise<TlsReport> {
  return new Promise((resolve, reject) => {
    const options: ConnectionOptions = {
      socket,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      host,
      ...(ca === undefined ? {} : { ca }),
      // The certificate is judged all the same (`authorizationError`); refused at once, it could not be shown.
      rejectUnauthorized: false,
    };
    const tls = connectTls(options);
    const fail = (reason: string) => {
      tls.destroy();
      reject(
        new PhsyncError('tenant-no-tls', `${host}:${port} does not answer with TLS: ${reason}`, {
          facts: { host, port, reason },
        }),
      );
    };
    tls.setTimeout(timeoutMs, () => fail('ETIMEDOUT'));
    tls.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    tls.once('end', () => fail('the connection was closed'));
    tls.once('secureConnect', () => {
      const report = reportOf(tls);
      tls.removeAllListeners('end');
      tls.on('error', () => undefined);
      tls.destroy();
      resolve(report);
    });
  });
}

function reportOf(tls: TLSSocket): TlsReport {
  const certificate = tls.getPeerCertificate();
  // Typed as an Error, and a string in fact where the chain is refused.
  const error: unknown = tls.authorizationError;
  return {
    error: tls.authorized ? undefined : error instanceof Error ? (codeOf(error) ?? error.message) : String(error),
    protocol: tls.getProtocol() ?? undefined,
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: certificate.subjectaltname ?? '',
    validFrom: Date.parse(certificate.valid_from),
    validTo: Date.parse(certificate.valid_to),
  };
}

function codeOf(error: Error): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : undefined;
}

function nameOf(name: { CN?: string | string[]; O?: string | string[] } | undefined): string {
  return String(name?.CN ?? name?.O ?? 'no name');
}
