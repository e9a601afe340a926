/** Active Directory's reasons for refusing an LDAP bind: `AcceptSecurityContext error, data 52e` (Win32 codes, MS-ERREF 2.2). */

const REASONS: Readonly<Record<string, string>> = {
  '525': 'there is no such account',
  '52e': 'wrong name or password',
  '530': 'not at this time of day',
  '531': 'not from this machine',
  '532': 'its password has expired',
  '533': 'the account is disabled',
  '701': 'the account has expired',
  '773': 'its password must be changed first',
  '775': 'the account is locked',
};

export function adLogonReason(message: string): string {
  const data = /\bdata ([0-9a-f]{3,8})\b/i.exec(message)?.[1]?.toLowerCase();
  return (data !== undefined ? REASONS[data] : undefined) ?? `refused${data === undefined ? '' : ` (data ${data})`}`;
}
