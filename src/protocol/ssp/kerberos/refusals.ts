/** What MIT krb5 and the KDC refuse with, in codes of our own (RFC 4120 7.5.9; krb5_err.et; MS-ERREF 2.3.1). */

import { ProtocolError } from '../../errors.js';
import { extendedStatus } from './extended-error.js';
import type { GssapiFailure } from './gssapi.js';

/** ERROR_TABLE_BASE_krb5: RFC 4120's own numbers are counted from here, the library's from 128 on. */
const BASE = -1_765_328_384;
const TABLE_SIZE = 256;
const ENOENT = 2;
const EACCES = 13;

const SKEW = 'clock-skew';
const WRONG_PASSWORD = 'logon-wrong-password';

const CODES: Readonly<Record<number, string>> = {
  1: 'logon-account-expired', // KDC_ERR_NAME_EXP
  6: 'logon-unknown-user', // KDC_ERR_C_PRINCIPAL_UNKNOWN
  7: 'spn-unknown', // KDC_ERR_S_PRINCIPAL_UNKNOWN
  9: 'no-common-enctype', // KDC_ERR_NULL_KEY
  12: 'logon-restricted', // KDC_ERR_POLICY
  14: 'no-common-enctype', // KDC_ERR_ETYPE_NOSUPP
  18: 'logon-account-revoked', // KDC_ERR_CLIENT_REVOKED: disabled, locked out or expired
  23: 'logon-password-expired', // KDC_ERR_KEY_EXPIRED
  24: WRONG_PASSWORD, // KDC_ERR_PREAUTH_FAILED
  31: WRONG_PASSWORD, // KRB_AP_ERR_BAD_INTEGRITY: our key does not open the reply
  32: 'ticket-expired', // KRB_AP_ERR_TKT_EXPIRED
  33: SKEW, // KRB_AP_ERR_TKT_NYV
  37: SKEW, // KRB_AP_ERR_SKEW
  68: 'kdc-unreachable', // KDC_ERR_WRONG_REALM
  // The library's own.
  139: 'ticket-missing', // KRB5_CC_BADNAME
  140: 'ticket-missing', // KRB5_CC_UNKNOWN_TYPE
  141: 'ticket-missing', // KRB5_CC_NOTFOUND
  142: 'ticket-missing', // KRB5_CC_END
  148: SKEW, // KRB5_KDCREP_SKEW
  154: 'kdc-unreachable', // KRB5_REALM_UNKNOWN
  156: 'kdc-unreachable', // KRB5_KDC_UNREACH
  179: 'keytab-unusable', // KRB5_KT_BADNAME
  180: 'keytab-unusable', // KRB5_KT_UNKNOWN_TYPE
  181: 'keytab-unusable', // KRB5_KT_NOTFOUND
  184: 'keytab-unusable', // KRB5_KT_IOERR
  193: 'ticket-missing', // KRB5_CC_IO
  194: 'ticket-missing', // KRB5_FCC_PERM
  195: 'ticket-missing', // KRB5_FCC_NOFILE
  199: 'ticket-missing', // KRB5_CC_FORMAT
  213: 'keytab-unusable', // KRB5_KEYTAB_BADVNO
  220: 'kdc-unreachable', // KRB5_REALM_CANT_RESOLVE
  235: 'keytab-unusable', // KRB5_KT_FORMAT
  237: 'no-common-enctype', // KRB5_CONFIG_ETYPE_NOSUPP
};

/** What the directory itself says of the account, where it says so (MS-KILE 3.3.5.6.1). */
const ACCOUNT: Readonly<Record<number, string>> = {
  3221225572: 'logon-unknown-user', // STATUS_NO_SUCH_USER
  3221225578: WRONG_PASSWORD, // STATUS_WRONG_PASSWORD
  3221225582: 'logon-restricted', // STATUS_ACCOUNT_RESTRICTION
  3221225583: 'logon-restricted', // STATUS_INVALID_LOGON_HOURS
  3221225584: 'logon-restricted', // STATUS_INVALID_WORKSTATION
  3221225585: 'logon-password-expired', // STATUS_PASSWORD_EXPIRED
  3221225586: 'logon-account-disabled', // STATUS_ACCOUNT_DISABLED
  3221225875: 'logon-account-expired', // STATUS_ACCOUNT_EXPIRED
  3221226020: 'logon-password-expired', // STATUS_PASSWORD_MUST_CHANGE
  3221226036: 'logon-account-locked', // STATUS_ACCOUNT_LOCKED_OUT
};

/** `status` is the KDC's NTSTATUS where it sent one, else libkrb5's code as an unsigned number. */
export function kerberosError(failure: Error & GssapiFailure, now: Date): ProtocolError {
  const { stage, status, major, eData, kdcTime, message } = failure;
  if (stage === 'message') {
    return new ProtocolError('bad-signature', `Kerberos: the token does not fit the message: ${message}`, {
      structure: 'auth_value',
      cause: failure,
    });
  }
  const ntStatus = extendedStatus(eData);
  const number = status - BASE;
  const inTable = number >= 0 && number < TABLE_SIZE;
  const code = (ntStatus === undefined ? undefined : ACCOUNT[ntStatus]) ?? (inTable ? CODES[number] : files(failure));
  const difference = code === SKEW && kdcTime > 0 ? Math.round(kdcTime - now.getTime() / 1000) : undefined;
  const clocks =
    difference === undefined
      ? ''
      : `; its clock is ${Math.abs(difference)} s ${difference < 0 ? 'behind' : 'ahead of'} this machine's`;
  return new ProtocolError(
    // The mechanism itself gave up, with a code that is no Kerberos error: the peer's token is at fault.
    code ?? (major === 0 ? 'kerberos-failed' : 'kerberos-context'),
    `Kerberos, ${STAGES[stage]}: ${message}${clocks}`,
    { structure: 'Kerberos', status: (ntStatus ?? status) >>> 0, cause: failure },
  );
}

const STAGES: Record<GssapiFailure['stage'], string> = {
  configuration: 'reading krb5.conf',
  credentials: 'asking for initial credentials',
  keytab: 'opening the keytab',
  cache: 'opening the credential cache',
  'service-ticket': "asking for the service's ticket",
  context: 'establishing the security context',
  message: 'opening a message',
};

/** Files fail with errno's numbers. */
function files({ stage, status }: GssapiFailure): string | undefined {
  if (status !== ENOENT && status !== EACCES) return undefined;
  return stage === 'keytab' ? 'keytab-unusable' : stage === 'cache' ? 'ticket-missing' : undefined;
}
