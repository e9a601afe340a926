/** Why a domain controller or its KDC did not let the account in: a code for each cause, and what to do about it. */

import type { ProtocolError } from '../../protocol/errors.js';
import type { DrsErrorFacts } from './drs-error-facts.js';

interface Meaning {
  readonly code: string;
  readonly text: string;
}
type Tell = (facts: DrsErrorFacts, error: ProtocolError) => string;

const KEYTAB = 'write the keytab anew (its keys are lost with every change of the password)';

/** By the ProtocolError's code. Over NTLM only the first is ever told: the domain controller does not say why. */
const MEANINGS: Readonly<Record<string, readonly [code: string, tell: Tell]>> = {
  'logon-failure': [
    'dc-logon-failed',
    ({ account, server, mechanism }, error) =>
      `${server} refused the logon of ${account}: check user name, domain and password, and that the account is ` +
      `enabled, not locked or expired and need not change its password${statusText(error)}` +
      (mechanism === 'ntlm' ? '; NTLM does not tell which of these it is, Kerberos does' : ''),
  ],
  'logon-wrong-password': [
    'dc-logon-wrong-password',
    ({ account, server, credential }) =>
      credential === 'keytab'
        ? `${server} refused the logon of ${account}: the keytab's key is not the account's: ${KEYTAB}`
        : `${server} refused the logon of ${account}: the password is wrong`,
  ],
  'logon-unknown-user': [
    'dc-logon-unknown-user',
    ({ account, server, domain }) =>
      `${server} does not know the account ${account}: check the user name, and that it is one of ${domain}`,
  ],
  'logon-password-expired': [
    'dc-logon-password-expired',
    ({ account, server }) =>
      `${server} refused the logon of ${account}: its password has expired or must be changed first: set a new one, ` +
      'let it never expire, and clear "User must change password at next logon"',
  ],
  'logon-account-disabled': [
    'dc-logon-account-disabled',
    ({ account, server }) => `${server} refused the logon of ${account}: the account is disabled: enable it`,
  ],
  'logon-account-locked': [
    'dc-logon-account-locked',
    ({ account, server }) =>
      `${server} refused the logon of ${account}: the account is locked out after wrong passwords: unlock it, and find ` +
      'out who else uses it',
  ],
  'logon-account-expired': [
    'dc-logon-account-expired',
    ({ account, server }) =>
      `${server} refused the logon of ${account}: the account has expired: let it never expire (accountExpires)`,
  ],
  'logon-account-revoked': [
    'dc-logon-account-revoked',
    ({ account, server }) =>
      `${server} refused the logon of ${account}: the account is disabled, locked out or expired (the KDC does not say ` +
      'which)',
  ],
  'logon-restricted': [
    'dc-logon-restricted',
    ({ account, server }, error) =>
      `${server} refused the logon of ${account}: hours, workstations or a policy forbid it${statusText(error)}`,
  ],
  'clock-skew': [
    'dc-clock-skew',
    ({ server }, error) =>
      `${server}: the clocks of this machine and of the domain controller differ by more than Kerberos allows (5 ` +
      `minutes): set both by NTP. ${error.message}`,
  ],
  'spn-unknown': [
    'dc-spn-unknown',
    ({ server, domain }, error) =>
      `${domain} knows no service ldap/${server}: \`server\` must be the domain controller's own full name (its ` +
      `dNSHostName), and that name a servicePrincipalName of its account. ${error.message}`,
  ],
  'kdc-unreachable': [
    'dc-kdc-unreachable',
    ({ server }, error) =>
      `${server}: its Kerberos service (port 88, TCP and UDP) cannot be reached, or krb5.conf names none for the realm: ` +
      error.message,
  ],
  'ticket-missing': [
    'dc-ticket-missing',
    ({ server }, error) =>
      `${server}: the credential cache has no ticket to log on with: get one (kinit) as the user that phsync runs as, ` +
      `and check directory.auth.credentialCache. ${error.message}`,
  ],
  'ticket-expired': [
    'dc-ticket-expired',
    ({ server, credential }, error) =>
      credential === 'cache'
        ? `${server}: the ticket in the credential cache has expired: whoever keeps it fresh does not, or use a keytab. ` +
          error.message
        : `${server}: the ticket has expired. ${error.message}`,
  ],
  'keytab-unusable': [
    'dc-keytab-unusable',
    ({ server, account }, error) =>
      `${server}: the keytab cannot be read or has no key of ${account}: check directory.auth.keytab, its permissions, ` +
      `and with \`klist -k\` the names in it (they are told apart by case). ${error.message}`,
  ],
  'rc4-refused': [
    'dc-rc4-refused',
    ({ server }, error) =>
      `${server}: only RC4 is to be had, which is refused: let the accounts support AES ` +
      '(msDS-SupportedEncryptionTypes) and set their passwords anew, or else set directory.auth.allowRc4. ' +
      error.message,
  ],
  'no-common-enctype': [
    'dc-rc4-refused',
    ({ server, account, credential }, error) =>
      `${server}: the KDC has no key of a type that is accepted here, which is AES unless directory.auth.allowRc4 is ` +
      `set: set the password of ${account} anew, so that it gets AES keys, and look at msDS-SupportedEncryptionTypes` +
      `${credential === 'keytab' ? `; then ${KEYTAB}` : ''}. ${error.message}`,
  ],
  'kerberos-missing': ['dc-kerberos-missing', ({ server }, error) => `${server}: no Kerberos here: ${error.message}`],
  'kerberos-failed': ['dc-kerberos-failed', ({ server }, error) => `${server}: ${error.message}`],
  'kerberos-context': [
    'dc-kerberos-failed',
    ({ server }, error) => `${server} did not prove to be the server that the ticket is for: ${error.message}`,
  ],
};

/** The code and words for what went wrong while logging on; undefined where it is something else. */
export function logonMeaning(error: ProtocolError, facts: DrsErrorFacts): Meaning | undefined {
  const found = MEANINGS[error.code];
  return found === undefined ? undefined : { code: found[0], text: found[1](facts, error) };
}

function statusText({ status, structure }: ProtocolError): string {
  if (status === undefined) return '';
  return structure === 'NegTokenResp' ? ` (negState ${status})` : ` (0x${status.toString(16).padStart(8, '0')})`;
}
