/** Checks of one object by what the directory says of it: in scope, its password, its account. */

import { decide } from '../decide.js';
import type { Decision } from '../decision.js';
import { outOfScopeText } from '../out-of-scope.js';
import { isOwnAccount } from '../own-account.js';
import { createScope, type OutOfScope, type Scope } from '../scope.js';
import { Outcome, outcomeNames } from '../state/rows.js';
import { accountExpiry, isDisabled } from '../user-properties.js';
import { type CheckResult, failure, ok, skipped, timeText, warning } from './check.js';
import { forcesChange, type ObjectUnderTest } from './object-under-test.js';

const SCOPE_ADVICE = "Change the connector's scope in agent.yaml";

const OWN_ADVICE =
  'Leave it out: scope.cloudFiltered, [ { attribute: sAMAccountName, equals: … } ] with its name there.';

/** What would bring an object in. */
const INTO_SCOPE: Readonly<Record<OutOfScope, string>> = {
  class: 'Nothing: only objects of the class user are synchronized, not even inetOrgPerson.',
  'system-account': 'Nothing: these are never synchronized.',
  'service-account': 'Give the user another sAMAccountName if it is a person.',
  conflict: 'Resolve the conflict in the directory: delete or rename it.',
  nameless: 'Give the user a sAMAccountName.',
  'admin-description': 'Clear adminDescription if the user is one of the directory.',
  'cloud-filtered': `${SCOPE_ADVICE} (scope.cloudFiltered), or the attribute that it asks for.`,
  'organizational-unit': `${SCOPE_ADVICE} (scope.include, scope.exclude), or move the object.`,
};

export function checkScope({ object, connector }: ObjectUnderTest, scope: Scope): CheckResult {
  const of = { connector: connector.name };
  const why = scope.why(object);
  if (why === undefined) {
    if (!isOwnAccount(connector, object)) return ok('scope', 'in scope', {}, of);
    const own = 'in scope, though it is the account that the agent logs on with, which may read every hash';
    return warning('scope', own, OWN_ADVICE, { ownAccount: true }, of);
  }
  const { objectClass, dn } = object;
  const text = outOfScopeText(why, object, scope);
  if (isOwnAccount(connector, object)) {
    const finding = `out of scope, as the account that the agent logs on with should be: ${text}`;
    return ok('scope', finding, { why, objectClass, dn, ownAccount: true }, of);
  }
  const finding = `out of scope: ${text}`;
  return failure('scope', finding, INTO_SCOPE[why], { why, objectClass, dn }, of);
}

/** What a cycle would do now, with the object as the directory has it. */
function decideNow({
  object,
  connector,
  company,
  domainServices,
  reader,
  guid,
  now,
  source,
}: ObjectUnderTest): Decision {
  return decide(object, reader?.object(connector.name, guid)?.row, {
    scope: createScope(connector.scope),
    domain: source.domain,
    force: reader?.retry(connector.name, guid) !== undefined,
    full: false,
    recovering: false,
    fetched: true,
    pwdLastSetCame: false,
    forceChange: forcesChange(company),
    disableExpired: connector.disableExpiredAccounts,
    domainServices: domainServices?.kind === 'on' ? domainServices : undefined,
    now,
  });
}

/** The result that keeps the password of a user in scope from the tenant, and with it the keys; undefined: none does. */
export function passwordBarred(under: ObjectUnderTest): string | undefined {
  const decision = decideNow(under);
  if (!('row' in decision) || decision.row === undefined) return undefined;
  const { outcome } = decision.row;
  const isBarred = outcome === Outcome.filteredByTarget || outcome === Outcome.filteredByRule;
  return isBarred ? outcomeNames[outcome] : undefined;
}

export function checkPassword(under: ObjectUnderTest, inScope: boolean): CheckResult {
  const { object, connector, reader, guid, staging } = under;
  const of = { connector: connector.name };
  if (!inScope) return skipped('password', 'not sent, as the object is out of scope', of);
  const { passwordVersion, passwordChanged } = object;
  const changed = passwordChanged?.getTime();
  const facts = {
    passwordVersion,
    passwordChanged: passwordChanged?.toISOString() ?? null,
    mustChange: object.pwdLastSet === 0n,
  };
  const known = reader?.object(connector.name, guid);
  const decision = decideNow(under);
  const which = `that of ${changed === undefined ? 'an unknown date' : timeText(changed)}, version ${passwordVersion ?? 'unknown'}`;
  if (decision.kind === 'sync' && decision.credential) {
    const how = decision.forceChange ? ', to be changed at the next sign-in' : '';
    if (staging) return ok('password', `would be sent: ${which}${how}`, { ...facts, send: false }, of);
    return ok(
      'password',
      `will be sent: ${which}${how}`,
      { ...facts, send: true, forceChange: decision.forceChange },
      of,
    );
  }
  const nothing = { ...facts, send: false };
  if ('refusal' in decision && decision.refusal !== undefined) {
    return warning('password', decision.refusal.reason, 'Correct that, or wait until it has settled.', nothing, of);
  }
  const outcome = 'row' in decision && decision.row ? decision.row.outcome : (known?.row.outcome ?? Outcome.none);
  const status = outcomeNames[outcome];
  switch (outcome) {
    case Outcome.filteredByTarget:
      return warning(
        'password',
        'the user must change the password at the next logon: a temporary password is not sent (FilteredByTarget)',
        'Let the user change it, or turn the feature EnableUserForcePasswordChangeOnLogon on in the tenant: temporary passwords are sent then, and marked so.',
        { ...nothing, status },
        of,
      );
    case Outcome.filteredByRule:
      return warning(
        'password',
        `adminDescription keeps the password out (scope.passwords: ${connector.scope.passwords})`,
        connector.scope.passwords === 'PHSIncluded'
          ? 'Set adminDescription of the user to PHSIncluded.'
          : 'Clear adminDescription of the user, which is PHSFiltered.',
        { ...nothing, status },
        of,
      );
    case Outcome.noPassword:
      return warning(
        'password',
        'the account has no password',
        'Set one in the directory.',
        { ...nothing, status },
        of,
      );
    case Outcome.heldElsewhere:
      return warning(
        'password',
        "another connector's enabled account of the same source anchor is the tenant's user",
        'Nothing, if the other account is the one to sign in with; else disable that one.',
        { ...nothing, status },
        of,
      );
    default:
      return ok('password', `nothing to send: the tenant has the newest, ${which}`, { ...nothing, status }, of);
  }
}

export function checkAccount({ object, connector, now }: ObjectUnderTest): CheckResult {
  const of = { connector: connector.name };
  const expires = accountExpiry(object, undefined);
  const disabled = isDisabled(object);
  const facts = { disabled, accountExpires: expires === null ? null : new Date(expires).toISOString() };
  if (disabled) {
    return warning(
      'account',
      'disabled in the directory, and so in the tenant',
      'Enable the account if it is to sign in.',
      facts,
      of,
    );
  }
  if (expires === null) return ok('account', 'enabled, never expires', facts, of);
  if (expires > now) return ok('account', `enabled, expires on ${timeText(expires)}`, facts, of);
  const text = `expired on ${timeText(expires)}`;
  if (connector.disableExpiredAccounts) {
    return warning(
      'account',
      `${text}, and so disabled in the tenant`,
      'Set another accountExpires if it is to sign in.',
      facts,
      of,
    );
  }
  return warning(
    'account',
    `${text}, and can still sign in to the tenant, which knows no such date`,
    'Disable the account, or set disableExpiredAccounts: true for the connector.',
    facts,
    of,
  );
}
