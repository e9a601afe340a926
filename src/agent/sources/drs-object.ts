/** From a replicated object to the agent's DirectoryObject. */

import type { PrefixTable } from '../../protocol/drsr/prefix-table.js';
import type { ReplicatedObject } from '../../protocol/drsr/replicated-objects.js';
import { ATTRIBUTE_OIDS, type AttributeName, CLASS_NAMES } from '../../protocol/drsr/schema.js';
import { guidToText } from '../../protocol/dtyp/guid.js';
import { ridOf, sidToText } from '../../protocol/dtyp/sid.js';
import { ProtocolError } from '../../protocol/errors.js';
import { utf16le } from '../../protocol/ndr/ndr-reader.js';
import type { ConditionAttribute } from '../config/scope.js';
import type { DirectoryObject } from '../source.js';

/** What the agent always asks for: OID → name. */
export const WANTED_ATTRIBUTES: ReadonlyMap<string, AttributeName> = new Map(
  (
    [
      'objectClass',
      'sn',
      'givenName',
      'displayName',
      'isDeleted',
      'isRecycled',
      // A rename or a move changes nothing else: an object of which none of these changed does not come.
      'name',
      'userAccountControl',
      'unicodePwd',
      'pwdLastSet',
      'objectSid',
      'accountExpires',
      'sAMAccountName',
      'userPrincipalName',
      'mail',
      'isCriticalSystemObject',
      'mS-DS-ConsistencyGuid',
      'adminDescription',
    ] satisfies AttributeName[]
  ).map((name) => [ATTRIBUTE_OIDS[name], name]),
);

/** And with what the scope's conditions, or Domain Services, ask for besides. */
export function wantedAttributes(more: readonly AttributeName[]): ReadonlyMap<string, AttributeName> {
  return new Map([...WANTED_ATTRIBUTES, ...more.map((name) => [ATTRIBUTE_OIDS[name], name] as const)]);
}

const NO_BYTES = new Uint8Array(0);
const TOP = '2.5.6.0';

/**
 * `conditions`: what to take besides the fields. A text attribute that was removed comes as '', one that did not change as undefined.
 * @throws ProtocolError `malformed` when a value is not what its attribute's syntax says.
 */
export function toDirectoryObject(
  object: ReplicatedObject<AttributeName>,
  prefixes: PrefixTable,
  conditions: readonly ConditionAttribute[] = [],
): DirectoryObject {
  const { attributes, name } = object;
  const values = (attribute: AttributeName) => attributes.get(attribute)?.values;
  const malformed = (attribute: string, expected: string) =>
    new ProtocolError('malformed', `${attribute} of ${guidToText(name.guid)}: ${expected} expected`, {
      structure: 'ATTRVAL',
    });
  const number = (attribute: AttributeName): number | undefined => {
    const value = values(attribute)?.[0];
    if (value !== undefined && value.length !== 4) {
      throw malformed(attribute, '4 bytes');
    }
    return value === undefined ? undefined : load32le(value, 0);
  };
  const time = (attribute: AttributeName): bigint | undefined => {
    const value = values(attribute)?.[0];
    if (value !== undefined && value.length !== 8) {
      throw malformed(attribute, '8 bytes');
    }
    return value === undefined
      ? undefined
      : BigInt.asIntN(64, (BigInt(load32le(value, 4)) << 32n) | BigInt(load32le(value, 0)));
  };
  const text = (attribute: AttributeName): string | undefined => {
    const all = values(attribute);
    return all === undefined ? undefined : utf16le(all[0] ?? NO_BYTES);
  };

  const sid = name.sid ?? values('objectSid')?.[0];
  if (sid !== undefined && (sid.length < 8 || sid[0] !== 1 || sid.length !== 8 + 4 * sid[1]! || sid[1]! > 15)) {
    throw malformed('objectSid', 'a SID');
  }
  const unicodePwd = attributes.get('unicodePwd');
  const supplementalCredentials = attributes.get('supplementalCredentials');
  const guid = values('mS-DS-ConsistencyGuid');
  const critical = number('isCriticalSystemObject');
  return {
    guid: guidToText(name.guid),
    dn: name.dn,
    sid: sid === undefined ? undefined : sidToText(sid),
    rid: sid === undefined ? 0 : ridOf(sid),
    // A delta need not repeat isDeleted; the RDN of a deleted object always ends with a line feed and DEL:<guid>.
    deleted: (number('isDeleted') ?? 0) !== 0 || (number('isRecycled') ?? 0) !== 0 || name.dn.includes('\\0ADEL:'),
    renamed: attributes.has('name'),
    objectClass: mostDerivedClass(values('objectClass'), prefixes),
    sAMAccountName: text('sAMAccountName'),
    userPrincipalName: text('userPrincipalName'),
    displayName: text('displayName'),
    givenName: text('givenName'),
    sn: text('sn'),
    mail: text('mail'),
    userAccountControl: number('userAccountControl'),
    isCriticalSystemObject: critical === undefined ? undefined : critical !== 0,
    pwdLastSet: time('pwdLastSet'),
    accountExpires: time('accountExpires'),
    consistencyGuid: guid && (guid[0] ?? NO_BYTES),
    adminDescription: text('adminDescription'),
    attributes: conditions.length === 0 ? undefined : textsOf(conditions, text),
    unicodePwd: unicodePwd && (unicodePwd.values[0] ?? NO_BYTES),
    passwordVersion: unicodePwd?.metaData?.version,
    passwordChanged: unicodePwd?.metaData?.timeChanged,
    supplementalCredentials: supplementalCredentials && (supplementalCredentials.values[0] ?? NO_BYTES),
    supplementalVersion: supplementalCredentials?.metaData?.version,
  };
}

function textsOf(
  names: readonly ConditionAttribute[],
  text: (name: AttributeName) => string | undefined,
): ReadonlyMap<string, string> | undefined {
  const texts = new Map<string, string>();
  for (const name of names) {
    const value = text(name);
    if (value !== undefined) texts.set(name, value);
  }
  return texts.size === 0 ? undefined : texts;
}

/** ATTRTYPs of classes, the most derived first; where `top` comes first, the list runs the other way. */
function mostDerivedClass(values: readonly Uint8Array[] | undefined, prefixes: PrefixTable): string | undefined {
  const classOf = (value: Uint8Array | undefined) =>
    value === undefined || value.length !== 4 ? undefined : prefixes.oidOf(load32le(value, 0));
  if (values === undefined || values.length === 0) {
    return undefined;
  }
  const first = classOf(values[0]);
  const oid = first === TOP ? classOf(values[values.length - 1]) : first;
  return oid === undefined ? undefined : (CLASS_NAMES.get(oid) ?? oid);
}

function load32le(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
