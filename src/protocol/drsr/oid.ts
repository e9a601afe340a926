/** OBJECT IDENTIFIER contents octets (X.690 8.19), which the DRS prefix table cuts in two. */

const MAX_ARC = 0xffff_ffff;

/** `1.2.840.113556.1.4.90` to its BER contents octets. @throws RangeError when the text is no OID. */
export function oidToBer(oid: string): Uint8Array {
  const arcs = /^[0-2](\.\d{1,10}){1,40}$/.test(oid) ? oid.split('.').map(Number) : [];
  const [root = 3, second = 0, ...rest] = arcs;
  if (root > 2 || (root < 2 && second > 39) || arcs.some((arc) => arc > MAX_ARC - 80)) {
    throw new RangeError(`not an OID: ${JSON.stringify(oid.slice(0, 100))}`);
  }
  const bytes: number[] = [];
  for (const arc of [root * 40 + second, ...rest]) {
    const septets = [arc % 128];
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) {
      septets.unshift((high % 128) + 128);
    }
    bytes.push(...septets);
  }
  return Uint8Array.from(bytes);
}

/** BER contents octets to dotted text; undefined when they end within an arc or an arc exceeds 32 bits. */
export function oidFromBer(bytes: Uint8Array): string | undefined {
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of bytes) {
    arc = arc * 128 + (byte & 127);
    if (arc > MAX_ARC) {
      return undefined;
    }
    if (byte < 128) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const [first, ...rest] = arcs;
  if (first === undefined || bytes[bytes.length - 1]! >= 128) {
    return undefined;
  }
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...rest].join('.');
}
