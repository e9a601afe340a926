/** A directory object as the provisioning service takes it, and the fingerprint that tells whether it changed. */

import { sidFromText } from '../protocol/dtyp/sid.js';
import { filetimeToDate } from '../protocol/dtyp/time.js';
import { PropertyList, PropertyNames } from '../provisioning/types.js';
import { ACCOUNT_DISABLED } from './scope.js';
import type { DirectoryObject } from './source.js';

export interface Domain {
  readonly dnsName: string;
  readonly netbiosName: string | undefined;
}

/** SourceAnchor: base64 of the bytes of mS-DS-ConsistencyGuid or objectGUID. */
export function sourceAnchorOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** A user without one signs in as Entra Connect would have it: account name at the domain. */
function principalName(object: DirectoryObject, domain: Domain): string {
  return object.userPrincipalName || `${object.sAMAccountName}@${domain.dnsName}`;
}

/** Disabled in the directory. */
export function isDisabled(object: DirectoryObject): boolean {
  return ((object.userAccountControl ?? 0) & ACCOUNT_DISABLED) !== 0;
}

const NEVER = 0x7fff_ffff_ffff_ffffn;

/** When the account expires, in milliseconds since 1970, or null; as `known` where that did not come. */
export function accountExpiry(
  { accountExpires }: DirectoryObject,
  known: { readonly accountExpires: number | null } | undefined,
): number | null {
  if (accountExpires === undefined) return known?.accountExpires ?? null;
  // Nearly all: no date is made for them.
  if (accountExpires === NEVER) return null;
  return filetimeToDate(accountExpires)?.getTime() ?? null;
}

/** In the order of the values of `userProperties`. */
const USER_PROPERTIES = new PropertyNames([
  'SourceAnchor',
  'userPrincipalName',
  'displayName',
  'givenName',
  'surname',
  'mail',
  'accountEnabled',
  'onPremisesSamAccountName',
  'onPremisesDistinguishedName',
  'onPremiseSecurityIdentifier',
  'dnsDomainName',
  'netBiosName',
  'lastPasswordChangeTimestamp',
  'cloudMastered',
]);

/**
 * All properties of a user; what the directory does not have is null, so that it is cleared. Of a text that was there
 * once, replication says ''. `enabled`: what the tenant shall think of the account.
 */
export function userProperties(
  object: DirectoryObject,
  sourceAnchor: string,
  domain: Domain,
  enabled: boolean,
): PropertyList {
  return new PropertyList(USER_PROPERTIES, [
    sourceAnchor,
    principalName(object, domain),
    object.displayName || null,
    object.givenName || null,
    object.sn || null,
    object.mail || null,
    enabled,
    object.sAMAccountName ?? null,
    object.dn,
    object.sid === undefined ? null : accountSid(object.sid),
    domain.dnsName,
    domain.netbiosName ?? null,
    generalizedTime(object.pwdLastSet),
    false,
  ]);
}

/** The domain SID that was read last, as text with a dash at its end, and the bytes of an account's SID below it. */
let lastDomain = '';
let lastSid: Uint8Array = new Uint8Array(0);

/** `sidFromText`, but for the many SIDs of one domain, which differ in the RID alone: that spares 4 µs a user. */
function accountSid(text: string): Uint8Array {
  const end = text.lastIndexOf('-') + 1;
  if (!text.startsWith(lastDomain) || end !== lastDomain.length) {
    const sid = sidFromText(text);
    lastDomain = text.slice(0, end);
    lastSid = sid;
    return sid;
  }
  const sid = lastSid.slice();
  const rid = Number(text.slice(end));
  for (let i = 0; i < 4; i++) sid[sid.length - 4 + i] = rid >>> (8 * i);
  return sid;
}

/**
 * 53 bits over everything above that is the user's own, but for lastPasswordChangeTimestamp: a password change is told
 * by its credential, not by sending the user again. Tells one state of one user from the next; against somebody who
 * looks for two states with the same fingerprint it is no protection, nor need it be.
 */
export function fingerprintOf(object: DirectoryObject, domain: Domain, enabled: boolean): number {
  // NUL stands in no attribute of these syntaxes, and \u0001 for "not there", which is not the same as empty.
  begin();
  take(enabled ? '1' : '0');
  take(object.dn);
  takeNext(object.sAMAccountName);
  takeNext(principalName(object, domain));
  takeNext(object.displayName);
  takeNext(object.givenName);
  takeNext(object.sn);
  takeNext(object.mail);
  takeNext(object.sid);
  takeNext(domain.dnsName);
  takeNext(domain.netbiosName ?? '');
  return digest53();
}

/** Over the DN: enough to notice that an object moved. */
export function dnDigestOf(dn: string): number {
  begin();
  take(dn);
  return digest53();
}

// Two lanes of multiply-and-xor over the UTF-16 units (cyrb53), text by text: joining them first made a string of half
// a kilobyte for every user.
const lanes = new Int32Array(2);

function begin(): void {
  lanes[0] = 0xdeadbeef;
  lanes[1] = 0x41c6ce57;
}

function take(text: string): void {
  let a = lanes[0]!;
  let b = lanes[1]!;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e3779b1);
    b = Math.imul(b ^ unit, 0x5f356495);
  }
  lanes[0] = a;
  lanes[1] = b;
}

function takeNext(text: string | undefined): void {
  take('\0');
  take(text ?? '\u0001');
}

/** What was taken since `begin`, as a safe integer. */
function digest53(): number {
  let a = lanes[0]!;
  let b = lanes[1]!;
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return 2 ** 32 * (b & 0x1fffff) + (a >>> 0);
}

/** The day that was written last, in days since 1970: most passwords of a page were changed on few days. */
let lastDay = Number.NaN;
let lastDayText = '';

/** As Entra Connect's rules write the FILETIME 0: the password must be changed at the next log-on. */
const MUST_CHANGE_TIMESTAMP = '16010101000000.0Z';

/** `20190801164342.0Z`; null for "never". */
function generalizedTime(filetime: bigint | undefined): string | null {
  if (filetime === 0n) return MUST_CHANGE_TIMESTAMP;
  const date = filetime === undefined ? undefined : filetimeToDate(filetime);
  if (date === undefined) return null;
  const seconds = Math.floor(date.getTime() / 1000);
  const day = Math.floor(seconds / 86_400);
  if (day !== lastDay) {
    lastDay = day;
    lastDayText = date.toISOString().slice(0, 10).replaceAll('-', '');
  }
  const time = seconds - 86_400 * day;
  // 1 stands before the six digits, so that leading zeros stay.
  const clock = 1_000_000 + 10_000 * Math.floor(time / 3600) + 100 * (Math.floor(time / 60) % 60) + (time % 60);
  return `${lastDayText}${String(clock).slice(1)}.0Z`;
}
