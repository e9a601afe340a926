/** One request: opened, its user found, the password set, all of it told as events with Entra Connect's numbers. */

import type { Logger } from 'pino';
import { readCa } from '../../config/ca.js';
import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
import { guidToText } from '../../protocol/dtyp/guid.js';
import type { HandOver, OpenedWrite, SealingKeys, WriteOutcome } from '../../provisioning/write-back.js';
import type { ConnectorConfig, DrsDirectoryConfig } from '../config.js';
import { type EventFields, type EventNumber, type EventSink, ofConnector } from '../events/event.js';
import { conditionAttributes, createScope } from '../scope.js';
import { locateControllers } from '../sources/dc-locator.js';
import type { LdapOptions } from './ldap-session.js';
import type { Refusal } from './refusals.js';
import { type SetPassword, setPassword } from './set-password.js';

/** A connector that writes back. */
export type WritebackConnector = ConnectorConfig & { readonly directory: DrsDirectoryConfig };

export interface HandlerOptions {
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly log: Logger;
  readonly events: EventSink;
  readonly now: () => number;
  readonly random: () => number;
  /** The objectGUIDs of the connector's objects that the tenant knows by this source anchor. */
  readonly guidsOfAnchor: (connector: string, anchor: Uint8Array) => readonly Uint8Array[];
}

export interface WriteOptions extends HandlerOptions {
  /** Resolves when nothing is under way to the tenant that was read of the object before. */
  readonly quiet: (guid: string) => Promise<void>;
}

export interface Handled {
  readonly outcome: WriteOutcome;
  /** The object whose password was set. */
  readonly changed: { readonly connector: string; readonly guid: string } | undefined;
}

/** What is said to one domain controller, at most; the request may leave less. */
const STEP_MS = 10_000;
/** For the result to be on its way. */
const RESERVE_MS = 500;

/** Who set passwords over LDAP. @throws PhsyncError `config-secret`, `config-ca`, `dc-not-found` */
export async function ldapOptions(
  { name, directory, passwordWriteback }: WritebackConnector,
  { env, random }: Pick<HandlerOptions, 'env' | 'random'>,
  timeoutMs = STEP_MS,
): Promise<LdapOptions[]> {
  const { auth, tls = 'ldaps', port, ca: caFile } = passwordWriteback ?? {};
  const user = auth?.user ?? directory.auth.user;
  const reference = auth?.password ?? directory.auth.password;
  if (user === undefined || reference === undefined) {
    throw new PhsyncError('config-invalid', `connectors ${name}: passwordWriteback.auth is missing`);
  }
  const key = auth === undefined ? 'directory.auth.password' : 'passwordWriteback.auth.password';
  const password = await resolveSecret(reference, key, env);
  const ca = caFile === undefined ? undefined : await readCa(caFile, 'passwordWriteback.ca');
  const { controllers } = await locateControllers(directory, { random });
  return controllers.map(({ server, address }) => ({
    server,
    address,
    domain: directory.domain,
    tls,
    port,
    ca,
    caFile,
    user,
    password,
    timeoutMs,
  }));
}

export async function handleWrite(
  { id, sealed, expiresIn }: HandOver,
  keys: SealingKeys,
  connectors: readonly WritebackConnector[],
  options: WriteOptions,
): Promise<Handled> {
  const { events, log, now } = options;
  const deadline = now() + expiresIn - RESERVE_MS;
  let opened: OpenedWrite;
  try {
    opened = await keys.open(sealed);
  } catch (error) {
    // Its message may quote what was in it.
    const { code, name } = error as Error & { code?: string };
    events.emit(32004, { requestId: id, code: code ?? name });
    return failed('sealed');
  }
  try {
    const { domain, sourceAnchor: anchor, oldPassword } = opened;
    const connector = connectors.find(({ directory }) => directory.domain === domain);
    if (opened.id !== id || connector === undefined) {
      const message =
        connector === undefined
          ? `no connector writes back to ${domain}`
          : 'the request was handed over under another id';
      events.emit(32003, { requestId: id, message });
      return failed(connector === undefined ? 'noUser' : 'sealed');
    }
    const kind = oldPassword === undefined ? RESET : CHANGE;
    const who: EventFields = { requestId: id, anchor };
    const own = ofConnector(events, connector);
    own.emit(kind.start, who);
    const outcome = await write(opened, connector, deadline, options, {
      done: ({ dn, server }) => own.emit(kind.success, { ...who, dn, server }),
      failed: (number, fields) => {
        own.emit(number, { ...who, ...fields });
        own.emit(kind.fail, { ...who, dn: fields.dn, reason: fields.reason });
      },
    });
    return outcome;
  } catch (error) {
    log.error({ err: error }, 'password write-back failed');
    events.emit(32000, { requestId: id, code: error instanceof Error ? error.name : 'unknown' });
    return failed('failed');
  } finally {
    opened.wipe();
  }
}

const RESET = { start: 31001, success: 31002, fail: 31003 } as const;
const CHANGE = { start: 31006, success: 31007, fail: 31008 } as const;

const failed = (reason: Extract<Refusal, { status: 'failed' }>['reason']): Handled => ({
  outcome: { status: 'failed', reason },
  changed: undefined,
});

interface Telling {
  done(what: SetPassword): void;
  failed(number: EventNumber, fields: EventFields): void;
}

async function write(
  opened: OpenedWrite,
  connector: WritebackConnector,
  deadline: number,
  options: WriteOptions,
  tell: Telling,
): Promise<Handled> {
  const { now, guidsOfAnchor } = options;
  const [guidBytes, ...others] = guidsOfAnchor(connector.name, Buffer.from(opened.sourceAnchor, 'base64'));
  if (guidBytes === undefined || others.length > 0) {
    const reason = guidBytes === undefined ? 'noUser' : 'ambiguousUser';
    const message =
      guidBytes === undefined
        ? 'no object that this connector synchronizes has this source anchor'
        : `${others.length + 1} objects that this connector synchronizes have this source anchor`;
    tell.failed(EVENT_OF[reason], { reason, message });
    return failed(reason);
  }
  const guid = guidToText(guidBytes);
  await options.quiet(guid);
  let what: SetPassword;
  try {
    what = await setPassword(guid, opened, {
      controllers: await ldapOptions(connector, options, Math.min(STEP_MS, Math.max(deadline - now(), 1))),
      scope: createScope(connector.scope),
      conditionAttributes: conditionAttributes(connector.scope),
      now,
      deadline,
    });
  } catch (error) {
    if (!(error instanceof PhsyncError)) throw error;
    const { code, message } = error;
    tell.failed(code.startsWith('ldap-') ? 33001 : 33009, { reason: 'directory', code, message });
    return failed('directory');
  }
  if (what.status === 'done') {
    tell.done(what);
    const { changedAt } = what;
    const outcome: WriteOutcome = changedAt === undefined ? { status: 'done' } : { status: 'done', changedAt };
    return { outcome, changed: { connector: connector.name, guid } };
  }
  const { refusal, message, dn, server } = what;
  tell.failed(EVENT_OF[refusal.reason], { dn, server, reason: refusal.reason, message });
  return { outcome: refusal, changed: undefined };
}

/** Entra Connect's numbers for what a directory says. */
const EVENT_OF: Readonly<Record<Refusal['reason'], EventNumber>> = {
  noUser: 33002,
  outOfScope: 33002,
  ambiguousUser: 33003,
  rights: 33004,
  accountDisabled: 33005,
  accountLocked: 33006,
  wrongPassword: 33007,
  policy: 33008,
  tooShort: 33008,
  complexity: 33008,
  history: 33008,
  tooYoung: 33008,
  directory: 33009,
  sealed: 32004,
  late: 32003,
  noAnswer: 33001,
  failed: 33001,
};
