/** What people are told, in words that say what to do next. */

import type { PasswordRefusal } from '../passwords/types.js';
import type { ChangeField } from './pages/change.js';

export const messages = {
  nameMissing: 'Enter your user name.',
  nameWrong: 'That does not look like a user name. It has an @ in it, like name@example.com.',
  noFederationUrl:
    'Your organization signs you in on a page of its own, and has not said yet where that is. Ask its help desk.',
  passwordMissing: 'Enter your password.',
  wrongPassword: 'User name or password is wrong.',
  locked:
    'There were too many wrong passwords, so this account is locked for a while to protect it. Wait some minutes and try again.',
  oldMissing: 'Enter the password that you have now.',
  newMissing: 'Enter a new password.',
  confirmMissing: 'Enter the new password once more.',
  confirmDiffers: 'The two new passwords are not the same.',
  notChangedHere: {
    temporary:
      'Your password is temporary, or this is your first sign-in: you have to choose one that only you know. That is not possible on this page. Change it on a computer of your organization’s network, or ask its help desk how. Then sign in here with the new one.',
    expired:
      'Your password has expired, and a new one cannot be set on this page. Change it on a computer of your organization’s network, or ask its help desk how. Then sign in here with the new one.',
  },
} as const;

/** Longer texts come from nobody who means well; they go through a cookie. */
const MAX_MESSAGE = 400;

/** `message` is what the policy said; shown where it says more than we can. */
export function passwordRefusal(
  reason: PasswordRefusal,
  message: string,
): { readonly field?: ChangeField; readonly message: string; readonly code?: number } {
  const said = message.slice(0, MAX_MESSAGE);
  switch (reason) {
    case 'complexity':
      return {
        field: 'new',
        message: said || 'This password is too easy to guess. Choose a longer or less usual one.',
      };
    case 'sameAsOld':
      return { field: 'new', message: 'The new password must not be the old one.' };
    case 'onPremisesPolicy':
      return {
        field: 'new',
        message: said || 'Your organization’s password policy does not allow this password.',
      };
    case 'wrongPassword':
      return { field: 'old', message: 'This is not your current password.', code: 50126 };
    case 'locked':
      return { message: messages.locked, code: 50053 };
    case 'disabled':
    case 'unknownUser':
      return { message: 'This account cannot be used any longer. Ask your administrator.', code: 50057 };
    case 'writebackOff':
    case 'federated':
      return {
        message:
          'Passwords of this account are changed within your organization only: on a computer of its network, or by its help desk. Then sign in with the new one.',
      };
    case 'writebackUnavailable':
      // Where the answer was lost, only the write-back knows that the password may have been changed all the same.
      return {
        message:
          said ||
          'Your organization’s directory cannot be reached just now, so the password was not changed. Try again in some minutes.',
      };
  }
}
