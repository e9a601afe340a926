/** Whether a security descriptor (MS-DTYP 2.4.6) lets one of several SIDs use an extended right, as far as its DACL says. */

import { guidToText } from '../../protocol/dtyp/guid.js';
import { sidToText } from '../../protocol/dtyp/sid.js';

/** User-Force-Change-Password (MS-ADTS 5.1.3.2.1): "Reset Password". */
export const RESET_PASSWORD = '00299570-246d-11d0-a768-00aa006e0529';

// MS-DTYP 2.4.4.1: ACE types and flags.
const ACCESS_ALLOWED = 0x00;
const ACCESS_DENIED = 0x01;
const ACCESS_ALLOWED_OBJECT = 0x05;
const ACCESS_DENIED_OBJECT = 0x06;
const INHERIT_ONLY = 0x08;
const OBJECT_TYPE_PRESENT = 0x1;
const INHERITED_OBJECT_TYPE_PRESENT = 0x2;
/** ADS_RIGHT_DS_CONTROL_ACCESS (MS-ADTS 5.1.3.2). */
const CONTROL_ACCESS = 0x100;
const GENERIC_ALL = 0x1000_0000;

const DACL_OFFSET = 16;
const ACL_HEADER = 8;

/** In the order of the ACL, as the domain controller evaluates it. @throws RangeError for what is no security descriptor. */
export function allowsExtendedRight(descriptor: Buffer, right: string, sids: ReadonlySet<string>): boolean {
  const dacl = descriptor.readUInt32LE(DACL_OFFSET);
  // No DACL: everything is permitted to everybody (MS-DTYP 2.5.3.2).
  if (dacl === 0) return true;
  const count = descriptor.readUInt16LE(dacl + 4);
  let at = dacl + ACL_HEADER;
  for (let i = 0; i < count; i++) {
    const size = descriptor.readUInt16LE(at + 2);
    const ace = descriptor.subarray(at, at + size);
    if (size < ACL_HEADER || ace.length !== size) throw new RangeError('an ACE ends behind the security descriptor');
    const verdict = verdictOf(ace, right, sids);
    if (verdict !== undefined) return verdict;
    at += size;
  }
  return false;
}

/** Undefined: it says nothing of the right, or of others. */
function verdictOf(ace: Buffer, right: string, sids: ReadonlySet<string>): boolean | undefined {
  const type = ace.readUInt8(0);
  const isObject = type === ACCESS_ALLOWED_OBJECT || type === ACCESS_DENIED_OBJECT;
  const denies = type === ACCESS_DENIED || type === ACCESS_DENIED_OBJECT;
  if (!isObject && !denies && type !== ACCESS_ALLOWED) return undefined;
  if ((ace.readUInt8(1) & INHERIT_ONLY) !== 0) return undefined;
  if ((ace.readUInt32LE(4) & (CONTROL_ACCESS | GENERIC_ALL)) === 0) return undefined;
  let at = 8;
  if (isObject) {
    const present = ace.readUInt32LE(at);
    at += 4;
    if ((present & OBJECT_TYPE_PRESENT) !== 0) {
      if (guidToText(ace.subarray(at, at + 16)) !== right) return undefined;
      at += 16;
    }
    if ((present & INHERITED_OBJECT_TYPE_PRESENT) !== 0) at += 16;
  }
  return sids.has(sidToText(ace.subarray(at, at + 8 + 4 * ace.readUInt8(at + 1)))) ? !denies : undefined;
}
