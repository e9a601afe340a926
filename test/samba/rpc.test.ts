/** DCE/RPC, the endpoint mapper, NTLM and SPNEGO against a real domain controller. */

import { afterEach, expect, it } from 'vitest';
import { NameFormat, NameStatus } from '#src/protocol/drsr/crack-names.js';
import { DRSUAPI_INTERFACE, DrsClient } from '#src/protocol/drsr/drs-client.js';
import type { RpcClient } from '#src/protocol/rpc/rpc-client.js';
import type { Transport } from '#src/protocol/rpc/transport.js';
import { connectDrsuapi, ntlm, portOf, spnego } from './connect.js';
import { describeDc, facts, special, users } from './dc.js';

const open: RpcClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

async function drsuapi(...args: Parameters<typeof connectDrsuapi>): Promise<RpcClient> {
  const client = await connectDrsuapi(...args);
  open.push(client);
  return client;
}

/** Counts what goes both ways: PDUs sent, and the bytes received. */
function counting(transport: Transport) {
  const counts = { sent: [] as Uint8Array[], received: 0 };
  const wrapped: Transport = {
    peer: transport.peer,
    send: (bytes) => {
      counts.sent.push(bytes.slice());
      return transport.send(bytes);
    },
    receive: async () => {
      const bytes = await transport.receive();
      counts.received += bytes?.length ?? 0;
      return bytes;
    },
    close: () => transport.close(),
  };
  return { counts, wrapped };
}

describeDc('the endpoint mapper', () => {
  it('names the port of DRSUAPI, the one that another client was told', async () => {
    expect(await portOf(DRSUAPI_INTERFACE.uuid, DRSUAPI_INTERFACE.major)).toBe(facts().drsuapiPort);
  });

  it('does not know an interface that nobody serves', async () => {
    await expect(portOf('00000000-1111-2222-3333-444444444444', 1)).rejects.toMatchObject({
      name: 'ProtocolError',
      code: 'endpoint-not-registered',
    });
  });
});

describeDc('an authenticated connection', () => {
  it.each([
    ['NTLM', ntlm],
    ['SPNEGO with NTLM inside', spnego],
  ])('is bound and sealed with %s', async (_, context) => {
    const rpc = await drsuapi(context(special('sync-account')));
    const client = await DrsClient.bind(rpc);
    expect(rpc.sessionKey()).toHaveLength(16);
    const [controller] = await client.domainControllerInfo(facts().dnsDomain);
    expect(controller?.dnsHostName).toBe(facts().dnsHostName);
    await client.unbind();
  });

  it.each([
    ['NTLM', ntlm],
    ['SPNEGO with NTLM inside', spnego],
  ])('is refused with %s and a wrong password', async (_, context) => {
    const connect = async () =>
      DrsClient.bind(await drsuapi(context({ name: special('sync-account').name, password: 'not-it' })));
    await expect(connect()).rejects.toMatchObject({ name: 'ProtocolError', code: 'logon-failure' });
  });

  it('is refused to an account that does not exist', async () => {
    const connect = async () => DrsClient.bind(await drsuapi(ntlm({ name: 'phs.nobody', password: 'any' })));
    await expect(connect()).rejects.toMatchObject({ name: 'ProtocolError', code: 'logon-failure' });
  });

  it.each(['unicode', 'long'])('is made with a password that is %s', async (kind) => {
    const client = await DrsClient.bind(await drsuapi(ntlm(special(kind))));
    await client.unbind();
  });

  it('carries a request and a reply of many fragments', async () => {
    const all = users();
    const names = [...all, ...all, ...all, ...all].map((user) => user.dn).slice(0, 8000);
    const seen = { counts: { sent: [] as Uint8Array[], received: 0 } };
    const rpc = await drsuapi(ntlm(special('sync-account')), (transport) => {
      const { counts, wrapped } = counting(transport);
      seen.counts = counts;
      return wrapped;
    });
    const client = await DrsClient.bind(rpc);
    const before = seen.counts.received;
    seen.counts.sent.length = 0;
    const results = await client.crackNames({
      formatOffered: NameFormat.fqdn1779,
      formatDesired: NameFormat.uniqueId,
      names,
    });
    expect(results.map(({ status, name }) => [status, name])).toEqual(
      names.map((dn) => [NameStatus.ok, `{${all.find((user) => user.dn === dn)!.objectGUID}}`]),
    );
    const fragments = seen.counts.sent.flatMap((bytes) => splitPdus(bytes));
    expect(fragments.length).toBeGreaterThan(50);
    expect(Math.max(...fragments.map(({ length }) => length))).toBeLessThanOrEqual(5840);
    expect(seen.counts.received - before).toBeGreaterThan(500_000);
    // Nothing of the request can be read on the wire.
    const wire = Buffer.concat(seen.counts.sent);
    expect(wire.includes(Buffer.from('OU=Bulk', 'utf16le'))).toBe(false);
  });

  it('answers many calls, one after another, on one connection', async () => {
    const client = await DrsClient.bind(await drsuapi(ntlm(special('sync-account'))));
    const some = users().slice(0, 100);
    const answers = await Promise.all(
      some.map((user) =>
        client.crackNames({
          formatOffered: NameFormat.nt4Account,
          formatDesired: NameFormat.fqdn1779,
          names: [`${facts().netbiosDomain}\\${user.name}`],
        }),
      ),
    );
    expect(answers.map(([answer]) => answer?.name)).toEqual(some.map((user) => user.dn));
  });
});

/** The PDUs in bytes that were sent together, by their frag_length. */
function splitPdus(bytes: Uint8Array): Uint8Array[] {
  const pdus: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at + 8]! | (bytes[at + 9]! << 8);
    pdus.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pdus;
}
