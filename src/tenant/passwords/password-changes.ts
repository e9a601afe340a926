/** Passwords set in the cloud: changed by their owner, and then on premises too, or reset by an administrator. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { PhsyncError } from '../../hasher/errors.js';
import { DirSyncFeature } from '../../provisioning/types.js';
import type { AuditEntry, AuditLog } from '../audit/types.js';
import type { SignInService } from '../sign-in/sign-in.js';
import type { Queries } from '../store/database.js';
import {
  DISABLE_PASSWORD_EXPIRATION,
  DISABLE_STRONG_PASSWORD,
  hasPolicy,
  withoutPolicy,
} from '../store/password-policies.js';
import { type SignInUser, type TenantStore, userPrincipalNameKey } from '../store/store.js';
import { CredentialOrigin } from '../store/tables.js';
import { storeChanged, storeReset } from './cloud-credentials.js';
import { LONGEST, whatIsWeak } from './complexity.js';
import type { PasswordChange, PasswordChanges, PasswordRefusal, PasswordWriteback } from './types.js';

export interface PasswordChangesDependencies {
  readonly store: TenantStore;
  readonly signIn: Pick<SignInService, 'checkPassword' | 'passwords' | 'lockouts' | 'digests' | 'realms'>;
  readonly writeback: PasswordWriteback;
  readonly audit: AuditLog;
  readonly now: () => Date;
  readonly log: Logger;
}

const CHANGED: PasswordChange = { status: 'changed' };
/** The domain controller has the new password already: the tenant should not be the one without it. */
const STORE_TRIES = 5;
const STORE_PAUSE = 50;

const messages = {
  sameAsOld: 'The new password is the old one.',
  writebackOff: 'Your password comes from your organization’s directory. Change it there, or ask your administrator.',
  federated: 'Passwords of this domain are not set here: it is federated.',
  wrongPassword: 'The old password is not right.',
  locked: 'There were too many wrong passwords. Try again later.',
  disabled: 'The account is disabled.',
  unknownUser: 'There is no such user.',
} as const satisfies Partial<Record<PasswordRefusal, string>>;

const refused = (reason: keyof typeof messages): PasswordChange => ({
  status: 'refused',
  reason,
  message: messages[reason],
});

export function createPasswordChanges(deps: PasswordChangesDependencies): PasswordChanges {
  const { store, signIn, writeback, audit, now, log } = deps;
  const { database } = store;

  const nameDigest = (userPrincipalName: string) => signIn.digests.name(userPrincipalNameKey(userPrincipalName));

  function weakness(user: Named, password: string): Extract<PasswordChange, { status: 'refused' }> | undefined {
    const message = whatIsWeak(password, {
      names: [user.userPrincipalName, user.givenName, user.surname, user.displayName],
      weakAllowed: hasPolicy(user.passwordPolicies, DISABLE_STRONG_PASSWORD),
    });
    return message === undefined ? undefined : { status: 'refused', reason: 'complexity', message };
  }

  // The rules on premises override those of the cloud for synchronized users: there the domain controller judges.
  const hindrance: PasswordChanges['hindrance'] = async ({ synchronized }) =>
    synchronized && !(await writeback.isOn()) ? 'writebackOff' : undefined;

  async function change(request: Parameters<PasswordChanges['change']>[0]): Promise<PasswordChange> {
    const { oldPassword, clientId, address, correlationId } = request;
    const { userPrincipalName } = request.user;
    const attempt = { userPrincipalName, password: oldPassword, clientId, address, correlationId };
    const outcome = await signIn.checkPassword({ ...attempt, flow: 'browser' });
    if (outcome.status === 'federated') return refused('federated');
    if (outcome.status !== 'right') return refused(outcome.status === 'locked' ? 'locked' : 'wrongPassword');
    const { user } = outcome;
    // A name may have changed hands since the person typed it.
    if (user.objectId !== request.user.objectId) {
      outcome.record(50126);
      return refused('wrongPassword');
    }
    const changed = await changeOf(user, request);
    // Who is changed signs in with the new one, and that is logged.
    if (changed.status === 'refused') {
      outcome.record(changed.reason === 'disabled' ? 50057 : 50055);
      const entry = entryOf('Change user password', user, { kind: 'user', id: user.objectId }, correlationId);
      await audit.record({ ...entry, result: 'failure', reason: changed.reason });
    }
    return changed;
  }

  /** Behind the right old password. */
  async function changeOf(
    user: SignInUser,
    { oldPassword, newPassword, correlationId }: Parameters<PasswordChanges['change']>[0],
  ): Promise<PasswordChange> {
    if (!user.accountEnabled) return refused('disabled');
    if (newPassword === oldPassword) return refused('sameAsOld');
    if (newPassword.length > LONGEST) return weakness(user, newPassword)!;
    const hindered = await hindrance(user);
    if (hindered !== undefined) return refused(hindered);
    const weak = user.synchronized ? undefined : weakness(user, newPassword);
    if (weak !== undefined) return weak;

    const credential = await signIn.passwords.derive(newPassword);
    let changeDate: Date | undefined;
    if (user.synchronized) {
      // A password that an administrator has reset in the cloud is not the one that the directory on premises knows.
      const known = user.passwordOrigin === CredentialOrigin.reset ? {} : { oldPassword };
      const written = await writeback.write({ user, newPassword, ...known });
      if (written.status === 'unavailable') {
        log.warn({ objectId: user.objectId, reason: written.message }, 'password not written back');
        // Not always is it sure that nothing has changed: only the write-back can say so.
        return { status: 'refused', reason: 'writebackUnavailable', message: written.message };
      }
      if (written.status === 'refused') return written;
      changeDate = written.changedAt;
    }
    const cloud = { userId: user.id, credential, forceChange: false, actor: user.objectId, at: now(), changeDate };
    const work = async (queries: Queries) => {
      const stored = await storeChanged(queries, user, cloud);
      // Of a synchronized user, what came between came from on premises: this very password, or one that is newer still.
      if (!stored && !user.synchronized) return false;
      await signIn.lockouts.reset(queries, nameDigest(user.userPrincipalName));
      await audit.record(
        entryOf('Change user password', user, { kind: 'user', id: user.objectId }, correlationId),
        queries,
      );
      return true;
    };
    if (!user.synchronized) return (await database.transaction(work)) ? CHANGED : refused('wrongPassword');
    await storeWrittenBack(work, user.objectId);
    return CHANGED;
  }

  /** Where it cannot be stored, the next synchronization brings it. */
  async function storeWrittenBack(work: (queries: Queries) => Promise<boolean>, objectId: string): Promise<void> {
    for (let left = STORE_TRIES; ; left--) {
      try {
        await database.transaction(work);
        return;
      } catch (err) {
        if (left === 1 || !(err instanceof PhsyncError)) {
          log.error(
            { err, objectId },
            'password written back, but not stored: it is valid after the next synchronization',
          );
          return;
        }
        await sleep(STORE_PAUSE);
      }
    }
  }

  const first: PasswordChanges['first'] = async ({ user, password, forceChangeNextSignIn, actor }) => {
    const weak = weakness(user, password);
    if (weak !== undefined) return weak;
    const credential = await signIn.passwords.derive(password);
    return {
      status: 'ready',
      async store(queries, userId) {
        await storeReset(queries, { userId, credential, forceChange: forceChangeNextSignIn, actor, at: now() });
        // Who tried the name before it was anybody's.
        await signIn.lockouts.reset(queries, nameDigest(user.userPrincipalName));
      },
    };
  };

  async function reset(request: Parameters<PasswordChanges['reset']>[0]): Promise<PasswordChange> {
    const { objectId, newPassword, forceChangeNextSignIn, actor } = request;
    const user = await findUser(objectId);
    const who = await actorOf(actor);
    if (user === undefined) return refused('unknownUser');
    const realm = await signIn.realms.of(user.userPrincipalName);
    const refusal =
      realm.domain?.authentication_type === 'Federated' ? refused('federated') : weakness(user, newPassword);
    const entry = entryOf('Reset user password', user, who);
    if (refusal?.status === 'refused') {
      await audit.record({ ...entry, result: 'failure', reason: refusal.reason });
      return refusal;
    }
    const credential = await signIn.passwords.derive(newPassword);
    const features = await store.dirSyncFeatures();
    const enforced = (features & DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers) !== 0;
    await database.transaction(async (queries) => {
      await storeReset(queries, {
        userId: user.id,
        credential,
        forceChange: forceChangeNextSignIn,
        actor,
        at: now(),
      });
      // All policies of the cloud apply to this password, expiry among them. Where the feature is on, the value is an
      // administrator's exception and stays.
      if (user.synchronized && !enforced && hasPolicy(user.passwordPolicies, DISABLE_PASSWORD_EXPIRATION)) {
        await queries
          .updateTable('users')
          .set({ password_policies: withoutPolicy(user.passwordPolicies, DISABLE_PASSWORD_EXPIRATION) })
          .where('id', '=', user.id)
          .execute();
      }
      await signIn.lockouts.reset(queries, nameDigest(user.userPrincipalName));
      await audit.record({ ...entry, details: { forceChangePasswordNextSignIn: forceChangeNextSignIn } }, queries);
    });
    return CHANGED;
  }

  async function findUser(objectId: string): Promise<ResetUser | undefined> {
    const row = await database.run((queries) =>
      queries
        .selectFrom('users')
        .select([
          'id',
          'object_id as objectId',
          'user_principal_name as userPrincipalName',
          'display_name as displayName',
          'given_name as givenName',
          'surname',
          'password_policies as passwordPolicies',
          'source_anchor as sourceAnchor',
        ])
        .where('object_id', '=', objectId)
        .where('deleted_at', 'is', null)
        .executeTakeFirst(),
    );
    return row === undefined ? undefined : { ...row, synchronized: row.sourceAnchor !== null };
  }

  /** A user's object id, else an application's client id. */
  async function actorOf(id: string): Promise<AuditEntry['actor']> {
    const row = await database.run((queries) =>
      queries.selectFrom('users').select('id').where('object_id', '=', id).executeTakeFirst(),
    );
    return { kind: row === undefined ? 'app' : 'user', id };
  }

  return { hindrance, change, first, reset };
}

/** What a password is judged by. */
type Named = Parameters<PasswordChanges['first']>[0]['user'];
type ResetUser = Named & Pick<SignInUser, 'id' | 'objectId' | 'synchronized'>;

const entryOf = (
  activity: string,
  { objectId, userPrincipalName }: Pick<SignInUser, 'objectId' | 'userPrincipalName'>,
  actor: AuditEntry['actor'],
  correlationId?: string,
): AuditEntry => ({
  actor,
  activity,
  category: 'UserManagement',
  target: { kind: 'User', id: objectId, name: userPrincipalName },
  result: 'success',
  correlationId,
});
