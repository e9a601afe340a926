/** Password sign-in: whether the name and password fit, and what Entra would answer, at the same cost for every answer. */

import type { Logger } from 'pino';
import { DEFAULT_ITERATIONS } from '../../hasher/types.js';
import { DirSyncFeature } from '../../provisioning/types.js';
import { isExpired } from '../policies/expiry.js';
import { type Realm, Realms } from '../policies/realm.js';
import type { LookUp } from '../store/look-up.js';
import type { SignInUser, TenantStore } from '../store/store.js';
import { userPrincipalNameKey } from '../store/store.js';
import { KeyedDigests } from './digests.js';
import { EvenRefusal, REFUSAL_MS } from './even-refusal.js';
import { FamiliarPlaces } from './familiar-places.js';
import type { LockoutSettings } from './lockout.js';
import { Lockouts } from './lockouts.js';
import { PasswordCheck, type SignInHasher } from './password-check.js';
import { type SignInEntry, SignInLog } from './sign-in-log.js';
import type { Renewal, SignIn, SignInAttempt, SignInOutcome, SignInRefusal } from './types.js';
import { upgradeCredential } from './upgrade.js';

/** Reasons for 50126 that the log alone has. */
const USER_NOT_FOUND = 50034;
export const NO_PASSWORD = 50056;

const HIGH_RISK: LookUp<[number], object> = {
  name: 'high_risk',
  types: ['bigint'],
  sql: (user) => `SELECT user_id FROM risky_users WHERE user_id = ${user}
    AND risk_level = 'high' AND risk_state IN ('atRisk', 'confirmedCompromised')`,
};

export interface SignInDependencies {
  readonly store: TenantStore;
  /** Its micro-batches are what many sign-ins at once are fast by. */
  readonly hasher: SignInHasher;
  readonly settings: LockoutSettings & { readonly blockHighRisk: boolean };
  readonly now: () => Date;
  readonly log: Logger;
  /** From a try to its refusal, at least; for tests of the work alone. Default REFUSAL_MS. */
  readonly refusalMs?: number | undefined;
  /** Told of each attempt; for metrics. */
  readonly onAttempt?: (flow: SignInEntry['flow'], errorCode: number) => void;
}

/** What the password came to, before any rule of the account is looked at. */
export type PasswordOutcome =
  | {
      readonly status: 'right';
      readonly user: SignInUser;
      readonly realm: Realm;
      /** Logs the try, by the number that it came to. */
      record(errorCode: number): void;
    }
  | { readonly status: 'wrong' | 'locked' }
  | { readonly status: 'federated'; readonly url: string };

export interface SignInService extends SignIn {
  /** A try like any other, counted and logged where it fails; for changing a password. The caller has a right one logged. */
  checkPassword(attempt: SignInAttempt): Promise<PasswordOutcome>;
  readonly passwords: PasswordCheck;
  readonly lockouts: Lockouts;
  readonly digests: KeyedDigests;
  readonly realms: Realms;
  /** For sign-ins without password: a session's, a refresh token's. */
  readonly log: SignInLog;
  /** Writes what is left of the log. Before the store closes. */
  close(): Promise<void>;
}

type Attempted = Omit<SignInEntry, 'errorCode'>;
type Tried = { readonly entry: Attempted; readonly fresh: boolean } & (
  | { readonly verdict: 'right'; readonly user: SignInUser; readonly realm: Realm }
  | { readonly verdict: 'wrong' | 'locked'; readonly reason: number }
);

export async function createSignIn(deps: SignInDependencies): Promise<SignInService> {
  const { store, hasher, settings, now, log, refusalMs = REFUSAL_MS } = deps;
  const { database } = store;
  const digests = await KeyedDigests.open(database);
  const places = new FamiliarPlaces(database, digests, now);
  const signInLog = new SignInLog(database, places, now, log);
  const lockouts = new Lockouts(database, { ...settings, now });
  const passwords = new PasswordCheck(hasher, digests);
  const realms = new Realms(database);
  const findRisk = database.lookUp(HIGH_RISK);
  const background = new Set<Promise<unknown>>();

  // Written out: V8 gives an object that is spread from another a form of its own, and whatever reads such ones is slow.
  const record = ({ user, clientId, flow, address, familiar, correlationId }: Attempted, code: number) => {
    signInLog.record({ user, clientId, flow, address, familiar, errorCode: code, correlationId });
    const status = code === 0 ? 'signedIn' : 'refused';
    // The object id, never what was typed: people type passwords into the name's field.
    log.info({ status, code, flow, objectId: user?.objectId, clientId, correlationId }, 'sign-in');
    deps.onAttempt?.(flow, code);
  };

  /** The same look-ups, one verification and one decision for every name and password. */
  async function attemptOn(attempt: SignInAttempt, realm: Realm): Promise<Tried> {
    const { userPrincipalName, password, address, clientId, flow, correlationId } = attempt;
    const user = await store.findSignInUser(userPrincipalName);
    const nameKey = userPrincipalNameKey(userPrincipalName);
    const [{ right, fingerprint }, { familiar, fresh }] = await Promise.all([
      passwords.check(nameKey, user?.credential, password),
      places.look({ userId: user?.id, address }),
    ]);
    const verdict = await lockouts.decide({ name: digests.name(nameKey), familiar }, { right, fingerprint });
    const entry = { user, clientId, flow, address, familiar, correlationId };
    if (verdict === 'right' && user !== undefined) return { entry, fresh, verdict, user, realm };
    const unfit = user === undefined ? USER_NOT_FOUND : user.credential === undefined ? NO_PASSWORD : 50126;
    return verdict === 'locked'
      ? { entry, fresh, verdict, reason: 50053 }
      : { entry, fresh, verdict: 'wrong', reason: unfit };
  }

  /** Whom the password does not let in hears of it at a moment that tells nothing. */
  async function attemptEvenly(attempt: SignInAttempt, realm: Realm): Promise<Tried> {
    const even = new EvenRefusal(refusalMs);
    try {
      const tried = await attemptOn(attempt, realm);
      if (tried.verdict === 'right') return tried;
      record(tried.entry, tried.reason);
      await even.moment();
      return tried;
    } finally {
      even.end();
    }
  }

  /** What is told to those who know the password. */
  async function refusalOf(user: SignInUser, realm: Realm): Promise<[SignInRefusal, ('expired' | 'temporary')?] | 0> {
    if (!user.accountEnabled) return [50057];
    if (settings.blockHighRisk && (await findRisk(user.id)) !== undefined) return [50135];
    if (user.forcePasswordChangeOnLogon) return [50055, 'temporary'];
    const { passwordPolicies, passwordChanged } = user;
    const { domain } = realm;
    const isExpiredIf = (cloudPolicyForSynchronized: boolean) =>
      isExpired({ passwordPolicies, passwordChanged, domain, cloudPolicyForSynchronized }, now());
    // One look-up more, where a password would be expired if the feature is on.
    if (!isExpiredIf(true)) return 0;
    const features = await store.dirSyncFeatures();
    const cloudPolicyForSynchronized =
      (features & DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers) !== 0;
    return isExpiredIf(cloudPolicyForSynchronized) ? [50055, 'expired'] : 0;
  }

  /** Beside the answer. A failure leaves the old credential, and the next sign-in tries again. */
  function upgrade(user: SignInUser, password: string): void {
    const work = upgradeCredential(database, passwords, { user, password, now: now() })
      .catch((err) => log.warn({ err, objectId: user.objectId }, 'credential not brought to 1000 iterations'))
      .finally(() => background.delete(work));
    background.add(work);
  }

  async function recordRenewal({ objectId, ...renewal }: Renewal): Promise<void> {
    const row = await database.run((queries) =>
      queries
        .selectFrom('users')
        .select(['id', 'user_principal_name'])
        .where('object_id', '=', objectId)
        .executeTakeFirst(),
    );
    if (row === undefined) return;
    const { familiar } = await places.look({ userId: row.id, address: renewal.address });
    const user = { objectId, userPrincipalName: row.user_principal_name };
    record({ ...renewal, user, flow: 'refresh', familiar }, renewal.errorCode);
  }

  return {
    passwords,
    lockouts,
    digests,
    realms,
    log: signInLog,
    async realm(userPrincipalName) {
      const realm = await realms.of(userPrincipalName);
      return realm.type === 'managed' ? { type: 'managed' } : { type: 'federated', url: realm.url };
    },
    async checkPassword(attempt) {
      const realm = await realms.of(attempt.userPrincipalName);
      if (realm.type === 'federated') return { status: 'federated', url: realm.url };
      const tried = await attemptEvenly(attempt, realm);
      if (tried.verdict === 'right') {
        const { user, entry } = tried;
        return { status: 'right', user, realm, record: (errorCode) => record(entry, errorCode) };
      }
      return { status: tried.verdict };
    },
    async signIn(attempt): Promise<SignInOutcome> {
      const realm = await realms.of(attempt.userPrincipalName);
      if (realm.type === 'federated') return { status: 'federated', url: realm.url };
      const tried = await attemptEvenly(attempt, realm);
      if (tried.verdict !== 'right') {
        return { status: 'refused', code: tried.verdict === 'locked' ? 50053 : 50126 };
      }
      const { user, entry, fresh } = tried;
      if (user.credential?.iterations !== DEFAULT_ITERATIONS) upgrade(user, attempt.password);
      const refusal = await refusalOf(user, realm);
      record(entry, refusal === 0 ? 0 : refusal[0]);
      if (refusal !== 0) {
        const [code, change] = refusal;
        return { status: 'refused', code, user, ...(change === undefined ? {} : { change }) };
      }
      if (!fresh) signInLog.remember(user.id, attempt.address);
      return { status: 'signedIn', user };
    },
    renewed(renewal) {
      const work = recordRenewal(renewal)
        .catch((err) => log.warn({ err, correlationId: renewal.correlationId }, 'renewal not in the sign-in log'))
        .finally(() => background.delete(work));
      background.add(work);
    },
    async close() {
      await lockouts.settled();
      await Promise.all(background);
      await signInLog.close();
    },
  };
}
