/** What a diagnosis consists of: checks, each with a result that names what was found and what to do about it. */

import { PhsyncError } from '../../hasher/errors.js';

/** `skipped`: could not be told, because of another finding or because it does not apply. */
export type CheckStatus = 'ok' | 'warning' | 'error' | 'skipped';

/** Every check by its id, which monitors may rely on, with its title, in the order in which they are shown. */
export const CHECKS = {
  configuration: 'Configuration',
  secrets: 'Secrets',
  node: 'Node.js',
  hasher: 'Hasher',
  fips: 'FIPS mode',
  gssapi: 'Kerberos library',
  'state-directory': 'State directory',
  'disk-space': 'Free disk space',
  agent: 'Agent',
  events: 'Event log',
  'tenant-reachable': 'Tenant reachable',
  'tenant-tls': "Tenant's certificate",
  'tenant-clock': "Clock against the tenant's",
  'tenant-token': 'Token',
  'tenant-access': 'Provisioning service',
  'tenant-feature': 'PasswordHashSync in the tenant',
  'domain-services': 'Domain Services',
  'writeback-feature': 'PasswordWriteBack in the tenant',
  'writeback-agent': 'Agent for password write-back',
  staging: 'Staging mode',
  'connector-enabled': 'Connector enabled',
  'first-sync': 'First full synchronization',
  'last-cycle': 'Last cycle',
  heartbeat: 'Heartbeat',
  deletions: 'Accidental deletions',
  'retry-queue': 'Retry queue',
  'domain-services-sync': 'Keys for Domain Services',
  'dc-found': 'Domain controllers',
  'dc-reachable': 'Domain controller reachable',
  'dc-logon': 'Logon',
  'dc-clock': "Clock against the domain controller's",
  'dc-domain': 'Domain',
  'right-get-changes': 'Right "Replicating Directory Changes"',
  'right-get-changes-all': 'Right "Replicating Directory Changes All"',
  'scope-ous': 'OUs of the scope',
  'writeback-ldap': 'LDAP over TLS, for password write-back',
  'writeback-right': 'Right "Reset Password"',
  object: 'Object in the directory',
  scope: 'Scope',
  tenant: 'Object in the tenant',
  password: 'Password',
  'object-keys': 'Keys for Domain Services',
  'object-retry': 'Retry queue',
  account: 'Account',
  results: 'Last results',
} as const;
export type CheckId = keyof typeof CHECKS;

/** Plain values, as JSON has them. */
export type Facts = Readonly<Record<string, string | number | boolean | object | null | undefined>>;

export interface CheckResult {
  readonly id: CheckId;
  readonly title: string;
  /** The connector that it concerns; undefined: the agent as a whole. */
  readonly connector?: string | undefined;
  /** The domain controller that it concerns. */
  readonly server?: string | undefined;
  readonly status: CheckStatus;
  /** One sentence or two. */
  readonly finding: string;
  /** What to do, of every warning and error. */
  readonly advice?: string | undefined;
  /** For programs. Never a secret. */
  readonly facts: Facts;
}

/** Whom a check concerns. */
export type Subject = Pick<CheckResult, 'connector' | 'server'>;

export const ok = (id: CheckId, finding: string, facts: Facts = {}, of: Subject = {}): CheckResult =>
  result(id, 'ok', finding, undefined, facts, of);

export const skipped = (id: CheckId, finding: string, of: Subject = {}): CheckResult =>
  result(id, 'skipped', finding, undefined, {}, of);

export const warning = (
  id: CheckId,
  finding: string,
  advice: string,
  facts: Facts = {},
  of: Subject = {},
): CheckResult => result(id, 'warning', finding, advice, facts, of);

export const failure = (
  id: CheckId,
  finding: string,
  advice: string,
  facts: Facts = {},
  of: Subject = {},
): CheckResult => result(id, 'error', finding, advice, facts, of);

function result(
  id: CheckId,
  status: CheckStatus,
  finding: string,
  advice: string | undefined,
  facts: Facts,
  { connector, server }: Subject,
): CheckResult {
  return {
    id,
    title: CHECKS[id],
    ...(connector === undefined ? {} : { connector }),
    ...(server === undefined ? {} : { server }),
    status,
    finding,
    ...(advice === undefined ? {} : { advice }),
    facts,
  };
}

/** The code and message of an error, and its facts. A programming error is thrown on. */
export function known(error: unknown): PhsyncError {
  if (error instanceof PhsyncError) return error;
  throw error;
}

/** `1 object`, `2,000 objects`. */
export function counted(n: number, what: string): string {
  return `${n.toLocaleString('en-US')} ${n === 1 ? what : `${what}s`}`;
}

/** `2026-05-01 12:00:00 UTC` */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `45 seconds`, `12 minutes`, `3 hours`, `5 days`. */
export function durationText(ms: number): string {
  const seconds = Math.abs(ms) / 1000;
  if (seconds < 90) return counted(Math.round(seconds), 'second');
  if (seconds < 90 * 60) return counted(Math.round(seconds / 60), 'minute');
  if (seconds < 48 * 3600) return counted(Math.round(seconds / 3600), 'hour');
  return counted(Math.round(seconds / 86_400), 'day');
}
