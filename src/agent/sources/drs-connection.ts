/** One authenticated, sealed and bound connection to a domain controller's replication interface. */

import { DRSUAPI_INTERFACE, DrsClient } from '../../protocol/drsr/drs-client.js';
import { EPM_INTERFACE, EPM_PORT, mapTcpPort } from '../../protocol/epm/endpoint-mapper.js';
import { RpcClient } from '../../protocol/rpc/rpc-client.js';
import { accountName } from './drs-account.js';
import type { DrsErrorFacts, DrsStage } from './drs-error-facts.js';
import { drsError } from './drs-errors.js';
import { type DrsAuth, openSecurity } from './drs-security.js';
import { connectTcp, IDLE_TIMEOUT } from './tcp-transport.js';
import { limitTime } from './time-limit.js';

export interface DrsConnectionOptions {
  /** The domain controller's name, as it calls itself. */
  readonly server: string;
  /** Where that name is, if DNS does not say. */
  readonly address?: string | undefined;
  /** Port of the replication interface; without it the endpoint mapper is asked. */
  readonly port?: number | undefined;
  /** Default 135. */
  readonly epmPort?: number | undefined;
  /** DNS name of the domain. */
  readonly domain: string;
  readonly auth: DrsAuth;
  /** Whether NTLM may be spoken in FIPS mode. */
  readonly allowMd5InFips?: boolean | undefined;
  readonly timeouts?: { readonly connectMs?: number; readonly idleMs?: number } | undefined;
  /** What an operator should hear of and that stops nothing. */
  readonly onNotice?: ((notice: { readonly code: string; readonly message: string }) => void) | undefined;
}

export interface DrsConnection {
  readonly client: DrsClient;
  /** `dc1.phs.test (127.0.0.1:49153)` */
  readonly peer: string;
  /** When the Kerberos ticket ends that it was made with; undefined: never (NTLM). */
  readonly expires: Date | undefined;
  close(): void;
}

/**
 * Asks the endpoint mapper, connects, logs on and binds. Rejects with a PhsyncError that names the stage:
 * `dc-name-unknown`, `dc-unreachable`, `dc-connection-lost`, `dc-timeout`, `dc-no-replication-service`,
 * `dc-weak-security`, `dc-protocol-error`, …; for the logon see `logonMeaning`; `config-fips` where FIPS mode forbids NTLM.
 */
export async function connectDrs(options: DrsConnectionOptions, signal?: AbortSignal): Promise<DrsConnection> {
  const port = options.port ?? (await mapPort(options, signal));
  const transport = await at('connect', options, () => connect(options, port, signal));
  const abort = () => transport.close();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    // `connect` closes the transport when it fails.
    const logOn = async () => {
      const { context, expires } = await openSecurity(options).catch((error) => {
        abort();
        throw error;
      });
      const rpc = await RpcClient.connect(transport, {
        interfaceId: DRSUAPI_INTERFACE.uuid,
        version: DRSUAPI_INTERFACE,
        security: context,
      });
      return { rpc, expires };
    };
    const { rpc, expires } = await at('logon', options, () => limitTime(idleTimeoutOf(options), logOn, abort));
    try {
      const client = await at('bind', options, () =>
        limitTime(idleTimeoutOf(options), () => DrsClient.bind(rpc), abort),
      );
      return { client, peer: transport.peer, expires, close: () => rpc.close() };
    } catch (error) {
      rpc.close();
      throw error;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Longest silence of the domain controller, in milliseconds. */
export function idleTimeoutOf({ timeouts }: Pick<DrsConnectionOptions, 'timeouts'>): number {
  return timeouts?.idleMs ?? IDLE_TIMEOUT;
}

export function errorFacts(options: DrsConnectionOptions, stage: DrsStage): DrsErrorFacts {
  const { mechanism, keytab, credentialCache } = options.auth;
  return {
    server: options.server,
    domain: options.domain,
    account: accountName(options.auth),
    mechanism,
    credential: keytab !== undefined ? 'keytab' : credentialCache !== undefined ? 'cache' : 'password',
    stage,
  };
}

async function at<T>(stage: DrsStage, options: DrsConnectionOptions, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw drsError(error, errorFacts(options, stage));
  }
}

function connect(options: DrsConnectionOptions, port: number, signal: AbortSignal | undefined) {
  signal?.throwIfAborted();
  const { server, address, timeouts } = options;
  return connectTcp({
    host: address ?? server,
    port,
    name: server,
    ...(timeouts?.connectMs === undefined ? {} : { connectTimeoutMs: timeouts.connectMs }),
    idleTimeoutMs: idleTimeoutOf(options),
    signal,
  });
}

async function mapPort(options: DrsConnectionOptions, signal: AbortSignal | undefined): Promise<number> {
  const stage = 'endpoint-mapper';
  const transport = await at(stage, options, () => connect(options, options.epmPort ?? EPM_PORT, signal));
  const close = () => transport.close();
  signal?.addEventListener('abort', close, { once: true });
  try {
    const ask = async () => mapTcpPort(await RpcClient.connect(transport, EPM_INTERFACE), DRSUAPI_INTERFACE);
    return await at(stage, options, () => limitTime(idleTimeoutOf(options), ask, close));
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', close);
    close();
  }
}
