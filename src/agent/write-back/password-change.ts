/** unicodePwd on the wire (MS-ADTS 3.1.1.3.1.5): the password in quotes, as UTF-16LE; changed by its owner or reset. */

import { transcode } from 'node:buffer';
import { Attribute, type BerWriter, Change, Control } from 'ldapts';

const QUOTE = 0x22;

/** Its value stays out of what ldapts makes of each message for NODE_DEBUG=ldapts. */
class SecretAttribute extends Attribute {
  toJSON(): object {
    return { type: this.type, values: '[redacted]' };
  }
}

/** `"password"` in UTF-16LE, from UTF-8 and without a string in between. The caller wipes it. */
export function unicodePwd(password: Uint8Array): Buffer {
  const text = transcode(password, 'utf8', 'utf16le');
  try {
    const value = Buffer.alloc(text.length + 4);
    value.writeUInt16LE(QUOTE, 0);
    value.set(text, 2);
    value.writeUInt16LE(QUOTE, text.length + 2);
    return value;
  } finally {
    text.fill(0);
  }
}

/** As the domain's policy counts them: UTF-16 code units. */
export function charactersOf(password: Uint8Array): number {
  const text = transcode(password, 'utf8', 'utf16le');
  const { length } = text;
  text.fill(0);
  return length / 2;
}

/** With the old one: the owner's change (delete and add), to which the domain's whole policy applies; else a reset. */
export function passwordChanges(newValue: Buffer, oldValue: Buffer | undefined): Change[] {
  const change = (operation: 'add' | 'delete' | 'replace', value: Buffer) =>
    new Change({ operation, modification: new SecretAttribute({ type: 'unicodePwd', values: [value] }) });
  return oldValue === undefined ? [change('replace', newValue)] : [change('delete', oldValue), change('add', newValue)];
}

const OCTET_STRING = 0x04;

/** LDAP_SERVER_POLICY_HINTS_OID (MS-ADTS 3.1.1.3.4.1.27): history and minimum age hold for a reset, too. */
export class PolicyHintsControl extends Control {
  static readonly type = '1.2.840.113556.1.4.2239';

  constructor() {
    super(PolicyHintsControl.type, { critical: true });
  }

  /** PolicyHintsRequestValue ::= SEQUENCE { Flags INTEGER }, with the one flag that there is. */
  override writeControl(writer: BerWriter): void {
    writer.writeBuffer(Buffer.from([0x30, 0x03, 0x02, 0x01, 0x01]), OCTET_STRING);
  }
}
