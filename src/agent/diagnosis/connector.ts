/** Checks of one connector, by what the agent's state says of it. */

import type { CompanyConfiguration } from '../../provisioning/types.js';
import type { ConnectorConfig } from '../config.js';
import { deletionThreshold } from '../deletions.js';
import type { ConnectorSummary, PastCycle, StateReader } from '../state/reader.js';
import {
  type CheckResult,
  counted,
  durationText,
  failure,
  ok,
  type Subject,
  skipped,
  timeText,
  warning,
} from './check.js';
import { ownershipAdvice } from './refusal.js';

/** Entra Connect's diagnosis looks back three hours. */
const HEARTBEAT_MS = 3 * 3_600_000;
/** What waits longer than a few tries take needs somebody. */
const LONG_WAIT_MS = 3 * 3_600_000;

export interface ConnectorOptions {
  readonly reader: StateReader | undefined;
  readonly now: number;
  /** Undefined: cannot be told. */
  readonly agentRuns: boolean | undefined;
  /** Undefined where the tenant did not tell. */
  readonly company: CompanyConfiguration | undefined;
  readonly staging: boolean;
}

export function checkEnabled({ name, enabled }: ConnectorConfig, anyEnabled: boolean): CheckResult {
  const of = { connector: name };
  if (enabled) return ok('connector-enabled', 'enabled', {}, of);
  const finding = 'the connector is disabled: none of its users and passwords are synchronized';
  const advice = `Set enabled: true for ${name} in agent.yaml; it goes on where it stopped.`;
  return anyEnabled
    ? warning('connector-enabled', finding, advice, {}, of)
    : failure('connector-enabled', `${finding}, and no other is enabled`, advice, {}, of);
}

export function checkStaging(staging: boolean): CheckResult {
  if (!staging) return ok('staging', 'off', { staging });
  return warning(
    'staging',
    'staging mode is on: everything is imported and computed, and nothing is sent',
    'Set staging: false in agent.yaml if this agent is to send; make sure that no other does.',
    { staging },
  );
}

export function checkConnectorState({ name }: ConnectorConfig, options: ConnectorOptions): CheckResult[] {
  const of = { connector: name };
  const { reader } = options;
  const summary = reader?.connector(name);
  const [last] = reader?.cycles(name, 1) ?? [];
  if (reader === undefined || summary === undefined) {
    const why = reader === undefined ? 'there is no state that can be read' : 'no cycle has begun yet';
    return [
      reader === undefined
        ? skipped('first-sync', why, of)
        : warning('first-sync', why, 'Start the agent: phsync agent --config FILE', {}, of),
      ...(['last-cycle', 'heartbeat', 'deletions', 'retry-queue'] as const).map((id) => skipped(id, why, of)),
    ];
  }
  return [
    checkFirstSync(summary, options, of),
    checkLastCycle(summary, last, options, of),
    checkHeartbeat(summary, options, of),
    checkDeletions(summary, last, options, of),
    checkRetryQueue(reader, name, options, of),
  ];
}

function checkFirstSync(
  { fullSyncAt, running }: ConnectorSummary,
  { agentRuns, staging }: ConnectorOptions,
  of: Subject,
): CheckResult {
  if (fullSyncAt !== undefined) {
    return ok('first-sync', `complete since ${timeText(fullSyncAt)}`, { fullSyncAt: iso(fullSyncAt) }, of);
  }
  if (running && agentRuns) {
    return warning(
      'first-sync',
      'the first full synchronization is under way: not every user has been sent yet',
      'Wait until it has ended; it goes on where it was after any interruption.',
      {},
      of,
    );
  }
  if (staging) return skipped('first-sync', 'staging mode is on', of);
  return failure(
    'first-sync',
    'the first full synchronization has never come to its end: not every user has been sent',
    'See what the last cycle says, correct that, and let the agent run; it goes on where it was.',
    {},
    of,
  );
}

/** Code of a cycle's error → what to do. */
const CYCLE_ADVICE: Readonly<Record<string, string>> = {
  'too-many-deletions': 'See "Accidental deletions" below.',
  'tenant-feature-off': 'Have the feature PasswordHashSync turned on in the tenant.',
  'dc-access-denied': 'Grant both rights: phsync permissions --grant-command prints how.',
  'dc-logon-failed': "Correct the account's name or password in agent.yaml, or the account in the directory.",
  'cookie-foreign': 'The domain is another one than before: run phsync agent --once --full.',
  'cookie-corrupt': 'Run phsync agent --once --full, which starts from the beginning.',
  'tenant-changed': 'Correct tenant.url, or run phsync agent --once --full to send everything to the new tenant.',
  'scope-unknown': "Correct the OU's name in the connector's scope.",
};

const FAILED_ADVICE = 'See "Retry queue" below: they are tried again on their own.';

function checkLastCycle(
  { running, users }: ConnectorSummary,
  last: PastCycle | undefined,
  { agentRuns }: ConnectorOptions,
  of: Subject,
): CheckResult {
  if (last === undefined) {
    if (running && agentRuns) return skipped('last-cycle', 'the first one is under way', of);
    return failure(
      'last-cycle',
      running ? 'the only cycle so far was cut off' : 'no cycle has ended yet',
      'Let the agent run; it goes on where it was.',
      {},
      of,
    );
  }
  const { started, finished, error, inScope, credentialsSent, failed, deleted } = last;
  const facts = {
    started: iso(started),
    finished: iso(finished),
    seconds: (finished - started) / 1000,
    inScope,
    credentialsSent,
    failed,
    deleted,
  };
  if (error !== undefined) {
    return failure(
      'last-cycle',
      `failed on ${timeText(finished)}: ${error.message}`,
      CYCLE_ADVICE[error.code] ?? 'The findings of this diagnosis may say why; else look into the log of the agent.',
      { ...facts, code: error.code },
      of,
    );
  }
  const sent = `${counted(credentialsSent, 'password')} sent, ${failed} failed`;
  const text = `on ${timeText(finished)}: ${counted(inScope, 'user')} looked at, ${sent}`;
  if (failed === 0) return ok('last-cycle', text, facts, of);
  // One that is tried again by itself says nothing of the others, as long as the tenant has any.
  const noneWentWell = failed >= inScope && credentialsSent === 0 && (inScope > 1 || users === 0);
  return noneWentWell
    ? failure('last-cycle', `${text}: every one`, FAILED_ADVICE, facts, of)
    : warning('last-cycle', text, FAILED_ADVICE, facts, of);
}

function checkHeartbeat(
  { heartbeatAt, completedAt, succeededAt }: ConnectorSummary,
  { now, agentRuns }: ConnectorOptions,
  of: Subject,
): CheckResult {
  const last = Math.max(heartbeatAt ?? 0, completedAt ?? 0, succeededAt ?? 0);
  const advice = agentRuns
    ? 'The agent runs: see what its last cycle says, and look into its log.'
    : 'Start the agent (systemctl start phsync), and see in its log why it ended.';
  if (last === 0) return failure('heartbeat', 'no sign of life yet', advice, {}, of);
  const facts = { at: iso(last) };
  const text = `last on ${timeText(last)}`;
  if (now - last <= HEARTBEAT_MS) return ok('heartbeat', text, facts, of);
  return failure(
    'heartbeat',
    `${text}: none for ${durationText(now - last)}, more than the 3 hours that may pass`,
    advice,
    facts,
    of,
  );
}

function checkDeletions(
  { deletions, users }: ConnectorSummary,
  last: PastCycle | undefined,
  { company }: ConnectorOptions,
  of: Subject,
): CheckResult {
  const announced = company?.dirSyncConfiguration.preventAccidentalDeletion;
  const threshold = announced && deletionThreshold(announced, () => users + deletions);
  const facts = { deletions, threshold: threshold !== undefined && Number.isFinite(threshold) ? threshold : null };
  if (last?.error?.code === 'too-many-deletions') {
    return failure(
      'deletions',
      last.error.message,
      "Check the connector's scope and the directory. If the users shall go: phsync agent --once --allow-deletions",
      facts,
      of,
    );
  }
  const limit = facts.threshold === null ? '' : ` of ${counted(facts.threshold, 'user')} that may be`;
  return ok('deletions', `${deletions} deleted since the last complete cycle${limit}`, facts, of);
}

function checkRetryQueue(reader: StateReader, name: string, { now }: ConnectorOptions, of: Subject): CheckResult {
  const { length, attempts, firstFailure, nextTry, reasons } = reader.retries(name);
  if (length === 0) return ok('retry-queue', 'empty', { length }, of);
  const waited = now - (firstFailure ?? now);
  const facts = {
    length,
    attempts,
    oldest: firstFailure === undefined ? null : iso(firstFailure),
    nextTry: nextTry === undefined ? null : iso(nextTry),
    reasons,
  };
  const why = reasons.map(({ reason, count }) => `${count} × ${reason}`).join('; ');
  const text = `${counted(length, 'object')} not synchronized, the oldest for ${durationText(waited)}: ${why}`;
  const ofOwner = reasons.map(({ reason }) => ownershipAdvice(reason)).find((each) => each !== undefined);
  const advice =
    `${ofOwner === undefined ? '' : `${ofOwner} `}They are tried again on their own. For one of them: phsync diagnose ` +
    '--dn DN tells why, phsync sync-object --dn DN tries at once.';
  return waited > LONG_WAIT_MS
    ? failure('retry-queue', text, advice, facts, of)
    : warning('retry-queue', text, advice, facts, of);
}

const iso = (ms: number): string => new Date(ms).toISOString();
