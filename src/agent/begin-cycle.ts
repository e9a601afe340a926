/** How a cycle begins: with which tenant, from which place, and whether all is looked at or sent anew. */

import { PhsyncError } from '../hasher/errors.js';
import type { CycleOptions } from './cycle-options.js';
import { UNANSWERED_CODE } from './domain-services/offer.js';
import { changeOf, type StandingChange } from './domain-services/standing.js';

/**
 * A domain controller forgets whom it deleted after the forest's tombstoneLifetime: 60 days where that is not set, 180 in
 * forests made since Windows Server 2003 SP1. Whoever was away for longer has missed deletions.
 */
export const DELETIONS_KEPT_MS = 60 * 24 * 3_600_000;

export interface Beginning {
  /** Everything is sent, acknowledged or not: asked for now, or by a cycle that did not come to its end. */
  readonly full: boolean;
  /** On demand: then the directory is right, also where it shows an older password. */
  readonly onDemand: boolean;
  /** The last cycle was cut off. */
  readonly recovering: boolean;
}

/**
 * Writes down that a cycle runs. Rejects with PhsyncError `tenant-changed` or `scope-unknown` where it must not; then
 * nothing is changed.
 */
export async function beginCycle(options: CycleOptions): Promise<Beginning> {
  const { state, scope, clock, full = false, log, link } = options;
  const { tenantId } = link.company;
  if (!full) checkTenant(state, tenantId);
  const now = clock.now();
  // Moved OUs ('') are nobody's slip in the configuration.
  if (full || (state.scopeDigest !== '' && state.scopeDigest !== scope.digest)) await checkScope(options);
  const away = state.completedAt === undefined ? 0 : now - state.completedAt;
  const missed = away > DELETIONS_KEPT_MS && state.sweepFrom === undefined;
  const recovering = state.running;
  const { standing } = state;
  const keys = changeOf(standing, link.domainServices, now);
  const resends = keys.owesFull && !state.empty;
  state.transaction(() => {
    state.running = true;
    // With what it leads to, so that nothing comes between them.
    if (keys.next !== standing) state.standing = keys.next;
    if (link.domainServices.kind === 'on' && standing.code === UNANSWERED_CODE) {
      state.retryQueue.hasten(UNANSWERED_CODE, now);
    }
    if (resends) state.demandResend();
    // From the first user on. A state that changes tenants belongs to the new one from here: it is full until all of it
    // was sent there.
    state.tenantId = tenantId;
    const rulesChanged = state.scopeDigest !== undefined && state.scopeDigest !== scope.digest;
    if (rulesChanged) log.info('the scope rules changed, or an OU moved: looking at every object again');
    if (missed) {
      const days = Math.floor(away / (24 * 3_600_000));
      log.warn({ days }, 'the last cycle is so long ago that deletions may be forgotten: looking for all users anew');
    }
    if (full) state.full = true;
    else if (state.full && !resends) {
      log.info('going on with the full synchronization that did not come to its end');
    }
    if (full || resends || rulesChanged || missed) state.cookie = undefined;
    if ((full || missed) && !state.empty) state.sweepFrom = now;
    // Somebody changed the rules, which moved OUs ('') do not say.
    if (rulesChanged && state.scopeDigest !== '') state.deletions = 0;
    state.scopeDigest = scope.digest;
  });
  tell(options, keys);
  return { full: state.full, onDemand: state.fullOnDemand, recovering };
}

function tell({ events, log, link }: CycleOptions, { told }: StandingChange): void {
  for (const fields of told) events.emit(658, fields);
  const { domainServices: offer } = link;
  if (offer.kind !== 'unusable' && offer.kind !== 'unanswered') return;
  const { code, reason } = offer;
  log.warn({ code, reason }, 'no keys for Domain Services are sent');
  if (told.length > 0) events.emit(604, { task: 'sending keys for Domain Services', code, message: reason });
}

/**
 * What a single object, between two cycles, finds of Domain Services: that they are off, or stopped. Its password goes
 * without keys then, which the next cycle must know; to switch them on is that one's.
 */
export function noteDomainServices(options: CycleOptions): void {
  const { state, link, clock } = options;
  if (link.domainServices.kind === 'on') return;
  const { standing } = state;
  const keys = changeOf(standing, link.domainServices, clock.now());
  if (keys.next !== standing) {
    state.transaction(() => {
      state.standing = keys.next;
    });
  }
  tell(options, keys);
}

/** A mistyped OU would take every user of it out of the tenant: it is asked for before anything is done. */
async function checkScope({ scope, source, signal }: CycleOptions): Promise<void> {
  // The simulated directory has users and no OUs.
  if (source.kind === 'lab') return;
  const { include, exclude } = scope.rules;
  for (const dn of [...include, ...exclude]) {
    const { objects } = await source.object({ dn }, signal);
    if (objects.length > 0) continue;
    throw new PhsyncError(
      'scope-unknown',
      `the scope names ${dn}, which ${source.description} does not have: nothing was sent or deleted`,
      { facts: { dn } },
    );
  }
}

/** @throws PhsyncError `tenant-changed` */
export function checkTenant({ tenantId: known }: { readonly tenantId: string | undefined }, found: string): void {
  if (known === undefined || known === found) return;
  throw new PhsyncError(
    'tenant-changed',
    `the agent's state belongs to the tenant ${known}, and this is ${found}, which was told nothing yet: run once with ` +
      '--full to send it everything, or give it a stateDir of its own',
    { facts: { known, found } },
  );
}
