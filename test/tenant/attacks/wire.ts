/** What attacks on the wire share: connections to the tenant byte by byte, and messages of an agent as bytes. */

import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { request } from 'undici';
import { encodeRequest } from '#src/provisioning/client-codec.js';
import type { OperationName, RequestBodies } from '#src/provisioning/operations.js';
import type { SyncCredentialsChangeItem } from '#src/provisioning/types.js';
import { credentialText, type TestTenant, vectors } from '../harness.js';

type Where = Pick<TestTenant, 'port' | 'caPath'>;

/** A connection of its own. */
export function open({ port, caPath }: Where): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(caPath!) }, () => resolve(socket));
    socket.once('error', reject);
  });
}

export interface Heard {
  readonly text: string;
  /** The server ended the connection; otherwise we did, after `silence`. */
  readonly closed: boolean;
}

/** What comes until the server closes, or says nothing for `silence` milliseconds. */
export function listen(socket: TLSSocket, silence: number): Promise<Heard> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const end = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: Buffer.concat(chunks).toString('latin1'), closed });
    };
    const timer = setTimeout(() => end(false), silence);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      timer.refresh();
    });
    socket.once('end', () => end(true));
    socket.once('error', () => end(true));
    socket.once('close', () => end(true));
  });
}

/** Sends it at once and hears the answers. */
export async function say(tenant: Where, bytes: string | Buffer, silence = 15_000): Promise<Heard> {
  const socket = await open(tenant);
  socket.write(bytes);
  return listen(socket, silence);
}

/** Status codes, in the order of the answers. */
export const statuses = ({ text }: Heard): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

/** An agent's message as bytes. */
export function message<Name extends OperationName>(
  tenant: Pick<TestTenant, 'provisioningUrl'>,
  name: Name,
  body: RequestBodies[Name],
  bearerToken: string,
): Buffer {
  return encodeRequest(name, body, {
    messageId: 'urn:uuid:00000000-0000-4000-8000-000000000000',
    to: tenant.provisioningUrl,
    syncToken: {
      applicationId: '',
      bearerToken,
      clientVersion: '',
      dirSyncBuildNumber: '',
      fimBuildNumber: '',
      isInstalledOnDC: false,
      issueDateTime: '',
      languageId: '',
      liveToken: '',
      protocolVersion: '',
      richCoexistenceEnabled: false,
      trackingId: '',
    },
  });
}

/** The password of `vectors[vector]` for an anchor. */
export const credential = (sourceAnchor: string, changeDate: Date, vector = 0): SyncCredentialsChangeItem => ({
  changeDate,
  cloudAnchor: undefined,
  credentialData: credentialText(vectors[vector]!),
  forcePasswordChangeOnLogon: false,
  sourceAnchor,
  windowsLegacyCredentials: undefined,
  windowsSupplementalCredentials: undefined,
});

export interface WireReply {
  readonly status: number;
  readonly bytes: Buffer;
}

/** Posts bytes to the provisioning service. */
export async function post(
  { provisioningUrl, dispatcher }: Pick<TestTenant, 'provisioningUrl' | 'dispatcher'>,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<WireReply> {
  const reply = await request(provisioningUrl, {
    method: 'POST',
    dispatcher,
    headers: { 'content-type': 'application/soap+msbin1', ...headers },
    body,
  });
  return { status: reply.statusCode, bytes: Buffer.from(await reply.body.arrayBuffer()) };
}
