/** A domain controller that is gone when it was asked to set a password: simulated, since a real one cannot be stopped just then. */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { BerReader, BerWriter } from 'ldapts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createScope } from '#src/agent/scope.js';
import type { LdapOptions } from '#src/agent/write-back/ldap-session.js';
import { setPassword } from '#src/agent/write-back/set-password.js';
import { createAuthority, issueServerCertificate } from '#src/tenant/tls/certificates.js';
import { failureText } from '#src/tenant/write-back/words.js';

// RFC 4511 4.2, 4.5, 4.6: the tags of requests and answers.
const BIND = 0x60;
const BOUND = 0x61;
const SEARCH = 0x63;
const ENTRY = 0x64;
const FOUND = 0x65;
const MODIFY = 0x66;
/** S-1-5-21-1-2-3-1105 */
const SID = Buffer.from('01050000000000051500000001000000020000000300000051040000', 'hex');
const DN = 'CN=Ann,CN=Users,DC=phs,DC=test';

/** Lets everybody log on and finds the same user whatever is searched for. */
function answerAs(socket: TLSSocket, onModify: () => void): void {
  const send = (id: number, tag: number, write: (writer: BerWriter) => void) => {
    const writer = new BerWriter();
    writer.startSequence();
    writer.writeInt(id);
    writer.startSequence(tag);
    write(writer);
    writer.endSequence();
    writer.endSequence();
    socket.write(writer.buffer);
  };
  const success = (writer: BerWriter) => {
    writer.writeEnumeration(0);
    writer.writeString('');
    writer.writeString('');
  };
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => {
    const reader = new BerReader(bytes);
    reader.readSequence();
    const id = reader.readInt()!;
    const operation = reader.peek();
    if (operation === BIND) send(id, BOUND, success);
    else if (operation === SEARCH) {
      send(id, ENTRY, (writer) => {
        writer.writeString(DN);
        writer.startSequence();
        for (const [name, value] of [
          ['objectClass', Buffer.from('user')],
          ['sAMAccountName', Buffer.from('ann')],
          ['userAccountControl', Buffer.from('512')],
          ['objectSid', SID],
        ] as const) {
          writer.startSequence();
          writer.writeString(name);
          writer.startSequence(0x31);
          writer.writeBuffer(value, 0x04);
          writer.endSequence();
          writer.endSequence();
        }
        writer.endSequence();
      });
      send(id, FOUND, success);
    } else if (operation === MODIFY) onModify();
  });
}

let ca: string;
let server: ReturnType<typeof createServer>;
let modified: (socket: TLSSocket) => void;
beforeAll(async () => {
  const authority = await createAuthority('test CA', new Date());
  ca = authority.cert;
  server = createServer(await issueServerCertificate(authority, ['127.0.0.1'], new Date()), (socket) =>
    answerAs(socket, () => modified(socket)),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => server?.close());

it.each<[string, (socket: TLSSocket) => void, number]>([
  ['breaks the connection', (socket) => socket.destroy(), 10_000],
  ['says nothing', () => undefined, 3000],
])('a domain controller that %s: nobody is told that the password was not changed', async (_, then, timeoutMs) => {
  modified = then;
  const controller: LdapOptions = {
    server: '127.0.0.1',
    address: undefined,
    domain: 'phs.test',
    tls: 'ldaps',
    port: (server.address() as AddressInfo).port,
    ca,
    caFile: undefined,
    user: 'phs.sync',
    password: 'secret',
    timeoutMs,
  };
  const outcome = await setPassword(
    '0f7c2f5e-6d1b-4c0e-9d3e-3a0f6f0f2c11',
    { oldPassword: Buffer.from('Old.Passw0rd'), newPassword: Buffer.from('New.Passw0rd') },
    {
      controllers: [controller],
      scope: createScope({ include: [], exclude: [] }),
      conditionAttributes: [],
      now: () => 0,
      deadline: 1,
    },
  );
  expect(outcome).toMatchObject({ status: 'refused', dn: DN, refusal: { status: 'failed', reason: 'noAnswer' } });
  const text = failureText('noAnswer');
  expect(text).toContain('did not say in time whether it changed your password');
  expect(text).not.toContain('was not changed');
});
