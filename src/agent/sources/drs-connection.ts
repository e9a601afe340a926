/** One authenticated, sealed and bound connection to a domain controller's replication interface. */

import { randomBytes } from 'node:crypto';
import { DRSUAPI_INTERFACE, DrsClient } from '../../protocol/drsr/drs-client.js';
import { EPM_INTERFACE, EPM_PORT, mapTcpPort } from '../../protocol/epm/endpoint-mapper.js';
import { RpcClient } from '../../protocol/rpc/rpc-client.js';
import type { SecurityContext } from '../../protocol/rpc/security-context.js';
import { NtlmContext } from '../../protocol/ssp/ntlm/ntlm-context.js';
import { SpnegoContext } from '../../protocol/ssp/spnego/spnego-context.js';
import { parseAccount } from './drs-account.js';
import { type DrsErrorFacts, type DrsStage, drsError } from './drs-errors.js';
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
  readonly auth: {
    /** Raw NTLM, or NTLM inside SPNEGO. */
    readonly mechanism: 'ntlm' | 'negotiate';
    /** `phs.sync`, `PHS\phs.sync` or `phs.sync@phs.test`. */
    readonly user: string;
    /** For a bare user name. Default: the directory's domain. */
    readonly domain?: string | undefined;
    readonly password: string;
  };
  /** Whether NTLM may be spoken in FIPS mode. */
  readonly allowMd5InFips?: boolean | undefined;
  readonly timeouts?: { readonly connectMs?: number; readonly idleMs?: number } | undefined;
}

export interface DrsConnection {
  readonly client: DrsClient;
  /** `dc1.phs.test (127.0.0.1:49153)` */
  readonly peer: string;
  close(): void;
}

/**
 * Asks the endpoint mapper, connects, logs on and binds. Rejects with a PhsyncError that names the stage:
 * `dc-name-unknown`, `dc-unreachable`, `dc-connection-lost`, `dc-timeout`, `dc-no-replication-service`,
 * `dc-logon-failed`, `dc-weak-security`, `dc-protocol-error`, …; `config-fips` where FIPS mode forbids NTLM.
 */
export async function connectDrs(options: DrsConnectionOptions, signal?: AbortSignal): Promise<DrsConnection> {
  const port = options.port ?? (await mapPort(options, signal));
  const transport = await at('connect', options, () => connect(options, port, signal));
  const abort = () => transport.close();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    // `connect` closes the transport when it fails.
    const rpc = await at('logon', options, () =>
      limitTime(
        idleTimeoutOf(options),
        () =>
          RpcClient.connect(transport, {
            interfaceId: DRSUAPI_INTERFACE.uuid,
            version: DRSUAPI_INTERFACE,
            security: securityContext(options),
          }),
        abort,
      ),
    );
    try {
      const client = await at('bind', options, () =>
        limitTime(idleTimeoutOf(options), () => DrsClient.bind(rpc), abort),
      );
      return { client, peer: transport.peer, close: () => rpc.close() };
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
  return { server: options.server, domain: options.domain, account: options.auth.user, stage };
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

function securityContext({ server, domain, auth, allowMd5InFips }: DrsConnectionOptions): SecurityContext {
  const ntlm = new NtlmContext({
    ...parseAccount(auth.user, auth.domain ?? domain),
    password: auth.password,
    targetName: `ldap/${server}`,
    random: randomBytes,
    now: () => new Date(),
    allowMd5InFips,
  });
  return auth.mechanism === 'negotiate' ? new SpnegoContext([ntlm]) : ntlm;
}
