/** Checks of Domain Services: what the tenant wants, how far a connector is, and what one object's keys come to. */

import { askDomainServices } from '../domain-services/ask.js';
import type { DomainServicesOffer, DomainServicesPolicy, OfferedCertificate } from '../domain-services/offer.js';
import { OFF, VETOED } from '../domain-services/offer.js';
import type { StateReader } from '../state/reader.js';
import { Outcome } from '../state/rows.js';
import type { OpenTenantClient } from '../tenant-client.js';
import {
  type CheckResult,
  counted,
  durationText,
  failure,
  known,
  ok,
  type Subject,
  skipped,
  timeText,
  warning,
} from './check.js';
import type { ObjectUnderTest } from './object-under-test.js';
import { passwordBarred } from './object-user.js';

/** A certificate that ends within is worth a warning. */
const SOON_MS = 30 * 24 * 3_600_000;

export interface DomainServicesCheck {
  readonly result: CheckResult;
  /** What the agent goes by; undefined: cannot be told. */
  readonly offer: DomainServicesOffer | undefined;
}

/** `policy`: undefined where agent.yaml's certificates cannot be read, which is another check's. */
export async function checkDomainServices(
  { client }: OpenTenantClient,
  policy: DomainServicesPolicy | undefined,
  now: number,
): Promise<DomainServicesCheck> {
  const id = 'domain-services';
  if (policy === undefined) {
    return { result: skipped(id, 'the file of domainServices.certificates cannot be read'), offer: undefined };
  }
  let offer: DomainServicesOffer;
  try {
    const ask = () => client.getWindowsCredentialsSyncConfig();
    offer = await askDomainServices(ask, { ...policy, send: 'auto' }, () => now);
  } catch (error) {
    return { result: skipped(id, known(error).message), offer: undefined };
  }
  if (policy.send === 'never') {
    const there = offer.kind === 'off' ? 'off' : 'on';
    const finding = `no keys are sent: domainServices.send is never in agent.yaml; in the tenant they are ${there}`;
    return { result: ok(id, finding, { state: 'vetoed', tenant: there }), offer: VETOED };
  }
  return { result: judge(offer, now), offer };
}

function judge(offer: DomainServicesOffer, now: number): CheckResult {
  const id = 'domain-services';
  if (offer.kind === 'off') {
    const why = offer.why === 'unknown' ? 'the tenant does not offer them' : 'off in the tenant';
    return ok(id, `${why}: no keys are sent`, { state: 'off' });
  }
  if (offer.kind === 'unusable') {
    const { code, reason, certificate } = offer;
    return failure(
      id,
      `${reason}: passwords go to the tenant without keys for Domain Services`,
      ADVICE[code] ?? 'Look into the log of the tenant.',
      { state: 'stopped', code, ...factsOf(certificate) },
    );
  }
  if (offer.kind === 'unanswered') {
    const { code, reason } = offer;
    const finding = `${reason}: where keys are sent, they wait in the retry queue until it does`;
    return failure(id, finding, 'Look into the log of the tenant.', { state: 'unanswered', code });
  }
  const { certificate, ntlm, kerberos } = offer;
  const { subject, thumbprint, validTo } = certificate;
  const facts = { state: 'on', ntlm, kerberos, ...factsOf(certificate) };
  const what = kerberos
    ? `Kerberos keys and ${ntlm ? 'NT hashes' : 'random values in place of NT hashes'}`
    : 'NT hashes without Kerberos keys';
  const text = `on: ${what}, sealed for ${subject}, thumbprint ${thumbprint}, valid until ${timeText(validTo)}`;
  if (validTo - now < SOON_MS) {
    return warning(id, `${text}, which is in ${durationText(validTo - now)}`, ADVICE_EXPIRES, facts);
  }
  return ok(id, text, facts);
}

const ADVICE_EXPIRES = 'Have an administrator of the tenant add a new certificate for Domain Services.';
const ADVICE: Readonly<Record<string, string>> = {
  'domain-services-certificate-expired': ADVICE_EXPIRES,
  'domain-services-certificate-not-valid-yet': 'Compare the clock of this machine with the dates of the certificate.',
  'domain-services-certificate-missing': ADVICE_EXPIRES,
  'domain-services-certificate-malformed': ADVICE_EXPIRES,
  'domain-services-certificate-key': ADVICE_EXPIRES,
  'domain-services-certificate-not-allowed':
    'If it is the right one, add it to the file of domainServices.certificates and reload the agent; if it is not, ask ' +
    'the administrator of the tenant who has put it there.',
};

function factsOf(certificate: OfferedCertificate | undefined) {
  if (certificate === undefined) return {};
  const { subject, thumbprint, validFrom, validTo } = certificate;
  return { subject, thumbprint, validFrom: iso(validFrom), validTo: iso(validTo) };
}

/** How far the connector is with sending keys; undefined where there is nothing to send. */
export function checkKeysSent(
  reader: StateReader | undefined,
  name: string,
  offer: DomainServicesOffer | undefined,
): CheckResult | undefined {
  const of: Subject = { connector: name };
  const id = 'domain-services-sync';
  const standing = reader?.standing(name);
  if (standing === undefined || (standing.name === 'off' && (offer ?? OFF).kind === 'off')) return undefined;
  const { since, fullAt } = standing;
  const missing = reader!.keysMissing(name);
  const facts = { state: standing.name, since: iso(since), fullAt: iso(fullAt), keysMissing: missing };
  const without =
    missing === 0 ? '' : `; ${counted(missing, 'user')} without Kerberos keys in the directory (MissingAttribute)`;
  if (standing.name === 'stopped') {
    return warning(
      id,
      `stopped since ${timeText(since ?? 0)}: ${standing.reason}`,
      'Nothing here, once the certificate can be used: a full synchronization follows by itself.',
      facts,
      of,
    );
  }
  if (standing.name === 'off' || fullAt === null) {
    return warning(
      id,
      standing.name === 'off' ? 'nothing was sent yet' : 'the full synchronization that brings them has not ended',
      'Let the agent run: it sends every password again, with its keys.',
      facts,
      of,
    );
  }
  if (standing.code !== null) {
    return warning(
      id,
      `on, but the keys of changed passwords wait in the retry queue: ${standing.reason}`,
      'Look into the log of the tenant; they follow by themselves when it answers.',
      { ...facts, code: standing.code },
      of,
    );
  }
  const { length: waiting } = reader!.retries(name);
  if (waiting > 0) {
    return warning(
      id,
      `not yet: ${counted(waiting, 'object')} of the retry queue to go; every other password with its keys since ${timeText(fullAt)}${without}`,
      'See "Retry queue" above: the keys go with the passwords, which are tried again on their own.',
      { ...facts, waiting },
      of,
    );
  }
  return ok(id, `every password with its keys since ${timeText(fullAt)}${without}`, facts, of);
}

/** Undefined where there is nothing to send. */
export function checkObjectKeys(under: ObjectUnderTest, inScope: boolean): CheckResult | undefined {
  const { domainServices: offer, object, keys, connector, reader, guid } = under;
  const of: Subject = { connector: connector.name };
  const id = 'object-keys';
  if (offer?.kind !== 'on') return undefined;
  if (!inScope) return skipped(id, 'not sent, as the object is out of scope', of);
  const barred = passwordBarred(under);
  const row = reader?.object(connector.name, guid)?.row;
  const sent = row?.cloudAnchor ? row.keysVersion : null;
  const { supplementalVersion: version = null } = object;
  const facts = {
    supplementalCredentials: (object.supplementalCredentials?.length ?? 0) > 0,
    supplementalVersion: version,
    kerberosKeys: keys === undefined ? null : keys.supplemental !== undefined,
    sealed: keys === undefined ? null : keys.failure === undefined,
    sentVersion: sent,
    outcome: row?.outcome === Outcome.missingAttribute ? 'MissingAttribute' : null,
  };
  if (barred !== undefined) {
    const former = sent === null ? '' : '; the managed domain goes on with the former password';
    return { ...skipped(id, `not sent, as the password is not (${barred})${former}`, of), facts };
  }
  if (keys?.failure !== undefined) {
    return failure(id, keys.failure.reason, 'Set the password anew in the directory.', facts, of);
  }
  const isSent = sent !== null && (version === null || sent >= version);
  const when = isSent ? 'sent with the password' : 'to be sent with the next cycle';
  if (keys?.keysMissing) {
    return warning(
      id,
      `the directory has no Kerberos keys of the user: the NT hash goes alone (MissingAttribute; ${when})`,
      'Have the user change the password: the domain controller makes the keys from it.',
      facts,
      of,
    );
  }
  if (keys === undefined) return skipped(id, 'the account has no password', of);
  return ok(
    id,
    `${keys.supplemental === undefined ? 'NT hash' : 'NT hash and Kerberos keys'} sealed, ${when}`,
    facts,
    of,
  );
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
