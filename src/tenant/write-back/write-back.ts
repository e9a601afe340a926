/** Password write-back, the tenant's side: seals a person's new password to the agents of the domain and waits for the answer. */

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { DirSyncFeature } from '../../provisioning/types.js';
import { MAX_PASSWORD, seal, type WriteOutcome, type WriteSubject } from '../../provisioning/write-back.js';
import type { AgentDomains } from '../agent-domains.js';
import type { PasswordWriteback } from '../passwords/types.js';
import type { PostgresDatabase } from '../store/postgres-database.js';
import type { TenantStore } from '../store/store.js';
import { type WritebackAgent, WritebackAgents } from './agents.js';
import { Broker, newProcessName } from './broker.js';
import { type Bus, noBus, PostgresBus } from './bus.js';
import { BUSY, failureText, NO_AGENT, NO_ANSWER, NOT_ON_PREMISES, NOT_TAKEN, refusalText, TOO_LONG } from './words.js';

export interface WritebackOptions {
  readonly store: TenantStore;
  /** Which domains each agent may act for. */
  readonly agents: AgentDomains;
  readonly now: () => Date;
  readonly log: Logger;
  /** How long a person waits for the domain controller. */
  readonly timeoutSeconds: number;
  readonly onOutcome?: ((outcome: string, reason?: string) => void) | undefined;
}

export interface WritebackStatus {
  /** Agents that polled within the last minute, at any process, and how many serve each domain. */
  readonly agents: number;
  readonly domains: Readonly<Record<string, number>>;
  /** Of this process: people who wait, and polls that do. */
  readonly waiting: number;
  readonly polls: number;
}

export interface Writeback extends PasswordWriteback {
  readonly agents: WritebackAgents;
  readonly broker: Broker;
  status(): Promise<WritebackStatus>;
  /** Ends every wait; before the server stops listening. */
  close(): Promise<void>;
}

type WriteRequest = Parameters<PasswordWriteback['write']>[0];
type Written = Awaited<ReturnType<PasswordWriteback['write']>>;

/** Of the log. */
interface Line {
  readonly requestId: string;
  readonly objectId: string;
  readonly domain: string;
  readonly reset: boolean;
}

interface Prepared {
  readonly status: 'sealed';
  readonly id: string;
  readonly sealed: ReadonlyMap<string, string>;
  readonly line: Line;
}

const NUL = /\0/;

export function createWriteback({
  store,
  agents: agentDomains,
  now,
  log,
  timeoutSeconds,
  onOutcome,
}: WritebackOptions): Writeback {
  const milliseconds = () => now().getTime();
  const sender = newProcessName();
  const bus: Bus =
    store.database.dialect === 'postgres'
      ? new PostgresBus({
          pool: (store.database as PostgresDatabase).pool,
          tenantId: store.tenantId,
          sender,
          log,
        })
      : noBus;
  const broker = new Broker({ bus, process: sender, now: milliseconds });
  const agents = new WritebackAgents(store.database, agentDomains, milliseconds);

  /** What is left of a request once its passwords are sealed; or the answer, where there is nothing to hand over. */
  async function prepare(request: WriteRequest): Promise<Prepared | Written> {
    const { user, oldPassword, newPassword } = request;
    const tooLong = (password: string | undefined) => password !== undefined && password.length > MAX_PASSWORD;
    // What no directory has had for a password; NUL ends a string for many a program on the way.
    if (oldPassword === '' || tooLong(oldPassword)) return wrongPassword();
    if (newPassword === '' || tooLong(newPassword) || NUL.test(newPassword)) {
      return { status: 'refused', reason: 'onPremisesPolicy', message: TOO_LONG };
    }
    const { objectId } = user;
    const source = await sourceOf(store, objectId);
    if (source === undefined) return unavailable(NOT_ON_PREMISES);
    const { domain, sourceAnchor } = source;
    const id = randomUUID();
    const line: Line = { requestId: id, objectId, domain, reset: oldPassword === undefined };
    const serving = await agents.serving(domain);
    if (serving.length === 0) {
      tell(line, 0, 'noAgent');
      return unavailable(NO_AGENT);
    }
    const sealed = await sealForAll({ id, domain, sourceAnchor }, oldPassword, newPassword, serving);
    return { status: 'sealed', id, sealed, line };
  }

  async function bring(prepared: Prepared | Written): Promise<Written> {
    if (prepared.status !== 'sealed') return prepared;
    const { id, sealed, line } = prepared;
    const began = performance.now();
    const brought = await broker.bring(id, sealed, milliseconds() + timeoutSeconds * 1000);
    const ms = performance.now() - began;
    if (brought.status !== 'answered') {
      tell(line, ms, brought.status);
      const text = { notTaken: NOT_TAKEN, noAnswer: NO_ANSWER, refused: BUSY };
      return unavailable(text[brought.status]);
    }
    const { outcome } = brought;
    tell(line, ms, outcome.status, 'reason' in outcome ? outcome.reason : undefined);
    return inWords(outcome);
  }

  function tell(line: Line, ms: number, outcome: string, reason?: string): void {
    onOutcome?.(outcome, reason);
    const level = outcome === 'done' || outcome === 'refused' ? 'info' : 'warn';
    log[level]({ ...line, outcome, reason, seconds: Math.round(ms) / 1000 }, 'password write-back');
  }

  return {
    agents,
    broker,
    // Two steps, so that nothing here holds the passwords while the domain controller is waited for.
    write: (request) => prepare(request).then(bring),
    async isOn() {
      return ((await store.dirSyncFeatures()) & DirSyncFeature.PasswordWriteBack) !== 0;
    },
    async status() {
      const alive = await agents.alive();
      const domains: Record<string, number> = {};
      for (const { domains: served } of alive) {
        for (const domain of served) domains[domain] = (domains[domain] ?? 0) + 1;
      }
      return { agents: alive.length, domains, ...broker.counts };
    },
    close: () => broker.close(),
  };
}

const unavailable = (message: string): Written => ({ status: 'unavailable', message });

const wrongPassword = (): Written => ({
  status: 'refused',
  reason: 'wrongPassword',
  message: refusalText({ status: 'refused', reason: 'wrongPassword' }),
});

function inWords(outcome: WriteOutcome): Written {
  switch (outcome.status) {
    case 'done': {
      const { changedAt } = outcome;
      // Replication tells whole seconds: what it will bring of this very change is not older than that.
      return changedAt === undefined
        ? { status: 'done' }
        : { status: 'done', changedAt: new Date(changedAt - (changedAt % 1000)) };
    }
    case 'failed':
      return { status: 'unavailable', message: failureText(outcome.reason) };
    case 'refused':
      return outcome.reason === 'wrongPassword'
        ? wrongPassword()
        : { status: 'refused', reason: 'onPremisesPolicy', message: refusalText(outcome) };
  }
}

async function sourceOf(
  { database }: TenantStore,
  objectId: string,
): Promise<{ readonly sourceAnchor: string; readonly domain: string } | undefined> {
  const row = await database.run((queries) =>
    queries
      .selectFrom('users')
      .select(['source_anchor', 'dns_domain_name'])
      .where('object_id', '=', objectId)
      .where('deleted_at', 'is', null)
      .executeTakeFirst(),
  );
  if (!row?.source_anchor || !row.dns_domain_name) return undefined;
  return { sourceAnchor: row.source_anchor, domain: row.dns_domain_name.toLowerCase() };
}

/** The bytes that are made of the passwords here are gone when it resolves. */
async function sealForAll(
  subject: WriteSubject,
  oldText: string | undefined,
  newText: string,
  agents: readonly WritebackAgent[],
): Promise<ReadonlyMap<string, string>> {
  const oldPassword = oldText === undefined ? undefined : Buffer.from(oldText);
  const newPassword = Buffer.from(newText);
  try {
    const sealed = agents.map(
      async ({ name, publicKey }) => [name, await seal(subject, { oldPassword, newPassword }, publicKey)] as const,
    );
    return new Map(await Promise.all(sealed));
  } finally {
    oldPassword?.fill(0);
    newPassword.fill(0);
  }
}
