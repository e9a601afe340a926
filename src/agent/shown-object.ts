/** What replication says of an object beyond its attributes: that it moved, that it is gone. */

import { guidToText } from '../protocol/dtyp/guid.js';
import type { DirectoryObject } from './source.js';

/** Where users lie. */
const CONTAINER_CLASSES: ReadonlySet<string> = new Set(['organizationalUnit', 'container']);

/** Of a whole object. */
export function isContainer(object: DirectoryObject | undefined): boolean {
  return CONTAINER_CLASSES.has(object?.objectClass ?? '');
}

/** What was renamed or moved and is no account may be a container, with others below: a new one comes with its class. */
export function mayHaveMovedOthers({ renamed, objectClass, rid, deleted }: DirectoryObject): boolean {
  return renamed === true && objectClass === undefined && rid === 0 && !deleted;
}

/** What is known of an object that the directory no longer has, or does not show: its GUID. */
export function goneObject(guid: Uint8Array): DirectoryObject {
  return {
    guid: guidToText(guid),
    dn: '',
    sid: undefined,
    rid: 0,
    deleted: true,
    objectClass: undefined,
    sAMAccountName: undefined,
    userPrincipalName: undefined,
    displayName: undefined,
    givenName: undefined,
    sn: undefined,
    mail: undefined,
    userAccountControl: undefined,
    pwdLastSet: undefined,
    accountExpires: undefined,
    unicodePwd: undefined,
    passwordVersion: undefined,
    passwordChanged: undefined,
  };
}
