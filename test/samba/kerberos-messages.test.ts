/** Packet privacy by Kerberos against a real domain controller: what was altered on the way, or comes again, is refused. */

import { expect, it } from 'vitest';
import { loadGssapi } from '#src/agent/sources/gssapi-addon.js';
import { NameFormat } from '#src/protocol/drsr/crack-names.js';
import { DrsClient } from '#src/protocol/drsr/drs-client.js';
import { KerberosContext } from '#src/protocol/ssp/kerberos/kerberos-context.js';
import { connectDrsuapi } from './connect.js';
import { describeDc, facts, special } from './dc.js';

describeDc('a message sealed by Kerberos', () => {
  /** A bound connection whose received bytes go through `alter` from then on. */
  async function bound() {
    const { realm, host, dnsHostName } = facts();
    const security = new KerberosContext({
      gssapi: loadGssapi(),
      realm,
      kdcs: [host],
      client: `${special('sync-account').name}@${realm}`,
      password: special('sync-account').password!,
      service: `ldap/${dnsHostName}@${realm}`,
      allowRc4: false,
      now: () => new Date(),
    });
    const wire = { alter: (_: Uint8Array) => {} };
    const rpc = await connectDrsuapi(security, (transport) => ({
      peer: transport.peer,
      send: (bytes) => transport.send(bytes),
      receive: async () => {
        const bytes = await transport.receive();
        if (bytes !== undefined) wire.alter(bytes);
        return bytes;
      },
      close: () => transport.close(),
    }));
    return { security, wire, rpc, client: await DrsClient.bind(rpc) };
  }
  const ask = (client: DrsClient) =>
    client.crackNames({
      formatOffered: NameFormat.canonical,
      formatDesired: NameFormat.fqdn1779,
      names: [`${facts().dnsDomain}/`],
    });

  it.each([
    ['its header', () => 17],
    ['its stub', () => 40],
    ['its padding length', (pdu: Uint8Array) => pdu.length - authLength(pdu) - 6],
    ['its signature', (pdu: Uint8Array) => pdu.length - 1],
  ])('is refused when a bit of %s is turned over', async (_, where) => {
    const { wire, rpc, client } = await bound();
    try {
      expect(await ask(client)).toHaveLength(1);
      wire.alter = (pdu) => {
        const at = where(pdu);
        pdu[at] = pdu[at]! ^ 1;
      };
      await expect(ask(client)).rejects.toMatchObject({ code: 'bad-signature' });
    } finally {
      rpc.close();
    }
  });

  it('is refused when it comes again', async () => {
    const { security, wire, rpc, client } = await bound();
    try {
      let pdu = new Uint8Array(0);
      wire.alter = (bytes) => {
        // A Buffer's slice is no copy.
        pdu = Uint8Array.from(bytes);
      };
      await ask(client);
      const trailer = pdu.length - authLength(pdu) - 8;
      const again = () => security.unseal(pdu, 24, trailer, trailer + 8, pdu.slice(trailer + 8));
      expect(again).toThrow(expect.objectContaining({ code: 'bad-signature' }));
    } finally {
      rpc.close();
    }
  });
});

const authLength = (pdu: Uint8Array): number => pdu[10]! | (pdu[11]! << 8);
