/** Why a KDC refuses, where it says more than Kerberos has numbers for: KERB-ERROR-DATA with KERB_EXT_ERROR (MS-KILE 2.2.1, 2.2.2). */

import { ProtocolError } from '../../errors.js';
import { decodeElement, decodeOnly, Tag } from '../spnego/der.js';

/** KERB_ERR_TYPE_EXTENDED; Samba sends the same structure as a PA-DATA, whose PA-PW-SALT has this number too. */
const EXTENDED = 3;
const INTEGER = 0x02;
const KERB_EXT_ERROR_SIZE = 12;

/** The NTSTATUS in a KRB-ERROR's e-data; undefined where there is none to be read. */
export function extendedStatus(eData: Uint8Array): number | undefined {
  try {
    const outer = decodeElement(eData, 0, 'KERB-ERROR-DATA');
    if (outer.tag !== Tag.sequence) return undefined;
    // Alone, or in a METHOD-DATA.
    return outer.content[0] === Tag.sequence ? inList(outer.content) : inElement(outer.content);
  } catch (error) {
    // Other e-data is any server's own affair (RFC 4120 5.9.1).
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function inList(list: Uint8Array): number | undefined {
  for (let at = 0; at < list.length; ) {
    const element = decodeElement(list, at, 'METHOD-DATA');
    const status = element.tag === Tag.sequence ? inElement(element.content) : undefined;
    if (status !== undefined) return status;
    at = element.next;
  }
  return undefined;
}

function inElement(content: Uint8Array): number | undefined {
  const type = decodeElement(content, 0, 'KERB-ERROR-DATA');
  if (type.tag !== Tag.context(1) || type.next >= content.length) return undefined;
  const [number, ...more] = decodeOnly(type.content, INTEGER, 'KERB-ERROR-DATA.data-type');
  if (number !== EXTENDED || more.length > 0) return undefined;
  const value = decodeOnly(content.subarray(type.next), Tag.context(2), 'KERB-ERROR-DATA.data-value');
  const error = decodeOnly(value, Tag.octetString, 'KERB-ERROR-DATA.data-value');
  if (error.length !== KERB_EXT_ERROR_SIZE) return undefined;
  return new DataView(error.buffer, error.byteOffset, error.byteLength).getUint32(0, true);
}
