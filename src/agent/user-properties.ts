/** A directory object as the provisioning service takes it, and the fingerprint that tells whether it changed. */

import { hash } from 'node:crypto';
import { sidFromText } from '../protocol/dtyp/sid.js';
import { filetimeToDate } from '../protocol/dtyp/time.js';
import type { PropertyValue } from '../provisioning/types.js';
import { ACCOUNT_DISABLED } from './scope.js';
import type { DirectoryObject } from './source.js';

export interface Domain {
  readonly dnsName: string;
  readonly netbiosName: string | undefined;
}

const FINGERPRINT_SIZE = 8;

/** SourceAnchor: base64 of objectGUID's 16 bytes. */
export function sourceAnchorOf(guid: Uint8Array): string {
  return Buffer.from(guid.buffer, guid.byteOffset, guid.byteLength).toString('base64');
}

/** A user without one signs in as Entra Connect would have it: account name at the domain. */
function principalName(object: DirectoryObject, domain: Domain): string {
  return object.userPrincipalName ?? `${object.sAMAccountName}@${domain.dnsName}`;
}

/** accountExpires takes no part: an account that expired in Active Directory stays enabled in the tenant. */
function accountEnabled(object: DirectoryObject): boolean {
  return ((object.userAccountControl ?? 0) & ACCOUNT_DISABLED) === 0;
}

/** All properties of a user; what the directory does not have is null, so that it is cleared. */
export function userProperties(
  object: DirectoryObject,
  sourceAnchor: string,
  domain: Domain,
): ReadonlyMap<string, PropertyValue> {
  return new Map<string, PropertyValue>([
    ['SourceAnchor', sourceAnchor],
    ['userPrincipalName', principalName(object, domain)],
    ['displayName', object.displayName ?? null],
    ['givenName', object.givenName ?? null],
    ['surname', object.sn ?? null],
    ['mail', object.mail ?? null],
    ['accountEnabled', accountEnabled(object)],
    ['onPremisesSamAccountName', object.sAMAccountName ?? null],
    ['onPremisesDistinguishedName', object.dn],
    ['onPremiseSecurityIdentifier', object.sid === undefined ? null : sidFromText(object.sid)],
    ['dnsDomainName', domain.dnsName],
    ['netBiosName', domain.netbiosName ?? null],
    ['lastPasswordChangeTimestamp', generalizedTime(object.pwdLastSet)],
    ['cloudMastered', false],
  ]);
}

/**
 * Eight bytes over everything above that is the user's own, but for lastPasswordChangeTimestamp: a password change is
 * told by its credential, not by sending the user again.
 */
export function fingerprintOf(object: DirectoryObject, domain: Domain): Uint8Array {
  const text = [
    principalName(object, domain),
    object.displayName,
    object.givenName,
    object.sn,
    object.mail,
    accountEnabled(object),
    object.sAMAccountName,
    object.dn,
    object.sid,
    domain.dnsName,
    domain.netbiosName,
  ].join('\0');
  return hash('sha256', text, 'buffer').subarray(0, FINGERPRINT_SIZE);
}

/** 32 bits (FNV-1a) over the DN's UTF-16 units: enough to notice that an object moved. */
export function dnDigestOf(dn: string): number {
  let digest = 0x811c9dc5;
  for (let i = 0; i < dn.length; i++) {
    digest = Math.imul(digest ^ dn.charCodeAt(i), 0x01000193);
  }
  return digest | 0;
}

/** `20190801164342.0Z`; null for "never". */
function generalizedTime(filetime: bigint | undefined): string | null {
  const date = filetime === undefined ? undefined : filetimeToDate(filetime);
  return date === undefined ? null : `${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}.0Z`;
}
