/** Distinguished names (RFC 4514), as far as "lies below" needs them. */

const ESCAPED_HEX = /^[0-9a-f]{2}$/i;

/**
 * The RDNs, leaf first, each as `type=value` in lower case with its escapes resolved, so that two ways to write a name
 * compare equal. Undefined where the text is not a distinguished name.
 */
export function parseDn(text: string): string[] | undefined {
  const parts: string[] = [];
  let part = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '\\') {
      const hex = text.slice(at + 1, at + 3);
      if (ESCAPED_HEX.test(hex)) {
        // Escaped bytes outside ASCII stay as they are written; directories write those characters plainly.
        const code = Number.parseInt(hex, 16);
        part += code < 0x80 ? String.fromCharCode(code) : `\\${hex}`;
        at += 2;
      } else if (at + 1 < text.length) {
        part += text[++at]!;
      } else {
        return undefined;
      }
    } else if (char === ',') {
      parts.push(part);
      part = '';
    } else {
      part += char;
    }
  }
  parts.push(part);
  const normal = parts.map(normalizeRdn);
  return normal.includes(undefined) ? undefined : (normal as string[]);
}

function normalizeRdn(part: string): string | undefined {
  const equals = part.indexOf('=');
  const type = part.slice(0, equals).trim();
  const value = part.slice(equals + 1).trim();
  if (equals < 1 || !/^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)*)$/i.test(type) || value === '') return undefined;
  return `${type}=${value}`.toLowerCase();
}

/** True where `parts` is `suffix` itself or lies below it. */
export function isBelow(parts: readonly string[], suffix: readonly string[]): boolean {
  const from = parts.length - suffix.length;
  return from >= 0 && suffix.every((rdn, i) => parts[from + i] === rdn);
}
