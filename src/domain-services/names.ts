/**
 * Names for accounts of the managed domain, by the rules of Domain Services: sAMAccountName is mailNickname, or made up
 * where that is longer than 20 characters, not allowed, or somebody else's.
 */

import { createHash } from 'node:crypto';

/** MS-SAMR 3.1.1.8.4: what a user's sAMAccountName may be long, and must not have in it. */
const MAX_SAM = 20;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const FORBIDDEN = /["/\\[\]:;|=,+*?<>@\u0000-\u001f\u007f]/g;
/** rangeUpper of cn in Active Directory's schema. */
const MAX_CN = 64;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f]/g;

/** Digits that tell one object from the others, the same every time. */
const digest = (objectId: string): string => createHash('sha256').update(objectId).digest('hex');

/** At most `length` UTF-16 units, and no half of a pair. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const end = /[\ud800-\udbff]/.test(text[length - 1]!) ? length - 1 : length;
  return text.slice(0, end);
}

const isAllowed = (name: string): boolean =>
  name !== '' &&
  name.length <= MAX_SAM &&
  name.search(FORBIDDEN) === -1 &&
  !/^[. ]+$/.test(name) &&
  // $ ends a computer's name.
  !/[. $]$|^ /.test(name);

/** The first that nobody else has is the account's; an account that has one of them keeps it. */
export function samAccountNames(mailNickname: string, objectId: string): string[] {
  const digits = digest(objectId);
  const stem = mailNickname
    .replace(FORBIDDEN, '')
    .trim()
    .replace(/^[. ]+|[. ]+$/g, '');
  const made = (length: number) => {
    const short = cut(stem, MAX_SAM - length - 1).replace(/[. ]+$/, '');
    return `${short === '' ? 'user' : short}-${digits.slice(0, length)}`;
  };
  return [...(isAllowed(mailNickname) ? [mailNickname] : []), made(6), made(12)];
}

/** For the relative distinguished name: the display name, and that with a few digits where another has it. */
export function commonNames(displayName: string, mailNickname: string, objectId: string): string[] {
  const plain = [displayName, mailNickname]
    .map((name) => name.replace(CONTROL, ' ').trim())
    .find((name) => name !== '');
  const name = plain ?? objectId;
  const digits = digest(objectId);
  const withDigits = (length: number) => `${cut(name, MAX_CN - length - 3).trim()} (${digits.slice(0, length)})`;
  return [cut(name, MAX_CN).trim(), withDigits(6), withDigits(12)];
}
