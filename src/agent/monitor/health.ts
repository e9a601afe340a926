/** Is the agent alive, and does it do what it is for? Pure: times and findings in, an answer for /healthz and /readyz out. */

import type { ConnectorGlance } from './source.js';

/** A loop that is so late for its cycle, or a cycle that has shown nothing new for so long, does not turn. */
export const STUCK_MS = 30 * 60_000;

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface Answer {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export interface HealthInput {
  /** Milliseconds since 1970, as all times here. */
  readonly now: number;
  readonly connectors: readonly ConnectorGlance[];
  /** The last page or start of a cycle of each connector. */
  readonly lastSign: (connector: string) => number | undefined;
}

export interface ReadyInput extends HealthInput {
  /** How old the last complete cycle may be. */
  readonly limitMs: number;
  /** The end of the last call to the tenant. */
  readonly tenant: { readonly at: number; readonly outcome: string } | undefined;
  /** Why the state cannot be written; undefined: it can. */
  readonly stateFailure: string | undefined;
}

/** The loops of all connectors turn. That the process answers says that its event loop does. */
export function health({ now, connectors, lastSign }: HealthInput): Answer {
  const checks = connectors
    .filter(({ enabled }) => enabled)
    .map((connector): Check => {
      const { name, state, startedAt, nextCycleAt } = connector;
      const sign = state === 'running' ? Math.max(startedAt ?? 0, lastSign(name) ?? 0) : (nextCycleAt ?? now);
      const late = now - sign;
      if (state === 'stopped') return { name, ok: false, detail: 'the loop has ended' };
      if (late <= STUCK_MS) return { name, ok: true, detail: state };
      const since = state === 'running' ? 'the cycle has shown nothing new' : 'the next cycle is late';
      return { name, ok: false, detail: `${since} for ${minutes(late)}` };
    });
  return answer(checks);
}

/** Passwords get through: every enabled connector had a complete cycle of late, tenant and state answer. */
export function readiness(input: ReadyInput): Answer {
  const { now, connectors, tenant, limitMs, stateFailure } = input;
  const enabled = connectors.filter(({ enabled }) => enabled);
  return answer([
    tenantCheck(tenant, now, limitMs),
    { name: 'state', ok: stateFailure === undefined, detail: stateFailure ?? 'can be written' },
    ...(enabled.length === 0 ? [{ name: 'connectors', ok: false, detail: 'no connector is enabled' }] : []),
    ...enabled.map((connector) => connectorCheck(connector, input)),
  ]);
}

function tenantCheck(tenant: ReadyInput['tenant'], now: number, limitMs: number): Check {
  const name = 'tenant';
  if (tenant === undefined) return { name, ok: false, detail: 'was not asked yet' };
  const age = now - tenant.at;
  if (tenant.outcome !== 'success') return { name, ok: false, detail: failure(tenant.outcome) };
  if (age > limitMs) return { name, ok: false, detail: `answered ${minutes(age)} ago, and was not asked since` };
  return { name, ok: true, detail: 'answers' };
}

/** What the last part of an error's code says of the tenant, or of the token service before it. */
const FAILURES: Readonly<Record<string, string>> = {
  unreachable: 'cannot be reached',
  timeout: 'did not answer in time',
  busy: 'is busy and asks for a pause',
  unavailable: 'answers with a failure of its own',
  tls: 'is not trusted: its certificate or TLS was not accepted',
  proxy: 'cannot be reached: the proxy does not connect to it',
  refused: "refuses the agent's client or its secret",
  'access-denied': 'does not allow the agent to synchronize',
  'not-activated': 'has password hash synchronization switched off',
  'bad-reply': 'answers with what no tenant says: check its URL',
};

function failure(code: string): string {
  const said = FAILURES[code.replace(/^(token|provisioning)-/, '')] ?? 'did not take the last call';
  return `${said} (${code})`;
}

function connectorCheck(connector: ConnectorGlance, { now, limitMs, lastSign }: ReadyInput): Check {
  const { completedAt, state, lastError } = connector;
  const name = `connector ${connector.name}`;
  const why = lastError === undefined ? '' : `; the last one failed: ${lastError}`;
  if (completedAt === undefined) {
    const first = state === 'running' ? 'the first one runs' : 'there was none yet';
    return { name, ok: false, detail: `no complete cycle: ${first}${why}` };
  }
  const age = now - completedAt;
  if (age <= limitMs) return { name, ok: true, detail: `complete cycle ${minutes(age)} ago` };
  // A full synchronization takes longer than the limit, and is no reason for an alarm while it goes on.
  const sign = lastSign(connector.name);
  if (state === 'running' && sign !== undefined && now - sign <= limitMs) {
    return { name, ok: true, detail: `a long cycle runs; the last complete one was ${minutes(age)} ago` };
  }
  return { name, ok: false, detail: `no complete cycle for ${minutes(age)}${why}` };
}

function answer(checks: readonly Check[]): Answer {
  return { ok: checks.every(({ ok }) => ok), checks };
}

const minutes = (ms: number) => `${Math.max(0, Math.round(ms / 60_000))} min`;
