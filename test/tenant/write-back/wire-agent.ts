/** An agent reduced to the wire: polls, opens what it gets and answers as the test says. The real one is tested against Samba. */

import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import {
  makeSealingKeys,
  type OpenedWrite,
  type SealingKeys,
  type WriteOutcome,
} from '#src/provisioning/write-back.js';
import type { TestTenant } from '../harness.js';

/** Polls that a test leaves behind. */
let leaving = new AbortController();

/** Every poll ends as that of an agent that was killed. */
export function killAgents(): void {
  leaving.abort();
  leaving = new AbortController();
}

type Where = Pick<TestTenant, 'url' | 'dispatcher'>;

export class WireAgent {
  readonly instance = randomUUID();
  readonly keys: SealingKeys;
  readonly #tenant: Where;
  readonly #token: string;
  readonly #domains: readonly string[];

  private constructor(tenant: Where, token: string, domains: readonly string[], keys: SealingKeys) {
    this.#tenant = tenant;
    this.#token = token;
    this.#domains = domains;
    this.keys = keys;
  }

  static async make(tenant: TestTenant, domains = ['phs.test']): Promise<WireAgent> {
    return new WireAgent(tenant, await tenant.agentToken(), domains, await makeSealingKeys());
  }

  /** The same agent, at another process of the tenant. */
  async at(tenant: TestTenant): Promise<WireAgent> {
    const moved = new WireAgent(tenant, await tenant.agentToken(), this.#domains, this.keys);
    return Object.assign(moved, { instance: this.instance });
  }

  async post(path: string, body: unknown, options: { token?: string | undefined; signal?: AbortSignal } = {}) {
    const { token = this.#token, signal = leaving.signal } = options;
    const reply = await request(`${this.#tenant.url}/passwordwriteback/v1/${path}`, {
      method: 'POST',
      dispatcher: this.#tenant.dispatcher,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
      signal,
    });
    const text = await reply.body.text();
    // biome-ignore lint/suspicious/noExplicitAny: looked at member by member
    return { status: reply.statusCode, json: (text === '' ? undefined : JSON.parse(text)) as any };
  }

  poll(options: { token?: string; signal?: AbortSignal } = {}) {
    const { instance, keys } = this;
    return this.post('next', { instance, key: keys.publicKey, domains: this.#domains }, options);
  }

  result(id: string, outcome: WriteOutcome) {
    return this.post(`${id}/result`, { instance: this.instance, outcome });
  }

  /** Polls until there is something, and opens it. */
  async take(): Promise<OpenedWrite> {
    for (;;) {
      const { status, json } = await this.poll();
      if (status === 200) return this.keys.open(json.sealed);
      if (status !== 204) throw new Error(`the tenant answers ${status} ${JSON.stringify(json)}`);
    }
  }
}
