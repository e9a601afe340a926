/** Password write-back as the agent has it: which connectors do it, and the loop that goes on through new configurations. */

import type { Clock } from '../clock.js';
import type { AgentConfig } from '../config.js';
import type { OpenTenantClient } from '../tenant-client.js';
import type { WritebackConnector } from './handle.js';
import { WritebackLoop, type WritebackLoopOptions, type WritebackSettings } from './loop.js';
import { openWritebackTenant } from './tenant.js';

/** Those whose directories take passwords from the tenant; a simulated directory has no LDAP. */
export function writebackConnectors({ passwordWriteback, connectors }: AgentConfig): WritebackConnector[] {
  if (!passwordWriteback?.enabled) return [];
  return connectors.filter(
    (connector): connector is WritebackConnector =>
      connector.enabled && connector.directory.type === 'drs' && (connector.passwordWriteback?.enabled ?? true),
  );
}

export class Writeback {
  readonly #options: WritebackLoopOptions;
  readonly #loop: WritebackLoop;
  readonly #closing = new AbortController();
  #settings: WritebackSettings;

  constructor(config: AgentConfig, client: OpenTenantClient, options: WritebackLoopOptions) {
    this.#options = options;
    this.#settings = settingsOf(config, client, this.#options.clock);
    this.#loop = new WritebackLoop(this.#settings, options);
  }

  /** Until the signal aborts, or `close()`. Never rejects. */
  run(signal: AbortSignal): Promise<void> {
    return this.#loop.run(AbortSignal.any([signal, this.#closing.signal]));
  }

  /** Resolves when nothing uses the former client any more. */
  async reconfigure(config: AgentConfig, client: OpenTenantClient): Promise<void> {
    const former = this.#settings;
    this.#settings = settingsOf(config, client, this.#options.clock);
    await this.#loop.reconfigure(this.#settings);
    await former.tenant.close();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#settings.tenant.close();
  }
}

function settingsOf(config: AgentConfig, client: OpenTenantClient, clock: Clock): WritebackSettings {
  const tenant = openWritebackTenant(config.tenant.url, client, () => clock.now());
  return { connectors: writebackConnectors(config), tenant };
}
