/** The second belt: takes what looks like a secret out of a text on its way to log and store. The first is not to hand any over. */

/**
 * Credential texts (`v1;PPH1_MD4,…`), bearer tokens (JWTs), and hex of the length of an NT hash, an LM or NT hash pair
 * or a session key. GUIDs keep: theirs have dashes, or stand in base64.
 */
const SECRETS =
  /v1;PPH1_MD4,[0-9a-f]+,\d+,[0-9a-f]+;?|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<![0-9a-z])(?:[0-9a-f]{32}|[0-9a-f]{64})(?![0-9a-z])/gi;

export const REDACTED = '[redacted]';

export function scrub(text: string): string {
  return text.replace(SECRETS, REDACTED);
}
