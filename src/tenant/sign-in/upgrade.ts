/** Credentials of other iteration counts (100, of old clients) become ones of 1000 at the next right sign-in. */

import type { TenantDatabase } from '../store/database.js';
import type { SignInUser } from '../store/store.js';
import type { PasswordCheck } from './password-check.js';

/** History's actor. */
const ACTOR = 'sign-in';

/**
 * Stores the same password under a salt of its own and 1000 iterations, unless the credential that was signed in with is
 * no longer the stored one. @returns whether it was.
 */
export async function upgradeCredential(
  database: TenantDatabase,
  passwords: PasswordCheck,
  { user, password, now }: { readonly user: SignInUser; readonly password: string; readonly now: Date },
): Promise<boolean> {
  const old = user.credential;
  if (old === undefined) return false;
  const { salt, iterations, hash } = await passwords.derive(password);
  const at = now.getTime();
  return database.transaction(async (queries) => {
    // Compared and set in one statement: a newer one is never overwritten.
    const row = await queries
      .updateTable('credentials')
      .set({ salt, iterations, hash, updated_at: at })
      .where('user_id', '=', user.id)
      .where('salt', '=', old.salt)
      .where('hash', '=', old.hash)
      .where('iterations', '=', old.iterations)
      .returning(['origin', 'change_date', 'force_change'])
      .executeTakeFirst();
    if (row === undefined) return false;
    await queries
      .insertInto('credential_history')
      .values({ user_id: user.id, at, iterations, actor: ACTOR, ...row })
      .execute();
    return true;
  });
}
