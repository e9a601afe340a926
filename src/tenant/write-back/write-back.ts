/** Password write-back, the tenant's side: seals a person's new password to the agents of the domain and waits for the answer. */

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { DirSyncFeature } from '../../provisioning/types.js';
import { MAX_PASSWORD, seal, type WriteOutcome, type WriteSubject } from '../../provisioning/write-back.js';
import type { PasswordWriteback } from '../passwords/types.js';
import type { PostgresDatabase } from '../store/postgres-database.js';
import type { TenantStore } from '../store/store.js';
import { type WritebackAgent, WritebackAgents } from './agents.js';
import { Broker, newProcessName } from './broker.js';
import { type Bus, noBus, PostgresBus } from './bus.js';
import { BUSY, failureText, NO_AGENT, NO_ANSWER, NOT_ON_PREMISES, NOT_TAKEN, refusalText, TOO_LONG } from './words.js';

export interface WritebackOptions {
  readonly store: TenantStore;
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

type Written = Awaited<ReturnType<PasswordWriteback['write']>>;

const NUL = /\0/;

export function createWriteback({ store, now, log, timeoutSeconds, onOutcome }: WritebackOptions): Writeback {
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
  const agents = new WritebackAgents(store.database, milliseconds);

  async function write(request: Parameters<PasswordWriteback['write']>[0]): Promise<Written> {
    const { user, oldPassword, newPassword } = request;
    const unavailable = (message: string): Written => ({ status: 'unavailable', message });
    const tooLong = (password: string | undefined) => password !== undefined && password.length > MAX_PASSWORD;
    // What no directory has had for a password; NUL ends a string for many a program on the way.
    if (oldPassword === '' || tooLong(oldPassword)) return wrongPassword();
    if (newPassword === '' || tooLong(newPassword) || NUL.test(newPassword)) {
      return { status: 'refused', reason: 'onPremisesPolicy', message: TOO_LONG };
    }
    const source = await sourceOf(store, user.objectId);
    if (source === undefined) return unavailable(NOT_ON_PREMISES);
    const { domain, sourceAnchor } = source;
    const serving = await agents.serving(domain);
    const id = randomUUID();
    const began = performance.now();
    const told = (outcome: string, reason?: string) => {
      onOutcome?.(outcome, reason);
      const seconds = Math.round(performance.now() - began) / 1000;
      const line = {
        requestId: id,
        objectId: user.objectId,
        domain,
        reset: oldPassword === undefined,
        outcome,
        reason,
      };
      log[outcome === 'done' || outcome === 'refused' ? 'info' : 'warn']({ ...line, seconds }, 'password write-back');
    };
    if (serving.length === 0) {
      told('noAgent');
      return unavailable(NO_AGENT);
    }
    const expires = milliseconds() + timeoutSeconds * 1000;
    const sealed = await sealForAll({ id, domain, sourceAnchor }, oldPassword, newPassword, serving);
    const brought = await broker.bring(id, sealed, expires);
    if (brought.status !== 'answered') {
      told(brought.status);
      const text = { notTaken: NOT_TAKEN, noAnswer: NO_ANSWER, refused: BUSY };
      return unavailable(text[brought.status]);
    }
    const { outcome } = brought;
    told(outcome.status, 'reason' in outcome ? outcome.reason : undefined);
    return inWords(outcome);
  }

  return {
    agents,
    broker,
    write,
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
