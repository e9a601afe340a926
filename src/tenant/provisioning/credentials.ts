/** ProvisionCredentials: credentials, and what comes with them for Domain Services, checked, stored in one transaction, answered item by item. */

import { parseCredential } from '../../hasher/credential.js';
import { PhsyncError } from '../../hasher/errors.js';
import type { Credential } from '../../hasher/types.js';
import {
  CredentialResult,
  type SyncCredentialsChangeItem,
  type SyncCredentialsChangeResult,
} from '../../provisioning/types.js';
import {
  type KnownCertificates,
  knownCertificates,
  readWindowsCredentials,
  type WindowsReading,
} from '../domain-services/windows-credentials.js';
import type { CredentialChange, CredentialOutcome, WindowsOutcome } from '../store/changes.js';
import type { CredentialOptions, TenantStore } from '../store/store.js';
import { MAX_ITERATIONS, MIN_ITERATIONS } from './limits.js';
import { objectIdOf } from './objects.js';
import type { AgentGuard } from './own-users.js';

const answers: Readonly<Record<Exclude<CredentialOutcome, 'refused'>, readonly [number, string | undefined]>> = {
  stored: [CredentialResult.success, undefined],
  unknownUser: [CredentialResult.anchorNotFound, 'No user has this anchor.'],
  olderChange: [CredentialResult.olderChange, 'A newer change of this password is stored.'],
};

/** Domain Services were switched off between the agent's question and now: it learns that with its next one. */
const OFF = 'Domain Services are not enabled here: the Windows credentials were dropped.';
/** What is said of Windows credentials beside the credential's own result, and whether that result stands. */
const windowsAnswers: Readonly<Record<WindowsOutcome, readonly [stands: boolean, string | undefined]>> = {
  stored: [true, undefined],
  unknownUser: [true, undefined],
  olderChange: [true, 'Newer Windows credentials are stored.'],
  off: [true, OFF],
  unknownCertificate: [false, 'The Windows credentials are sealed to a certificate that this tenant has no more.'],
};
/** An administrator's or a written-back password stands, and the managed domain goes on with the one on premises. */
const WINDOWS_STORED = 'The Windows credentials were stored.';

/** What a domain controller's clock may be ahead. A date beyond would have every real change after it refused as older. */
const FUTURE = 24 * 60 * 60 * 1000;

type Answer = readonly [result: number, extendedErrorInformation: string | undefined];
type Reading = { readonly change: CredentialChange; readonly note: Answer | undefined } | { readonly refusal: Answer };

/** One result an item, in order. @throws what the store throws; then nothing of the batch is stored. */
export async function provisionCredentials(
  items: readonly SyncCredentialsChangeItem[],
  store: TenantStore,
  options: CredentialOptions & { readonly guard: AgentGuard | undefined },
  now: Date,
): Promise<SyncCredentialsChangeResult[]> {
  const latest = now.getTime() + FUTURE;
  const known = await knownCertificates(items, (work) => store.database.run(work));
  const readings = items.map((item) => readItem(item, latest, known));
  const changes = readings.flatMap((reading) => ('change' in reading ? [reading.change] : []));
  const windows = new Map<number, WindowsOutcome>();
  const onWindows = (index: number, outcome: WindowsOutcome) => windows.set(index, outcome);
  const outcomes = await store.applyCredentials(changes, { ...options, onWindows });
  let at = 0;
  const answer = ({ change, note }: Extract<Reading, { change: unknown }>): Answer => {
    const outcome = outcomes[at]!;
    const sealed = windows.get(at++);
    // Not for good: who runs the tenant may let it.
    if (outcome === 'refused')
      return [CredentialResult.temporaryFailure, sentence(options.guard?.wordsOf(change) ?? '')];
    return answerOf(outcome, sealed, note);
  };
  return readings.map((reading, i) => {
    const { cloudAnchor, sourceAnchor } = items[i]!;
    const [result, extendedErrorInformation] = 'change' in reading ? answer(reading) : reading.refusal;
    return { cloudAnchor, sourceAnchor, result, extendedErrorInformation };
  });
}

const sentence = (words: string) => `${words.slice(0, 1).toUpperCase()}${words.slice(1)}.`;

function answerOf(
  outcome: keyof typeof answers,
  windows: WindowsOutcome | undefined,
  note: Answer | undefined,
): Answer {
  const answer = answers[outcome];
  // Whom nobody knows is sent again as a whole.
  if (outcome === 'unknownUser') return answer;
  if (note !== undefined) return note[0] === CredentialResult.success ? [answer[0], both(answer[1], note[1])] : note;
  if (windows === undefined) return answer;
  const [stands, words] = windowsAnswers[windows];
  if (!stands) return [CredentialResult.invalidWindowsCredentials, words];
  return [answer[0], both(answer[1], outcome === 'olderChange' && windows === 'stored' ? WINDOWS_STORED : words)];
}

const both = (first: string | undefined, second: string | undefined) =>
  first === undefined || second === undefined ? (first ?? second) : `${first} ${second}`;

function readItem(item: SyncCredentialsChangeItem, latest: number, known: KnownCertificates): Reading {
  const credential = readCredential(item.credentialData);
  const time = item.changeDate.getTime();
  if (credential === undefined || Number.isNaN(time)) {
    const words = 'CredentialData or ChangeDate is not one that this tenant takes.';
    return { refusal: [CredentialResult.invalidCredential, words] };
  }
  // Not for good: the agent tries again, and a domain controller that is a week ahead is late and not lost.
  if (time > latest) {
    const words =
      'ChangeDate lies more than a day in the future of the clock here. Compare it with that of the domain controller.';
    return { refusal: [CredentialResult.temporaryFailure, words] };
  }
  const { salt, iterations, hash } = credential;
  const objectId = item.cloudAnchor === undefined ? undefined : objectIdOf(item.cloudAnchor);
  const { changeDate, forcePasswordChangeOnLogon } = item;
  // Some clients write an empty element where others write i:nil.
  const sourceAnchor = item.sourceAnchor === '' ? undefined : item.sourceAnchor;
  const reading = readWindowsCredentials(item, known);
  const windows = reading?.status === 'read' ? reading.windows : undefined;
  const change = { sourceAnchor, objectId, changeDate, salt, iterations, hash, forcePasswordChangeOnLogon, windows };
  return { change, note: reading === undefined ? undefined : noteOf(reading) };
}

function noteOf(reading: WindowsReading): Answer | undefined {
  if (reading.status === 'read') return undefined;
  return reading.status === 'off'
    ? [CredentialResult.success, OFF]
    : [CredentialResult.invalidWindowsCredentials, reading.words];
}

function readCredential(text: string): Credential | undefined {
  try {
    const credential = parseCredential(text);
    const { iterations } = credential;
    return iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS ? credential : undefined;
  } catch (error) {
    if (error instanceof PhsyncError) return undefined;
    throw error;
  }
}
