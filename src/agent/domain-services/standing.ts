/** What a connector remembers of Domain Services from cycle to cycle, and what a new offer of the tenant's changes in it. Pure. */

import type { EventFields } from '../events/event.js';
import { type DomainServicesOffer, UNANSWERED_CODE } from './offer.js';
import type { SealedKeys } from './seal-unit.js';

/**
 * `off`: nothing is sent, and nothing owed. `on`: every password that was sent since has its keys with it, or a full
 * synchronization that brings them is under way (`ConnectorState.full`). `stopped`: on in the tenant, and passwords go
 * without keys for want of a certificate: a full synchronization is owed.
 */
export type StandingName = 'off' | 'on' | 'stopped';

export interface Standing {
  readonly name: StandingName;
  /** Milliseconds since 1970, as all times here. */
  readonly since: number | null;
  readonly ntlm: boolean;
  readonly kerberos: boolean;
  /** Of the certificate that keys are sealed for, or that is refused. */
  readonly thumbprint: string | null;
  readonly subject: string | null;
  readonly validTo: number | null;
  /** Why it is stopped, off though it might be on, or on though keys wait for the tenant's word: code and text. */
  readonly code: string | null;
  readonly reason: string | null;
  /** Of the tenant's Domain Services: see `DomainServicesOffer`. */
  readonly epoch: string | null;
  /** When every password had been sent with its keys. */
  readonly fullAt: number | null;
}

export const NEVER_ON: Standing = {
  name: 'off',
  since: null,
  ntlm: false,
  kerberos: false,
  thumbprint: null,
  subject: null,
  validTo: null,
  code: null,
  reason: null,
  epoch: null,
  fullAt: null,
};

export interface StandingChange {
  readonly next: Standing;
  /** Fields of the events 658 that tell of it, in order. */
  readonly told: readonly EventFields[];
  /** Everything must be sent again: passwords are in the tenant without the keys that it asks for. */
  readonly owesFull: boolean;
}

export const VETOED_CODE = 'domain-services-vetoed';
const VETOED_TEXT = 'domainServices.send is never in agent.yaml';

/** `now`: milliseconds since 1970. */
export function changeOf(before: Standing, offer: DomainServicesOffer, now: number): StandingChange {
  if (offer.kind === 'on') return turnOn(before, offer, now);
  if (offer.kind === 'unusable') return stop(before, offer, now);
  if (offer.kind === 'unanswered') return keep(before, offer);
  const vetoed = offer.why === 'vetoed';
  if (before.name === 'off') {
    const code = vetoed ? VETOED_CODE : null;
    if (code === before.code) return { next: before, told: [], owesFull: false };
    return { next: { ...before, code, reason: vetoed ? VETOED_TEXT : null }, told: [], owesFull: false };
  }
  const reason = vetoed ? VETOED_TEXT : 'the tenant has switched Domain Services off';
  return {
    next: { ...NEVER_ON, since: now, code: vetoed ? VETOED_CODE : null, reason: vetoed ? VETOED_TEXT : null },
    told: [{ state: 'off', message: `${reason}: no keys are sent from now on` }],
    owesFull: false,
  };
}

type Unanswered = Extract<DomainServicesOffer, { kind: 'unanswered' }>;

/** No state changes for want of an answer: whose keys could not go meanwhile wait in the retry queue, and nobody else. */
function keep(before: Standing, { code, reason }: Unanswered): StandingChange {
  if (before.name !== 'on' || before.code === code) return { next: before, told: [], owesFull: false };
  const message = `${reason}: passwords go on to the tenant; their keys follow when it does, each from the retry queue`;
  return { next: { ...before, code, reason }, told: [{ state: 'on', code, message }], owesFull: false };
}

type On = Extract<DomainServicesOffer, { kind: 'on' }>;

function turnOn(before: Standing, { ntlm, kerberos, certificate, epoch }: On, now: number): StandingChange {
  const { thumbprint, subject, validTo } = certificate;
  const settings = { ntlm, kerberos, thumbprint, subject, validTo, epoch, code: null, reason: null };
  const is = { state: 'on', ntlm, kerberos, thumbprint, subject, validTo: new Date(validTo).toISOString() } as const;
  if (before.name !== 'on') {
    const why =
      before.name === 'stopped'
        ? 'the certificate for Domain Services can be used again'
        : 'the tenant has switched Domain Services on';
    return {
      next: { ...before, ...settings, name: 'on', since: now, fullAt: null },
      told: [{ ...is, message: `${why}: keys are sent from now on` }],
      owesFull: true,
    };
  }
  if (before.epoch !== null && epoch !== null && before.epoch !== epoch) {
    const message = 'Domain Services were switched off in the tenant and on again, which has forgotten all keys';
    return {
      next: { ...before, ...settings, since: now, fullAt: null },
      told: [{ ...is, message: `${message}: they are sent again` }],
      owesFull: true,
    };
  }
  const told: EventFields[] = [];
  if (before.code === UNANSWERED_CODE) {
    told.push({ ...is, message: 'the tenant says again what it wants for Domain Services: keys are sent from now on' });
  }
  if (before.thumbprint !== thumbprint) {
    const message = 'another certificate: keys are sealed for it from now on; what was sent before stays as it is';
    told.push({ ...is, formerThumbprint: before.thumbprint, message });
  }
  if (before.ntlm !== ntlm) {
    const what = ntlm ? 'the NT hash is sent' : 'a random value is sent in place of the NT hash';
    const message =
      `${what} from now on: of each user with the next change of the password, of all with a full synchronization ` +
      '(phsync agent --once --full)';
    told.push({ ...is, message });
  }
  const owesFull = kerberos && !before.kerberos;
  if (before.kerberos !== kerberos) {
    told.push({ ...is, message: `Kerberos keys are ${kerberos ? '' : 'not '}sent from now on` });
  }
  const isSame = told.length === 0 && before.validTo === validTo && before.epoch === epoch;
  const next = isSame ? before : { ...before, ...settings };
  return { next, told, owesFull };
}

/** What goes with passwords: sealed for a certificate, or later, when the tenant has said for which. */
export type WantedKeys =
  | { readonly kind: 'sealed'; readonly offer: On }
  | { readonly kind: 'later'; readonly kerberos: boolean; readonly failure: NonNullable<SealedKeys['failure']> };

/** Undefined: nothing. `standing`: as `changeOf` has it after the offer. */
export function wantedKeys(standing: Standing, offer: DomainServicesOffer): WantedKeys | undefined {
  if (offer.kind === 'on') return { kind: 'sealed', offer };
  if (offer.kind !== 'unanswered' || standing.name !== 'on') return undefined;
  const reason = `the password went without its keys for Domain Services: ${offer.reason}`;
  return { kind: 'later', kerberos: standing.kerberos, failure: { code: offer.code, reason, lasting: false } };
}

type Unusable = Extract<DomainServicesOffer, { kind: 'unusable' }>;

function stop(before: Standing, { code, reason, certificate }: Unusable, now: number): StandingChange {
  const { thumbprint = null, subject = null, validTo = null } = certificate ?? {};
  const same = before.name === 'stopped' && before.code === code && before.thumbprint === thumbprint;
  if (same) return { next: before, told: [], owesFull: false };
  const message =
    `${reason}: passwords go on to the tenant, without keys for Domain Services; a full synchronization brings them ` +
    'once the certificate can be used';
  return {
    next: {
      ...before,
      name: 'stopped',
      since: before.name === 'stopped' ? before.since : now,
      thumbprint,
      subject,
      validTo,
      code,
      reason,
    },
    told: [{ state: 'stopped', code, thumbprint, subject, message }],
    owesFull: false,
  };
}
