/** A directory object as a whole one comes, with some attributes of the test's own. */

import type { DirectoryObject } from '#src/agent/source.js';

export function directoryObject(attributes: Partial<DirectoryObject> = {}): DirectoryObject {
  return {
    guid: '0a1b2c3d-0000-4000-8000-00000000abcd',
    dn: 'CN=Ann,OU=Staff,DC=phs,DC=test',
    sid: 'S-1-5-21-1-2-3-1105',
    rid: 1105,
    deleted: false,
    objectClass: 'user',
    sAMAccountName: 'ann',
    userPrincipalName: 'ann@phs.test',
    displayName: 'Ann',
    givenName: 'Ann',
    sn: 'Able',
    mail: undefined,
    userAccountControl: 0x200,
    pwdLastSet: 133_000_000_000_000_000n,
    accountExpires: 0n,
    unicodePwd: new Uint8Array(36),
    passwordVersion: 2,
    passwordChanged: new Date('2026-05-01T12:00:00Z'),
    ...attributes,
  };
}
