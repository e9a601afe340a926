/** Rules for passwords that are set in the cloud, after Entra's password policy and its banned passwords' scoring. Pure. */

import { BANNED_WORDS } from './banned-words.js';

const SHORTEST = 8;
export const LONGEST = 256;
const KINDS_NEEDED = 3;
const KINDS = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/] as const;
/** Points that a password needs: one for each banned word in it, one for each character besides. */
const POINTS_NEEDED = 5;
/** Shorter parts of a name stand in every other word. */
const SHORTEST_NAME = 3;

export interface ComplexityFacts {
  /** User principal name, given name, surname, display name. */
  readonly names: readonly (string | null)[];
  /** DisableStrongPassword among the user's passwordPolicies: kinds are not counted. */
  readonly weakAllowed?: boolean;
  /** For tests: the tenant's own list is BANNED_WORDS. */
  readonly bannedWords?: readonly string[];
}

/** Lower case, and the letters that digits and signs stand for. */
export function normalize(text: string): string {
  return text.toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l').replaceAll('$', 's').replaceAll('@', 'a');
}

/** What is wrong with a new password, as a sentence for its owner; undefined where it will do. */
export function whatIsWeak(password: string, facts: ComplexityFacts): string | undefined {
  const { names, weakAllowed = false, bannedWords = BANNED_WORDS } = facts;
  if (password.length < SHORTEST || password.length > LONGEST) {
    return `A password has ${SHORTEST} to ${LONGEST} characters.`;
  }
  if (!/^[\x20-\x7e]*$/.test(password))
    return 'A password has letters without accents, digits, symbols and blanks only.';
  if (!weakAllowed && KINDS.filter((kind) => kind.test(password)).length < KINDS_NEEDED) {
    return 'A password has three of the four: lower-case letters, upper-case letters, digits, symbols.';
  }
  const normal = normalize(password);
  if (partsOf(names).some((part) => normal.includes(part))) return 'A password must not contain a part of your name.';
  const banned = bannedWords.map(normalize);
  if (banned.some((word) => isNear(normal, word)) || points(normal, banned) < POINTS_NEEDED) {
    return 'This password is easily guessed: it is, or is made of, words that many people choose.';
  }
  return undefined;
}

function partsOf(names: readonly (string | null)[]): string[] {
  return names
    .flatMap((name) => (name ?? '').replace(/@.*$/, '').split(/[^\p{L}\p{N}]+/u))
    .map(normalize)
    .filter((part) => part.length >= SHORTEST_NAME);
}

/** The fewest points that any division into banned words and single characters gives. */
function points(text: string, banned: readonly string[]): number {
  const fewest = [0];
  for (let end = 1; end <= text.length; end++) {
    let least = fewest[end - 1]! + 1;
    for (const word of banned) {
      if (text.endsWith(word, end)) least = Math.min(least, fewest[end - word.length]! + 1);
    }
    fewest.push(least);
  }
  return fewest[text.length]!;
}

/** Whether one character changed, more or less makes the one into the other. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  const skip = (text: string, other: string) => text.slice(start + (text.length >= other.length ? 1 : 0));
  return skip(a, b) === skip(b, a);
}
