/** Why a domain controller does not set a password: Win32 codes at the beginning of its LDAP messages, and Samba's words. */

import { ResultCodeError } from 'ldapts';
import type { WriteOutcome } from '../../provisioning/write-back.js';

export type Refusal = Exclude<WriteOutcome, { status: 'done' }>;

/** MS-ERREF 2.2: what LDAP's diagnosticMessage begins with, e.g. `0000052D: AtrErr: DSID-03190F80, #1: …`. */
const ERROR_ACCESS_DENIED = 0x05;
const ERROR_INVALID_PASSWORD = 0x56;
const ERROR_PASSWORD_RESTRICTION = 0x52d;
const ERROR_ILL_FORMED_PASSWORD = 0x52c;
const ERROR_ACCOUNT_DISABLED = 0x533;
const ERROR_ACCOUNT_LOCKED_OUT = 0x775;
/** "User cannot change password". */
const NERR_PASSWORD_CANT_CHANGE = 0x8c3;
const ERROR_DS_NO_SUCH_OBJECT = 0x2030;

// RFC 4511 4.1.9.
const NO_SUCH_OBJECT = 32;
const INSUFFICIENT_ACCESS_RIGHTS = 50;

const refused = (reason: Extract<Refusal, { status: 'refused' }>['reason']): Refusal => ({ status: 'refused', reason });
const failed = (reason: Extract<Refusal, { status: 'failed' }>['reason']): Refusal => ({ status: 'failed', reason });

/** The Win32 code of an LDAP answer; undefined where its message begins with none. */
function win32Code(message: string): number | undefined {
  const code = /^\s*([0-9A-Fa-f]{8}):/.exec(message)?.[1];
  return code === undefined ? undefined : Number.parseInt(code, 16);
}

/** Active Directory says `0000052D` of length, complexity, history and age alike; Samba says which in words. */
const WORDS: readonly (readonly [RegExp, Extract<Refusal, { status: 'refused' }>['reason']])[] = [
  [/too short/i, 'tooShort'],
  [/complexity/i, 'complexity'],
  [/already used|history/i, 'history'],
  [/too young/i, 'tooYoung'],
];

/** Undefined: no answer of a domain controller (the connection broke, or it did not answer in time). */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof ResultCodeError)) return undefined;
  const { code, message } = error;
  switch (win32Code(message)) {
    case ERROR_INVALID_PASSWORD:
      return refused('wrongPassword');
    case ERROR_PASSWORD_RESTRICTION:
    case ERROR_ILL_FORMED_PASSWORD: {
      const reason = WORDS.find(([pattern]) => pattern.test(message))?.[1] ?? 'policy';
      const minimumLength = Number(/(\d+) characters/.exec(message)?.[1] ?? 0);
      return reason === 'tooShort' && minimumLength > 0
        ? { status: 'refused', reason, minimumLength }
        : refused(reason);
    }
    case ERROR_ACCESS_DENIED:
    case NERR_PASSWORD_CANT_CHANGE:
      return failed('rights');
    case ERROR_ACCOUNT_DISABLED:
      return failed('accountDisabled');
    case ERROR_ACCOUNT_LOCKED_OUT:
      return failed('accountLocked');
    case ERROR_DS_NO_SUCH_OBJECT:
      return failed('noUser');
  }
  if (code === INSUFFICIENT_ACCESS_RIGHTS) return failed('rights');
  if (code === NO_SUCH_OBJECT) return failed('noUser');
  return failed('failed');
}

/** What the domain's policy says of the password at hand, where the domain controller said no more than "policy". */
export interface PolicyFacts {
  /** Characters of the new password. */
  readonly length: number;
  readonly minPwdLength: number;
  /** Milliseconds. */
  readonly minPwdAge: number;
  /** Milliseconds since 1970; undefined: must be changed, at any age. */
  readonly pwdLastSet: number | undefined;
  readonly now: number;
  readonly reset: boolean;
}

/** `policy` made more exact as far as the policy tells; of complexity and history only the domain controller knows. */
export function explain(refusal: Refusal, facts: PolicyFacts): Refusal {
  if (refusal.status !== 'refused') return refusal;
  const { length, minPwdLength, minPwdAge, pwdLastSet, now, reset } = facts;
  const notBefore = !reset && pwdLastSet !== undefined ? pwdLastSet + minPwdAge : 0;
  if (refusal.reason === 'tooYoung') return notBefore > now ? { ...refusal, notBefore } : refusal;
  if (refusal.reason !== 'policy') return refusal;
  if (length < minPwdLength) return { status: 'refused', reason: 'tooShort', minimumLength: minPwdLength };
  if (notBefore > now) return { status: 'refused', reason: 'tooYoung', notBefore };
  return refusal;
}
