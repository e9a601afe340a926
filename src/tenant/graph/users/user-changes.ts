/** `/users`, to be changed: users of the cloud made, changed and deleted; passwords reset, and how long they are good for. */

import { randomUUID } from 'node:crypto';
import type { Updateable } from 'kysely';
import { z } from 'zod';
import type { Queries } from '../../store/database.js';
import { canonicalPasswordPolicies } from '../../store/password-policies.js';
import { userPrincipalNameKey } from '../../store/store.js';
import type { UsersTable } from '../../store/tables.js';
import { badRequest, conflict, mastered, notFound } from '../error.js';
import { entityReply } from '../odata/page.js';
import { both, demand, type Permissions } from '../permissions.js';
import { type GraphCall, noContent, route, warned } from '../route.js';
import { type UserRow, user } from './user.js';
import { domainForName, domainOf, findUser, isNameTaken, isUniqueViolation } from './user-store.js';

const WRITE = ['User.ReadWrite.All', 'Directory.ReadWrite.All'] as const;
const writeUsers = both(...WRITE);
const writePasswords: Permissions = {
  delegated: ['User-PasswordProfile.ReadWrite.All', 'Directory.AccessAsUser.All'],
  application: ['User-PasswordProfile.ReadWrite.All'],
};
const enableAccounts = both('User.EnableDisableAccount.All', ...WRITE);
const patchUsers: Permissions = {
  delegated: [...new Set([...enableAccounts.delegated, ...writePasswords.delegated])],
  application: [...new Set([...enableAccounts.application, ...writePasswords.application])],
};
/**
 * Who becomes an administrator by a name, or gets an administrator's password, gets an administrator's rights: Entra's
 * sensitive actions. An application needs the permission that hands out roles, a person the one to act as oneself.
 */
const manageAdministrators: Permissions = {
  delegated: ['Directory.AccessAsUser.All'],
  application: ['RoleManagement.ReadWrite.Directory'],
};
const deleteUsers = both('User.ReadWrite.All');

/** PostgreSQL's text has no NUL. */
const line = (most: number) =>
  z
    .string()
    .max(most)
    .refine((value) => !value.includes('\0'), 'a NUL character is not allowed');
const name = (most: number) => line(most).min(1);
const optionalLine = (most: number) => line(most).nullable().optional();
const passwordPolicies = z
  .string()
  .nullable()
  .refine((value) => canonicalPasswordPolicies(value) !== undefined, {
    error: 'expected None, DisablePasswordExpiration, DisableStrongPassword, or the latter two with a comma',
  })
  .optional();
const password = z.string().min(1).max(256).meta({ format: 'password', writeOnly: true });

const names = { givenName: optionalLine(64), surname: optionalLine(64), mail: optionalLine(256) };

const newUser = z
  .strictObject({
    accountEnabled: z.boolean(),
    displayName: name(256),
    userPrincipalName: name(1024),
    /** Graph demands it; the tenant has no mailboxes and does not keep it. */
    mailNickname: line(64).optional(),
    passwordPolicies,
    passwordProfile: z.strictObject({ password, forceChangePasswordNextSignIn: z.boolean().default(true) }),
    ...names,
  })
  .meta({ id: 'newUser' });

const userChanges = z
  .strictObject({
    accountEnabled: z.boolean().optional(),
    displayName: name(256).optional(),
    userPrincipalName: name(1024).optional(),
    passwordPolicies,
    passwordProfile: z
      .strictObject({ password: password.optional(), forceChangePasswordNextSignIn: z.boolean().optional() })
      .optional(),
    ...names,
  })
  .meta({ id: 'userChanges' });

type UserChanges = z.output<typeof userChanges>;

/** Of synchronized users, the directory on premises has the word on these. */
const MASTERED = ['displayName', 'userPrincipalName', 'givenName', 'surname', 'mail'] as const;
const columns = {
  displayName: 'display_name',
  givenName: 'given_name',
  surname: 'surname',
  mail: 'mail',
} as const;

const FORCED_IN_VAIN =
  'passwordWritebackEnabled is off: this synchronized user must change the password and cannot at sign-in, but on premises only';

/** A new password is temporary where nothing else is said; without one, nothing is forced that is not asked for. */
const isForced = ({ password, forceChangePasswordNextSignIn }: NonNullable<UserChanges['passwordProfile']>) =>
  forceChangePasswordNextSignIn ?? password !== undefined;

export const userChangeRoutes = [
  route<z.output<typeof newUser>>({
    method: 'POST',
    path: '/users',
    operationId: 'user.create',
    tag: 'users',
    summary: "A user of the cloud alone, whose password is under the cloud's rules.",
    permissions: writeUsers,
    body: newUser,
    reply: { status: 201, description: 'The user.', schema: user.schema },
    async handle(call) {
      const { services, body } = call;
      const { userPrincipalName, displayName, givenName = null, surname = null } = body;
      demandForAdministrators(call, userPrincipalNameKey(userPrincipalName));
      const passwordPolicies = canonicalPasswordPolicies(body.passwordPolicies ?? null)!;
      const password = await services.passwords.first({
        user: { userPrincipalName, displayName, givenName, surname, passwordPolicies },
        password: body.passwordProfile.password,
        forceChangeNextSignIn: body.passwordProfile.forceChangePasswordNextSignIn,
        actor: call.actor.id,
      });
      if (password.status === 'refused') throw badRequest(password.message);
      const objectId = randomUUID();
      // The user, the password and the audit log's entry, or nothing.
      const row = await services.database.transaction(async (queries) => {
        await password.store(queries, await insert(call, queries, { objectId, passwordPolicies }));
        await record(
          call,
          queries,
          'Add user',
          { objectId, name: userPrincipalName },
          {
            userPrincipalName: { new: userPrincipalName },
            displayName: { new: displayName },
            accountEnabled: { new: body.accountEnabled },
          },
        );
        return findUser(queries, objectId);
      });
      if (row === undefined) throw notFound(objectId);
      return entityReply(call, 'users', user.toJson(row, undefined), 201);
    },
  }),
  route<UserChanges>({
    method: 'PATCH',
    path: '/users/{id}',
    operationId: 'user.update',
    tag: 'users',
    summary:
      'Changes a user: names of users of the cloud, accountEnabled, passwordPolicies, and the password (a reset). A change that is forced on a synchronized user without write-back is answered with a Warning header.',
    permissions: patchUsers,
    body: userChanges,
    reply: { status: 204, description: 'Changed.' },
    async handle(call) {
      const { body, services } = call;
      const { passwordProfile } = body;
      demandFor(call);
      // All that can be refused is looked at first: the password is a change of its own, and would stay.
      const { object_id, source_anchor } = await services.database.run(async (queries) => {
        const row = await findChangeable(call, queries);
        await columnsFor(body, row, queries);
        return row;
      });
      const forced = passwordProfile !== undefined && isForced(passwordProfile);
      if (passwordProfile?.password !== undefined) {
        const outcome = await services.passwords.reset({
          objectId: object_id,
          newPassword: passwordProfile.password,
          forceChangeNextSignIn: forced,
          actor: call.actor.id,
        });
        if (outcome.status === 'refused') throw badRequest(outcome.message);
      }
      await services.database
        .transaction((queries) => change(call, queries))
        .catch((error) => {
          throw isUniqueViolation(error) ? conflict('userPrincipalName') : error;
        });
      if (!forced || !(await services.passwords.hindrance({ synchronized: source_anchor !== null }))) return noContent;
      services.log.warn({ objectId: object_id }, FORCED_IN_VAIN);
      return warned(FORCED_IN_VAIN);
    },
  }),
  route({
    method: 'DELETE',
    path: '/users/{id}',
    operationId: 'user.delete',
    tag: 'users',
    summary: 'Deletes a user. A synchronized one comes back when its directory is synchronized anew.',
    permissions: deleteUsers,
    reply: { status: 204, description: 'Deleted.' },
    async handle(call) {
      const { services, params } = call;
      await services.database.transaction(async (queries) => {
        const row = await findUser(queries, params.id!);
        if (row === undefined) throw notFound(params.id!);
        demandForAdministrators(call, row.upn_key);
        const now = services.now().getTime();
        await queries.updateTable('users').set({ deleted_at: now, updated_at: now }).where('id', '=', row.id).execute();
        await record(call, queries, 'Delete user', { objectId: row.object_id, name: row.user_principal_name }, {});
      });
      return noContent;
    },
  }),
];

/** Each property's own permission. @throws GraphError 403 */
function demandFor({ caller, body }: GraphCall<UserChanges>): void {
  const { passwordProfile, accountEnabled, ...others } = body;
  if (passwordProfile !== undefined) demand(caller, writePasswords);
  if (accountEnabled !== undefined) demand(caller, enableAccounts);
  if (Object.keys(others).length > 0 || (passwordProfile === undefined && accountEnabled === undefined)) {
    demand(caller, writeUsers);
  }
}

/** @throws GraphError 403 where the name is an administrator's, and the caller may not manage those. */
function demandForAdministrators({ caller, services }: GraphCall<unknown>, nameKey: string): void {
  if (services.isAdministrator(nameKey)) demand(caller, manageAdministrators);
}

/** The user, where the change is one that may be made. @throws GraphError 400, 403, 404 */
async function findChangeable(call: GraphCall<UserChanges>, queries: Queries): Promise<UserRow> {
  const { body, params } = call;
  const row = await findUser(queries, params.id!);
  if (row === undefined) throw notFound(params.id!);
  const { userPrincipalName, accountEnabled, passwordProfile } = body;
  if (userPrincipalName !== undefined) demandForAdministrators(call, userPrincipalNameKey(userPrincipalName));
  if (userPrincipalName !== undefined || accountEnabled !== undefined || passwordProfile !== undefined) {
    demandForAdministrators(call, row.upn_key);
  }
  if (row.source_anchor !== null) {
    const refused = MASTERED.filter((property) => body[property] !== undefined);
    if (refused.length > 0) throw mastered(refused);
  }
  if (body.passwordPolicies !== undefined || body.passwordProfile !== undefined) {
    const domain = await domainOf(queries, row.user_principal_name);
    if (domain?.isFederated === true) {
      throw badRequest(
        `passwordPolicies and passwordProfile cannot be updated: ${domain.name} is a federated domain, whose users' passwords are not set here.`,
      );
    }
  }
  return row;
}

/** Everything but a new password, in the transaction of `queries`. */
async function change(call: GraphCall<UserChanges>, queries: Queries): Promise<void> {
  const { body } = call;
  const row = await findChangeable(call, queries);
  const columnsToSet = await columnsFor(body, row, queries);
  if (Object.keys(columnsToSet).length > 0) {
    // Of a synchronized user, updated_at is when it was last synchronized.
    const touched = row.source_anchor === null ? { updated_at: call.services.now().getTime() } : {};
    await queries
      .updateTable('users')
      .set({ ...columnsToSet, ...touched })
      .where('id', '=', row.id)
      .execute();
    await record(call, queries, activityOf(body), targetOf(row), detailsOf(body, row));
  }
  await setForceChange(call, queries, row);
}

async function columnsFor(body: UserChanges, row: UserRow, queries: Queries): Promise<Updateable<UsersTable>> {
  const set: Updateable<UsersTable> = {};
  for (const [property, column] of Object.entries(columns)) {
    const value = body[property as keyof typeof columns];
    if (value !== undefined) set[column] = value;
  }
  if (body.accountEnabled !== undefined) set.account_enabled = body.accountEnabled ? 1 : 0;
  if (body.passwordPolicies !== undefined) set.password_policies = canonicalPasswordPolicies(body.passwordPolicies)!;
  const { userPrincipalName } = body;
  if (userPrincipalName !== undefined) {
    await domainForName(queries, userPrincipalName);
    const key = userPrincipalNameKey(userPrincipalName);
    if (key !== row.upn_key && (await isNameTaken(queries, userPrincipalName))) throw conflict('userPrincipalName');
    set.user_principal_name = userPrincipalName;
    set.upn_key = key;
  }
  return set;
}

/** `passwordProfile: { forceChangePasswordNextSignIn }` without a new password. */
async function setForceChange(call: GraphCall<UserChanges>, queries: Queries, row: UserRow): Promise<void> {
  const { passwordProfile } = call.body;
  const force = passwordProfile?.forceChangePasswordNextSignIn;
  if (force === undefined || passwordProfile?.password !== undefined) return;
  const changed = await queries
    .updateTable('credentials')
    .set({ force_change: force ? 1 : 0 })
    .where('user_id', '=', row.id)
    .returning('user_id')
    .executeTakeFirst();
  if (changed === undefined) throw badRequest('passwordProfile: the user has no password yet.');
  await record(call, queries, 'Set force change user password', targetOf(row), {
    forceChangePasswordNextSignIn: { new: force },
  });
}

/** @returns `users.id`. @throws GraphError 400 */
async function insert(
  { services, body }: GraphCall<z.output<typeof newUser>>,
  queries: Queries,
  { objectId, passwordPolicies }: { readonly objectId: string; readonly passwordPolicies: string | null },
): Promise<number> {
  const now = services.now().getTime();
  const { name: domain, isFederated } = await domainForName(queries, body.userPrincipalName);
  if (isFederated) throw badRequest(`Users of the federated domain ${domain} are made on premises.`);
  const inserted = await queries
    .insertInto('users')
    .values({
      object_id: objectId,
      source_anchor: null,
      upn_key: userPrincipalNameKey(body.userPrincipalName),
      user_principal_name: body.userPrincipalName,
      display_name: body.displayName,
      given_name: body.givenName ?? null,
      surname: body.surname ?? null,
      mail: body.mail ?? null,
      account_enabled: body.accountEnabled ? 1 : 0,
      sam_account_name: null,
      distinguished_name: null,
      security_identifier: null,
      dns_domain_name: null,
      netbios_name: null,
      last_password_change: null,
      password_policies: passwordPolicies,
      created_at: now,
      updated_at: now,
      sessions_valid_from: null,
      deleted_at: null,
    })
    .onConflict((anyOf) => anyOf.doNothing())
    .returning('id')
    .executeTakeFirst();
  if (inserted === undefined) throw conflict('userPrincipalName');
  return inserted.id;
}

const targetOf = (row: UserRow) => ({ objectId: row.object_id, name: row.user_principal_name });

function activityOf({ accountEnabled, ...others }: UserChanges): string {
  if (accountEnabled === undefined || Object.keys(others).length > 0) return 'Update user';
  return accountEnabled ? 'Enable account' : 'Disable account';
}

function detailsOf(body: UserChanges, row: UserRow): Record<string, unknown> {
  const { passwordProfile, ...properties } = body;
  const before = user.toJson(row, Object.keys(properties));
  return Object.fromEntries(
    Object.entries(properties).map(([property, value]) => [property, { old: before[property], new: value }]),
  );
}

async function record(
  call: GraphCall<unknown>,
  queries: Queries,
  activity: string,
  target: { readonly objectId: string; readonly name: string },
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { services, actor, correlationId } = call;
  await services.audit.record(
    {
      actor,
      activity,
      category: 'UserManagement',
      target: { kind: 'User', id: target.objectId, name: target.name },
      result: 'success',
      details,
      correlationId,
    },
    queries,
  );
}
