/** Connections to the domain controller at the level of the protocol. */

import { randomBytes } from 'node:crypto';
import { connectTcp } from '#src/agent/sources/tcp-transport.js';
import { DRSUAPI_INTERFACE } from '#src/protocol/drsr/drs-client.js';
import { EPM_INTERFACE, EPM_PORT, mapTcpPort } from '#src/protocol/epm/endpoint-mapper.js';
import { RpcClient } from '#src/protocol/rpc/rpc-client.js';
import type { SecurityContext } from '#src/protocol/rpc/security-context.js';
import type { Transport } from '#src/protocol/rpc/transport.js';
import { NtlmContext } from '#src/protocol/ssp/ntlm/ntlm-context.js';
import { SpnegoContext } from '#src/protocol/ssp/spnego/spnego-context.js';
import { type DcUser, facts } from './dc.js';

/** The port at which the DC offers an interface. */
export async function portOf(uuid: string, major: number): Promise<number> {
  const client = await RpcClient.connect(await connectTcp({ host: facts().host, port: EPM_PORT }), EPM_INTERFACE);
  try {
    return await mapTcpPort(client, { uuid, major, minor: 0 });
  } finally {
    client.close();
  }
}

export function ntlm(user: Pick<DcUser, 'name' | 'password'>): NtlmContext {
  return new NtlmContext({
    user: user.name,
    domain: facts().netbiosDomain,
    password: user.password!,
    random: (n) => randomBytes(n),
    now: () => new Date(),
  });
}

export const spnego = (user: Pick<DcUser, 'name' | 'password'>): SecurityContext => new SpnegoContext([ntlm(user)]);

/** A sealed connection to DRSUAPI. `wrap` may stand in between. */
export async function connectDrsuapi(
  security: SecurityContext,
  wrap: (transport: Transport) => Transport = (transport) => transport,
): Promise<RpcClient> {
  const transport = await connectTcp({ host: facts().host, port: facts().drsuapiPort });
  return RpcClient.connect(wrap(transport), {
    interfaceId: DRSUAPI_INTERFACE.uuid,
    version: DRSUAPI_INTERFACE.major,
    security,
  });
}
