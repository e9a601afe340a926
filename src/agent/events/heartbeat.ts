/** The heartbeat of a connector: where it has had nothing to send for half an hour, the tenant is pinged on its behalf. */

import { DirSyncFeature } from '../../provisioning/types.js';
import type { Clock } from '../clock.js';
import type { TenantClient } from '../link.js';
import type { ConnectorState } from '../state/connector-state.js';
import { errorFields } from '../tenant-errors.js';
import type { EventSink } from './event.js';

/** As Entra Connect has it. */
export const HEARTBEAT_MS = 30 * 60_000;

export interface HeartbeatOptions {
  readonly client: Pick<TenantClient, 'getCompanyConfiguration'>;
  readonly state: Pick<ConnectorState, 'heartbeatAt'>;
  readonly clock: Clock;
  /** Bound to the connector. */
  readonly events: EventSink;
  readonly signal: AbortSignal;
}

/**
 * To be called after each cycle of a connector that came to its end; `sent`: passwords that the tenant took in it, which
 * are a heartbeat, too. Pings where the last one is half an hour ago: events 653 and 654, 655 where the tenant does not
 * answer, 662 where it does and something else is wrong. Never rejects.
 */
export async function keepHeartbeat(options: HeartbeatOptions, sent: number): Promise<void> {
  const { state, clock, events } = options;
  try {
    const now = clock.now();
    const last = state.heartbeatAt;
    // A time to come is of a clock that has been set back since.
    const due = last === undefined || now - last >= HEARTBEAT_MS || last > now;
    if (sent > 0) state.heartbeatAt = now;
    else if (due && !options.signal.aborted) await ping(options);
  } catch (error) {
    // All that is left to fail is the state.
    events.emit(662, { task: 'writing the heartbeat down', ...errorFields(error) });
  }
}

/**
 * The real service has an operation for it that is not published; one that every client may call, and that reads the
 * tenant's configuration, shows the same: network, TLS, token and service work.
 */
async function ping({ client, state, clock, events, signal }: HeartbeatOptions): Promise<void> {
  events.emit(653);
  let features: number;
  try {
    ({ dirSyncFeatures: features } = await client.getCompanyConfiguration({ signal }));
  } catch (error) {
    if (!signal.aborted) events.emit(655, errorFields(error));
    return;
  }
  events.emit(654);
  state.heartbeatAt = clock.now();
  if ((features & DirSyncFeature.PasswordHashSync) === 0) {
    events.emit(662, { task: "the tenant's feature PasswordHashSync", errorDescription: 'it is switched off' });
  }
}
