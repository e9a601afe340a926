/** Sets one user's password in Active Directory: finds the object, looks whether it is the connector's, changes or resets it. */

import { type Client, type Entry, ResultCodeError } from 'ldapts';
import { PhsyncError } from '../../hasher/errors.js';
import { sidToText } from '../../protocol/dtyp/sid.js';
import { filetimeToDate } from '../../protocol/dtyp/time.js';
import type { OpenedWrite } from '../../provisioning/write-back.js';
import type { ConditionAttribute } from '../config/scope.js';
import { domainDn } from '../diagnosis/grant.js';
import { outOfScopeText } from '../out-of-scope.js';
import type { Scope } from '../scope.js';
import type { DirectoryObject } from '../source.js';
import { closeLdap, explain as explainFailure, type LdapOptions, openLdap } from './ldap-session.js';
import { charactersOf, PolicyHintsControl, passwordChanges, unicodePwd } from './password-change.js';
import { explain, type PolicyFacts, type Refusal, refusalOf } from './refusals.js';

export interface SetPasswordOptions {
  /** The domain controllers, best first; the next one is asked where one cannot be reached. */
  readonly controllers: readonly LdapOptions[];
  readonly scope: Scope;
  readonly conditionAttributes: readonly ConditionAttribute[];
  readonly now: () => number;
  /** Milliseconds since 1970: nothing is set any more. */
  readonly deadline: number;
}

export type SetPassword = {
  /** What was found out, for events: never a secret. */
  readonly dn: string | undefined;
  readonly server: string;
} & (
  | { readonly status: 'done'; readonly changedAt: number | undefined }
  | { readonly status: 'refused'; readonly refusal: Refusal; readonly message: string }
);

const ATTRIBUTES = [
  'objectClass',
  'objectSid',
  'sAMAccountName',
  'userPrincipalName',
  'displayName',
  'mail',
  'userAccountControl',
  'isCriticalSystemObject',
  'adminDescription',
  'pwdLastSet',
];

/**
 * @throws PhsyncError `ldap-…` where no domain controller let the account in, or the connection broke before the password
 *   was sent
 */
export async function setPassword(
  guid: string,
  passwords: Pick<OpenedWrite, 'oldPassword' | 'newPassword'>,
  options: SetPasswordOptions,
): Promise<SetPassword> {
  const { client, ldap } = await openFirst(options.controllers);
  const { server } = ldap;
  try {
    const entry = await find(client, guid, options.conditionAttributes);
    if (entry === undefined) return refuse(undefined, server, 'noUser', `${server} has no object ${guid}`);
    const object = toObject(entry, guid, options.conditionAttributes);
    const why = options.scope.why(object);
    if (why !== undefined) {
      return refuse(object.dn, server, 'outOfScope', `out of scope: ${outOfScopeText(why, object, options.scope)}`);
    }
    const { oldPassword, newPassword } = passwords;
    // ldapts would connect anew for the next request, not logged on and with StartTLS in the clear.
    const hints = oldPassword === undefined && (await offersPolicyHints(client));
    if (options.now() >= options.deadline) return refuse(object.dn, server, 'late', 'the request came too late');
    if (!client.isBound) throw new PhsyncError('ldap-unreachable', `${server} ended the connection`);
    const failure = await modify(client, object.dn, passwords, hints);
    if (failure === undefined) {
      // Done is done, whether or not the domain controller still tells the time.
      const after = await find(client, guid, []).catch(() => undefined);
      return { status: 'done', dn: object.dn, server, changedAt: timeOf(after?.pwdLastSet) };
    }
    const refusal = refusalOf(failure);
    if (refusal === undefined) {
      const { message } = explainFailure(failure, ldap, 'request');
      return refuse(object.dn, server, 'noAnswer', `${message}; whether the password is set is not known`);
    }
    const told = explain(refusal, {
      ...(await policyOf(client, ldap.domain, refusal)),
      length: charactersOf(newPassword),
      pwdLastSet: timeOf(entry.pwdLastSet),
      now: options.now(),
      reset: oldPassword === undefined,
    });
    return { status: 'refused', refusal: told, message: diagnosticOf(failure), dn: object.dn, server };
  } catch (error) {
    if (error instanceof PhsyncError) throw error;
    if (error instanceof ResultCodeError) {
      return { status: 'refused', refusal: refusalOf(error)!, message: diagnosticOf(error), dn: undefined, server };
    }
    throw explainFailure(error, ldap, 'request');
  } finally {
    await closeLdap(client);
  }
}

function refuse(
  dn: string | undefined,
  server: string,
  reason: Extract<Refusal, { status: 'failed' }>['reason'],
  message: string,
): SetPassword {
  return { status: 'refused', refusal: { status: 'failed', reason }, message, dn, server };
}

async function openFirst(controllers: readonly LdapOptions[]): Promise<{ client: Client; ldap: LdapOptions }> {
  let failure: unknown;
  for (const ldap of controllers) {
    try {
      return { client: await openLdap(ldap), ldap };
    } catch (error) {
      failure ??= error;
      // Another would say the same of the account, and count it as one more wrong password.
      if (error instanceof PhsyncError && error.code === 'ldap-logon') throw error;
    }
  }
  throw failure;
}

async function find(client: Client, guid: string, more: readonly ConditionAttribute[]): Promise<Entry | undefined> {
  try {
    const { searchEntries } = await client.search(`<GUID=${guid}>`, {
      scope: 'base',
      attributes: [...ATTRIBUTES, ...more],
      explicitBufferAttributes: ['objectSid'],
    });
    return searchEntries[0];
  } catch (error) {
    if (error instanceof ResultCodeError && refusalOf(error)?.reason === 'noUser') return undefined;
    throw error;
  }
}

async function offersPolicyHints(client: Client): Promise<boolean> {
  const { searchEntries } = await client.search('', { scope: 'base', attributes: ['supportedControl'] });
  return [searchEntries[0]?.supportedControl ?? []].flat().includes(PolicyHintsControl.type);
}

/** Undefined: done. What the domain controller said against it, otherwise, or why it did not come to say anything. */
async function modify(
  client: Client,
  dn: string,
  { oldPassword, newPassword }: Pick<OpenedWrite, 'oldPassword' | 'newPassword'>,
  hints: boolean,
): Promise<Error | undefined> {
  const oldValue = oldPassword && unicodePwd(oldPassword);
  const newValue = unicodePwd(newPassword);
  try {
    await client.modify(dn, passwordChanges(newValue, oldValue), hints ? new PolicyHintsControl() : []);
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    oldValue?.fill(0);
    newValue.fill(0);
  }
}

/** Asked only where it says more than the refusal does. */
async function policyOf(
  client: Client,
  domain: string,
  refusal: Refusal,
): Promise<Pick<PolicyFacts, 'minPwdLength' | 'minPwdAge'>> {
  const unknown = { minPwdLength: 0, minPwdAge: 0 };
  if (refusal.reason !== 'policy' && refusal.reason !== 'tooYoung') return unknown;
  try {
    const { searchEntries } = await client.search(domainDn(domain), {
      scope: 'base',
      attributes: ['minPwdLength', 'minPwdAge'],
    });
    const number = (name: string) => Math.abs(Number(textOf(searchEntries[0], name) ?? 0)) || 0;
    // A negative number of 100 ns (MS-ADTS 6.1.1.4.3).
    return { minPwdLength: number('minPwdLength'), minPwdAge: number('minPwdAge') / 10_000 };
  } catch (error) {
    if (error instanceof ResultCodeError) return unknown;
    throw error;
  }
}

/** Of a domain controller's message the first line: it says what was wrong, and holds no value. */
const diagnosticOf = (error: Error): string => error.message.split('\n')[0]!.slice(0, 300);

function textOf(entry: Entry | undefined, name: string): string | undefined {
  const value = [entry?.[name] ?? []].flat()[0];
  return typeof value === 'string' ? value : undefined;
}

function timeOf(value: Entry[string] | undefined): number | undefined {
  const text = [value ?? []].flat()[0];
  const ticks = typeof text === 'string' && /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  return ticks === 0n ? undefined : filetimeToDate(ticks)?.getTime();
}

/** What the scope's rules look at. */
function toObject(entry: Entry, guid: string, conditions: readonly ConditionAttribute[]): DirectoryObject {
  const text = (name: string) => textOf(entry, name);
  const sid = [entry.objectSid ?? []].flat()[0];
  const sidText = Buffer.isBuffer(sid) ? sidToText(sid) : undefined;
  const classes = [entry.objectClass ?? []].flat();
  // LDAP lists classes from top to the most derived one.
  const objectClass = classes.at(-1);
  return {
    guid,
    dn: entry.dn,
    sid: sidText,
    rid: Number(sidText?.slice(sidText.lastIndexOf('-') + 1) ?? 0),
    deleted: false,
    objectClass: typeof objectClass === 'string' ? objectClass : undefined,
    sAMAccountName: text('sAMAccountName'),
    userPrincipalName: text('userPrincipalName'),
    displayName: text('displayName'),
    givenName: undefined,
    sn: undefined,
    mail: text('mail'),
    userAccountControl: Number(text('userAccountControl') ?? 0),
    isCriticalSystemObject: text('isCriticalSystemObject') === 'TRUE',
    pwdLastSet: undefined,
    accountExpires: undefined,
    adminDescription: text('adminDescription'),
    attributes: new Map(conditions.map((name) => [name, text(name) ?? ''])),
    unicodePwd: undefined,
    passwordVersion: undefined,
    passwordChanged: undefined,
  };
}
