/** What goes to the domain controller: unicodePwd's value, the changes, the control; and how its answers are understood. */

import {
  BerReader,
  BerWriter,
  ConstraintViolationError,
  InsufficientAccessError,
  NoSuchObjectError,
  UnwillingToPerformError,
} from 'ldapts';
import { describe, expect, it } from 'vitest';
import { bindName } from '#src/agent/write-back/ldap-session.js';
import { adLogonReason } from '#src/agent/write-back/logon-reason.js';
import {
  charactersOf,
  PolicyHintsControl,
  passwordChanges,
  unicodePwd,
} from '#src/agent/write-back/password-change.js';
import { explain, type PolicyFacts, type Refusal, refusalOf } from '#src/agent/write-back/refusals.js';

describe('unicodePwd', () => {
  it("is what Microsoft's article on setting it by LDIF has for newPassword", () => {
    expect(unicodePwd(Buffer.from('newPassword')).toString('base64')).toBe('IgBuAGUAdwBQAGEAcwBzAHcAbwByAGQAIgA=');
  });

  it('takes every character, those beyond 16 bits as two', () => {
    expect(unicodePwd(Buffer.from('Währung-€-𝄞"')).toString('utf16le')).toBe('"Währung-€-𝄞""');
    expect(charactersOf(Buffer.from('Währung-€-𝄞"'))).toBe(13);
  });

  it('is deleted and added by its owner, and replaced by a reset', () => {
    const [old, fresh] = [unicodePwd(Buffer.from('old')), unicodePwd(Buffer.from('fresh'))];
    const operations = (changes: ReturnType<typeof passwordChanges>) =>
      changes.map(({ operation, modification }) => [operation, modification.type, modification.values]);
    expect(operations(passwordChanges(fresh, old))).toEqual([
      ['delete', 'unicodePwd', [old]],
      ['add', 'unicodePwd', [fresh]],
    ]);
    expect(operations(passwordChanges(fresh, undefined))).toEqual([['replace', 'unicodePwd', [fresh]]]);
  });

  it('is not in what the library writes down of a message', () => {
    const text = JSON.stringify(passwordChanges(Buffer.from('secret'), Buffer.from('former')));
    expect(text).toContain('[redacted]');
    expect(text).not.toContain([...Buffer.from('secret')].join(','));
  });
});

it('the policy hints control is that of MS-ADTS: critical, with the flag 1', () => {
  const writer = new BerWriter();
  new PolicyHintsControl().write(writer);
  const reader = new BerReader(writer.buffer);
  reader.readSequence();
  expect(reader.readString()).toBe('1.2.840.113556.1.4.2239');
  expect(reader.readBoolean()).toBe(true);
  expect(reader.readString(4, true)).toEqual(Buffer.from('3003020101', 'hex'));
});

describe('an answer of a domain controller', () => {
  // Windows' as people have published them, and Samba 4.17's as it gave them.
  it.each<[Error, Refusal | undefined]>([
    [
      new UnwillingToPerformError('0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0'),
      { status: 'refused', reason: 'policy' },
    ],
    [
      new ConstraintViolationError(
        '00000056: AtrErr: DSID-03191083, #1:\n\t0: 00000056: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)',
      ),
      { status: 'refused', reason: 'wrongPassword' },
    ],
    [
      new InsufficientAccessError('00000005: SecErr: DSID-031A1190, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0'),
      { status: 'failed', reason: 'rights' },
    ],
    [
      new InsufficientAccessError('00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0'),
      { status: 'failed', reason: 'rights' },
    ],
    [
      new InsufficientAccessError('error in module acl: insufficient access rights during LDB_MODIFY (50)'),
      { status: 'failed', reason: 'rights' },
    ],
    [
      new ConstraintViolationError(
        "00000056: Constraint violation - check_password_restrictions: The old password specified doesn't match!",
      ),
      { status: 'refused', reason: 'wrongPassword' },
    ],
    [
      new ConstraintViolationError(
        '0000052D: Constraint violation - check_password_restrictions: the password is too short. It should be equal or longer than 10 characters!',
      ),
      { status: 'refused', reason: 'tooShort', minimumLength: 10 },
    ],
    [
      new ConstraintViolationError(
        '0000052D: Constraint violation - check_password_restrictions: the password does not meet the complexity criteria!',
      ),
      { status: 'refused', reason: 'complexity' },
    ],
    [
      new ConstraintViolationError(
        '0000052D: Constraint violation - check_password_restrictions: the password was already used (previous password)!',
      ),
      { status: 'refused', reason: 'history' },
    ],
    [
      new ConstraintViolationError(
        '0000052D: Constraint violation - check_password_restrictions: password is too young to change!',
      ),
      { status: 'refused', reason: 'tooYoung' },
    ],
    [
      new UnwillingToPerformError('00000775: SvcErr: DSID-0, problem 5003 (WILL_NOT_PERFORM), data 0'),
      { status: 'failed', reason: 'accountLocked' },
    ],
    [
      new UnwillingToPerformError('00000533: SvcErr: DSID-0, problem 5003 (WILL_NOT_PERFORM), data 0'),
      { status: 'failed', reason: 'accountDisabled' },
    ],
    [
      new NoSuchObjectError('00002030: NameErr: DSID-0, problem 2001 (NO_OBJECT), data 0'),
      { status: 'failed', reason: 'noUser' },
    ],
    [
      new UnwillingToPerformError('0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0'),
      { status: 'failed', reason: 'failed' },
    ],
    [new Error('Socket error. Message type: ModifyRequest'), undefined],
  ])('%s', (error, expected) => expect(refusalOf(error)).toEqual(expected));

  const facts: PolicyFacts = {
    length: 12,
    minPwdLength: 8,
    minPwdAge: 86_400_000,
    pwdLastSet: 1_000_000,
    now: 200_000_000,
    reset: false,
  };
  const policy: Refusal = { status: 'refused', reason: 'policy' };
  it.each<[string, Refusal, Partial<PolicyFacts>, Refusal]>([
    [
      'that the password is shorter than the policy wants',
      policy,
      { length: 7 },
      { status: 'refused', reason: 'tooShort', minimumLength: 8 },
    ],
    [
      'that it was changed too short a time ago',
      policy,
      { now: 1_000_001 },
      { status: 'refused', reason: 'tooYoung', notBefore: 87_400_000 },
    ],
    ['no more of complexity and history', policy, {}, policy],
    ['nothing of age where it must be changed', policy, { now: 1_000_001, pwdLastSet: undefined }, policy],
    ['nothing of age where it is reset', policy, { now: 1_000_001, reset: true }, policy],
    [
      'from when on it may be changed',
      { status: 'refused', reason: 'tooYoung' },
      { now: 1_000_001 },
      { status: 'refused', reason: 'tooYoung', notBefore: 87_400_000 },
    ],
    [
      'nothing of what is exact',
      { status: 'refused', reason: 'history' },
      { length: 1 },
      { status: 'refused', reason: 'history' },
    ],
    [
      'nothing of what is no refusal',
      { status: 'failed', reason: 'rights' },
      { length: 1 },
      { status: 'failed', reason: 'rights' },
    ],
  ])('the policy tells %s', (_, refusal, more, expected) =>
    expect(explain(refusal, { ...facts, ...more })).toEqual(expected),
  );
});

it.each([
  ['phs.sync', 'phs.sync@phs.test'],
  ['PHS\\phs.sync', 'PHS\\phs.sync'],
  ['phs.sync@other.test', 'phs.sync@other.test'],
  ['CN=phs sync,DC=phs,DC=test', 'CN=phs sync,DC=phs,DC=test'],
])('%s logs on as %s', (user, expected) => expect(bindName(user, 'phs.test')).toBe(expected));

it.each([
  ['80090308: LdapErr: DSID-0C090334, comment: AcceptSecurityContext error, data 52e, vece', 'wrong name or password'],
  [
    '80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v2580',
    'its password must be changed first',
  ],
  ['80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 57, v1db1', 'refused'],
])('%s means: %s', (message, expected) => expect(adLogonReason(message)).toContain(expected));
