/** What an agent answers, in words for the person at the sign-in page. */

import type { PasswordRefusal, WriteFailure, WriteOutcome } from '../../provisioning/write-back.js';

const POLICY = "your organization's password policy does not allow it";
const ADMINISTRATOR = 'Ask your administrator.';

const REFUSALS: Readonly<Record<PasswordRefusal, string>> = {
  wrongPassword: 'The current password is not right.',
  policy: `Choose another password: ${POLICY} (its length, its kinds of characters, or that you have used it before).`,
  tooShort: `Choose a longer password: ${POLICY}.`,
  complexity: `Choose a password with more kinds of characters and without your name in it: ${POLICY}.`,
  history: `Choose a password that you have not used before: ${POLICY}.`,
  tooYoung: 'Your password was changed too short a time ago to be changed again.',
};

export const NO_ANSWER =
  "Your organization's directory did not say in time whether it changed your password. Try to sign in with the new password first, and with the old one if that fails.";

const FAILURES: Readonly<Record<WriteFailure, string>> = {
  noUser: `Your account was not found in your organization's directory. ${ADMINISTRATOR}`,
  ambiguousUser: `Your account stands in your organization's directory more than once. ${ADMINISTRATOR}`,
  outOfScope: `Your account's password cannot be changed here. ${ADMINISTRATOR}`,
  rights: `Your password cannot be changed here: your organization's directory does not permit it. ${ADMINISTRATOR}`,
  accountDisabled: `Your account is disabled in your organization's directory. ${ADMINISTRATOR}`,
  accountLocked: "Your account is locked in your organization's directory. Try again later.",
  directory: "Your organization's directory cannot be reached. Your password was not changed; try again later.",
  sealed: 'Your password was not changed. Try again.',
  late: 'Your password was not changed in time. Try again.',
  noAnswer: NO_ANSWER,
  failed: `Your organization's directory did not change your password. Try again later, or ask your administrator.`,
};

export function refusalText({
  reason,
  minimumLength,
  notBefore,
}: Extract<WriteOutcome, { status: 'refused' }>): string {
  if (reason === 'tooShort' && minimumLength !== undefined) {
    return `Choose a password of at least ${minimumLength} characters: your organization's password policy asks for it.`;
  }
  if (reason === 'tooYoung' && notBefore !== undefined) {
    const time = new Date(notBefore).toISOString().slice(0, 16).replace('T', ' ');
    return `${REFUSALS.tooYoung} That is possible from ${time} UTC on.`;
  }
  return REFUSALS[reason];
}

export const failureText = (reason: WriteFailure): string => FAILURES[reason];

export const NO_AGENT =
  "Passwords cannot be changed at the moment: no connection to your organization's directory. Try again later.";
export const NOT_TAKEN = 'Your password was not changed in time. Try again later.';
export const BUSY = 'Your password was not changed: too many people change theirs at the moment. Try again later.';
export const NOT_ON_PREMISES = `Your account has no counterpart in your organization's directory. ${ADMINISTRATOR}`;
export const TOO_LONG = 'Choose a shorter password.';
