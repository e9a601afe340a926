/** The little DER that SPNEGO tokens are made of (X.690): definite lengths, single-byte tags. */

import { ProtocolError } from '../../errors.js';

export const Tag = {
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  sequence: 0x30,
  /** [APPLICATION 0], the GSS-API frame. */
  application0: 0x60,
  /** [n] EXPLICIT */
  context: (n: number) => 0xa0 + n,
} as const;

/** More bits than a registered arc needs. */
const MAX_OID_SIZE = 64;

export interface Element {
  readonly tag: number;
  /** A view of the content. */
  readonly content: Uint8Array;
  /** Offset behind the element. */
  readonly next: number;
}

/** The element at `offset`. @throws ProtocolError when it is truncated or its length is indefinite. */
export function decodeElement(bytes: Uint8Array, offset: number, structure: string): Element {
  const fail = (message: string) =>
    new ProtocolError('malformed', `${structure} at offset ${offset}: ${message}`, { structure, offset });
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined) {
    throw fail('the DER ends where an element was expected');
  }
  if ((tag & 0x1f) === 0x1f) {
    throw fail('a tag of more than one byte');
  }
  let at = offset + 2;
  let length = first;
  if (first >= 0x80) {
    const size = first & 0x7f;
    if (size === 0 || size > 3) {
      throw fail(size === 0 ? 'an indefinite length' : `a length of ${size} bytes, at most 3 taken`);
    }
    length = 0;
    for (const end = at + size; at < end; at++) {
      length = (length << 8) | (bytes[at] ?? 0);
    }
  }
  if (length > bytes.length - at) {
    throw fail(`${length} bytes claimed, ${Math.max(0, bytes.length - at)} left`);
  }
  return { tag, content: bytes.subarray(at, at + length), next: at + length };
}

/** The only element of `bytes`, which must have this tag. */
export function decodeOnly(bytes: Uint8Array, tag: number, structure: string): Uint8Array {
  const element = decodeElement(bytes, 0, structure);
  if (element.tag !== tag || element.next !== bytes.length) {
    const message = `tag 0x${element.tag.toString(16)} of ${element.next} in ${bytes.length} bytes`;
    throw new ProtocolError('malformed', `${structure}: ${message}, expected tag 0x${tag.toString(16)} alone`, {
      structure,
      offset: 0,
    });
  }
  return element.content;
}

/** One element around the parts. */
export function encodeElement(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [tag];
  if (length < 0x80) {
    head.push(length);
  } else if (length < 0x100) {
    head.push(0x81, length);
  } else if (length < 0x1_0000) {
    head.push(0x82, length >> 8, length & 0xff);
  } else {
    throw new RangeError(`a token has at most 65535 bytes, not ${length}`);
  }
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  let at = head.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Dotted text to an OBJECT IDENTIFIER element. */
export function encodeOid(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const content: number[] = [];
  for (const arc of [40 * first + second, ...rest]) {
    const septets = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) {
      septets.unshift(0x80 | (left & 0x7f));
    }
    content.push(...septets);
  }
  return encodeElement(Tag.oid, Uint8Array.from(content));
}

/** An OBJECT IDENTIFIER's content to dotted text. @throws ProtocolError for arcs above 32 bits. */
export function decodeOid(content: Uint8Array, structure: string): string {
  const fail = (message: string) => new ProtocolError('malformed', `${structure}: ${message}`, { structure });
  if (content.length === 0 || content.length > MAX_OID_SIZE || content[content.length - 1]! >= 0x80) {
    throw fail(`an OBJECT IDENTIFIER of ${content.length} bytes, empty, too long or cut off`);
  }
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of content) {
    arc = arc * 128 + (byte & 0x7f);
    if (arc > 0xffff_ffff) {
      throw fail('an OBJECT IDENTIFIER with an arc above 32 bits');
    }
    if (byte < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const [head = 0, ...rest] = arcs;
  const first = Math.min(2, Math.floor(head / 40));
  return [first, head - 40 * first, ...rest].join('.');
}
