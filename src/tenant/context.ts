/** What the tenant's endpoints share: who the tenant is, where it is reached, its clock and its log. */

import type { Logger } from 'pino';
import type { AgentDomains } from './agent-domains.js';
import type { Metrics } from './monitor/metrics.js';
import type { TenantStore } from './store/store.js';

export interface TenantContext {
  readonly store: TenantStore;
  readonly displayName: string;
  /** Lower-case names of the domains that users may have. */
  readonly domains: ReadonlySet<string>;
  /** Which domains each agent may act for. */
  readonly agents: AgentDomains;
  /** `https://host:port` without a path; known once the server listens. */
  readonly baseUrl: () => string;
  readonly now: () => Date;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Whether the `{tenant}` of a URL means this one: its id, one of its domains, or the names for "any tenant". */
export function isThisTenant(context: TenantContext, name: string): boolean {
  const key = name.toLowerCase();
  return key === context.store.tenantId || key === 'organizations' || key === 'common' || context.domains.has(key);
}

/** The issuer of this tenant's tokens. */
export function issuerOf(context: TenantContext): string {
  return `${context.baseUrl()}/${context.store.tenantId}/v2.0`;
}
