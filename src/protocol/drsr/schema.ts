/** The attributes and classes of the Active Directory schema that phsync knows by name (MS-ADA1–3, MS-ADSC). */

/** lDAPDisplayName → attributeID. */
export const ATTRIBUTE_OIDS = {
  objectClass: '2.5.4.0',
  sn: '2.5.4.4',
  givenName: '2.5.4.42',
  displayName: '1.2.840.113556.1.2.13',
  name: '1.2.840.113556.1.4.1',
  isDeleted: '1.2.840.113556.1.2.48',
  userAccountControl: '1.2.840.113556.1.4.8',
  unicodePwd: '1.2.840.113556.1.4.90',
  pwdLastSet: '1.2.840.113556.1.4.96',
  supplementalCredentials: '1.2.840.113556.1.4.125',
  objectSid: '1.2.840.113556.1.4.146',
  accountExpires: '1.2.840.113556.1.4.159',
  sAMAccountName: '1.2.840.113556.1.4.221',
  userPrincipalName: '1.2.840.113556.1.4.656',
  isCriticalSystemObject: '1.2.840.113556.1.4.868',
  isRecycled: '1.2.840.113556.1.4.2058',
  mail: '0.9.2342.19200300.100.1.3',
} as const;

export type AttributeName = keyof typeof ATTRIBUTE_OIDS;

/** governsID → lDAPDisplayName. */
export const CLASS_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.6.0', 'top'],
  ['2.5.6.5', 'organizationalUnit'],
  ['2.5.6.6', 'person'],
  ['2.5.6.7', 'organizationalPerson'],
  ['1.2.840.113556.1.3.23', 'container'],
  ['1.2.840.113556.1.3.30', 'computer'],
  ['1.2.840.113556.1.5.4', 'builtinDomain'],
  ['1.2.840.113556.1.5.8', 'group'],
  ['1.2.840.113556.1.5.9', 'user'],
  ['1.2.840.113556.1.5.15', 'contact'],
  ['1.2.840.113556.1.5.34', 'trustedDomain'],
  ['1.2.840.113556.1.5.67', 'domainDNS'],
  ['1.2.840.113556.1.5.76', 'foreignSecurityPrincipal'],
  ['1.2.840.113556.1.5.264', 'msDS-ManagedServiceAccount'],
  ['1.2.840.113556.1.5.282', 'msDS-GroupManagedServiceAccount'],
  ['2.16.840.1.113730.3.2.2', 'inetOrgPerson'],
]);
