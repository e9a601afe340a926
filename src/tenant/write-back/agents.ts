/** The agents that set passwords on premises: public keys and domains, as every process of the tenant sees them. */

import { createHash } from 'node:crypto';
import { type Poll, type PublicKey, publicKeySchema } from '../../provisioning/write-back.js';
import type { AgentDomains } from '../agent-domains.js';
import type { TenantDatabase } from '../store/database.js';

export interface WritebackAgent {
  /** Names one run of one agent, in at most 43 characters: digest of client id and instance. */
  readonly name: string;
  readonly clientId: string;
  readonly publicKey: PublicKey;
  readonly domains: readonly string[];
  readonly seenAt: number;
}

/** An agent polls every 25 seconds: one that has not for so long is gone. */
const ALIVE_MS = 60_000;
/** A poll need not be written down that comes so soon after the last. */
const SEEN_MS = 10_000;
const FORGET_MS = 24 * 3_600_000;
/** Sealing to each costs a key agreement; more than two run only while they are exchanged. */
const MOST = 8;

export const agentName = (clientId: string, instance: string): string =>
  createHash('sha256').update(`${instance}\0${clientId}`).digest('base64url');

export class WritebackAgents {
  readonly #database: TenantDatabase;
  readonly #domains: AgentDomains;
  readonly #now: () => number;
  /** What this process has written: agent's name → time, key and domains. */
  readonly #written = new Map<string, { readonly at: number; readonly text: string }>();

  constructor(database: TenantDatabase, domains: AgentDomains, now: () => number) {
    this.#database = database;
    this.#domains = domains;
    this.#now = now;
  }

  /** The first of the domains for which it may not have passwords. */
  foreign(clientId: string, { domains }: Poll): string | undefined {
    return this.#domains.foreign(clientId, domains);
  }

  /** Writes down that the agent polls. True where it had not before. */
  async seen(clientId: string, { instance, key, domains }: Poll): Promise<boolean> {
    const now = this.#now();
    const name = agentName(clientId, instance);
    const row = { public_key: JSON.stringify(key), domains: JSON.stringify(domains), seen_at: now };
    const text = row.public_key + row.domains;
    const known = this.#written.get(name);
    if (known !== undefined && known.text === text && now - known.at < SEEN_MS) return false;
    for (const [each, { at }] of this.#written) if (now - at > FORGET_MS) this.#written.delete(each);
    this.#written.set(name, { at: now, text });
    return this.#database.run(async (queries) => {
      const { numUpdatedRows } = await queries
        .updateTable('writeback_agents')
        .set(row)
        .where('client_id', '=', clientId)
        .where('instance_id', '=', instance)
        .executeTakeFirst();
      if (numUpdatedRows > 0n) return false;
      await queries
        .insertInto('writeback_agents')
        .values({ client_id: clientId, instance_id: instance, ...row })
        .onConflict((conflict) => conflict.columns(['client_id', 'instance_id']).doUpdateSet(row))
        .execute();
      await queries
        .deleteFrom('writeback_agents')
        .where('seen_at', '<', now - FORGET_MS)
        .execute();
      return true;
    });
  }

  /** Its connection broke, or it said goodbye: nobody need wait for it, unless it has polled again since. True where it was on the list. */
  async gone(clientId: string, instance: string): Promise<boolean> {
    const name = agentName(clientId, instance);
    const known = this.#written.get(name);
    this.#written.delete(name);
    const { numDeletedRows } = await this.#database.run((queries) =>
      queries
        .deleteFrom('writeback_agents')
        .where('client_id', '=', clientId)
        .where('instance_id', '=', instance)
        .where('seen_at', '<=', known?.at ?? 0)
        .executeTakeFirst(),
    );
    return numDeletedRows > 0n;
  }

  /** Who serves the domain now, who polled last first. */
  async serving(domain: string): Promise<WritebackAgent[]> {
    const all = await this.alive();
    // Looked at again: it may have polled before it was restricted, or at a process that was configured otherwise.
    return all
      .filter(({ clientId, domains }) => domains.includes(domain) && !this.#domains.foreign(clientId, [domain]))
      .slice(0, MOST);
  }

  async alive(): Promise<WritebackAgent[]> {
    const rows = await this.#database.run((queries) =>
      queries
        .selectFrom('writeback_agents')
        .selectAll()
        .where('seen_at', '>', this.#now() - ALIVE_MS)
        .orderBy('seen_at', 'desc')
        .execute(),
    );
    return rows.map((row) => ({
      name: agentName(row.client_id, row.instance_id),
      clientId: row.client_id,
      publicKey: publicKeySchema.parse(JSON.parse(row.public_key)),
      domains: JSON.parse(row.domains),
      seenAt: row.seen_at,
    }));
  }
}
