/** ProvisionAzureADSyncObjects: property values of a User checked and turned into a change of the store. */

import type { AzureADSyncObject, AzureADSyncObjectResult, Properties } from '../../provisioning/types.js';
import { domainOfName } from '../agent-domains.js';
import type { UserAttributes, UserChange, UserOutcome } from '../store/changes.js';
import { isKey } from '../store/write-guard.js';
import { NOT_OWN } from './own-users.js';

/** ResultCode: Success, and the names that Entra Connect reports for what it refuses. */
type ResultCode = 'Success' | 'AttributeValueMustBeUnique' | 'IdentityDataValidationFailed' | 'ObjectTypeMismatch';

/** Why one object is refused; the others of its batch are not touched by it. */
class Refusal {
  constructor(
    readonly resultCode: ResultCode,
    readonly description: string,
  ) {}
}

const MAX_TEXT = 4096;
const MAX_ANCHOR = 256;
/** A SID has at most 15 sub-authorities (MS-DTYP 2.4.2). */
const MAX_SID = 68;
const CLOUD_ANCHOR = /^User_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const GENERALIZED_TIME = /^\d{14}(?:\.\d+)?Z$/;

export const cloudAnchorOf = (objectId: string) => `User_${objectId}`;

/** The object id in `User_<objectId>`, or undefined. */
export function objectIdOf(cloudAnchor: string): string | undefined {
  return CLOUD_ANCHOR.exec(cloudAnchor)?.[1]?.toLowerCase();
}

/** What to store, or the result that refuses the object. `own`: the domains of an agent that may not act for all. */
export function toUserChange(
  object: AzureADSyncObject,
  domains: ReadonlySet<string>,
  own?: ReadonlySet<string>,
): UserChange | AzureADSyncObjectResult {
  const anchor = object.propertyValues.get('SourceAnchor');
  const sourceAnchor = typeof anchor === 'string' ? anchor : undefined;
  try {
    if (object.syncObjectType !== 'User') {
      throw new Refusal('ObjectTypeMismatch', `SyncObjectType ${object.syncObjectType.slice(0, 64)} is not User`);
    }
    // What a database would write otherwise than it came might be another user's there.
    if (!isKey(sourceAnchor) || sourceAnchor === '' || sourceAnchor.length > MAX_ANCHOR) {
      throw new Refusal(
        'IdentityDataValidationFailed',
        `SourceAnchor: expected 1 to ${MAX_ANCHOR} characters, none NUL or half of a surrogate pair`,
      );
    }
    if (object.syncOperation === 'Delete') return { kind: 'delete', sourceAnchor };
    const attributes = attributesOf(object.propertyValues, domains);
    if (own !== undefined) checkOwn(attributes, own);
    return { kind: 'upsert', sourceAnchor, attributes };
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    return {
      resultCode: refusal.resultCode,
      resultErrorDescription: refusal.description,
      cloudAnchor: undefined,
      sourceAnchor,
    };
  }
}

/** The result of a change that went to the store. `refusal`: why the agent may not write the user, where it may not. */
export function toObjectResult(
  sourceAnchor: string,
  outcome: UserOutcome,
  refusal: () => string,
): AzureADSyncObjectResult {
  const result = (resultCode: ResultCode, resultErrorDescription: string | undefined, cloudAnchor?: string) => ({
    resultCode,
    resultErrorDescription,
    cloudAnchor,
    sourceAnchor,
  });
  switch (outcome.status) {
    case 'stored':
      return result('Success', undefined, outcome.objectId === undefined ? undefined : cloudAnchorOf(outcome.objectId));
    case 'duplicateUserPrincipalName':
      return result('AttributeValueMustBeUnique', 'userPrincipalName: another user of this tenant has it');
    case 'userPrincipalNameMissing':
      return result('IdentityDataValidationFailed', 'userPrincipalName: a new user needs one');
    case 'refused':
      return result('IdentityDataValidationFailed', `SourceAnchor: ${refusal()}`);
  }
}

function checkOwn({ userPrincipalName: name, dnsDomainName }: UserAttributes, own: ReadonlySet<string>): void {
  const suffix = name && domainOfName(name);
  if (suffix && !own.has(suffix)) {
    throw new Refusal('IdentityDataValidationFailed', `userPrincipalName: of the domain ${suffix}, ${NOT_OWN}`);
  }
  if (dnsDomainName && !own.has(dnsDomainName.toLowerCase())) {
    const domain = dnsDomainName.slice(0, 253);
    throw new Refusal('IdentityDataValidationFailed', `dnsDomainName: the domain ${domain}, ${NOT_OWN}`);
  }
}

function attributesOf(properties: Properties, domains: ReadonlySet<string>): UserAttributes {
  return {
    userPrincipalName: userPrincipalName(properties, domains),
    displayName: text(properties, 'displayName'),
    givenName: text(properties, 'givenName'),
    surname: text(properties, 'surname'),
    mail: text(properties, 'mail'),
    accountEnabled: accountEnabled(properties),
    onPremisesSamAccountName: text(properties, 'onPremisesSamAccountName'),
    onPremisesDistinguishedName: text(properties, 'onPremisesDistinguishedName'),
    onPremisesSecurityIdentifier: securityIdentifier(properties),
    dnsDomainName: text(properties, 'dnsDomainName'),
    netBiosName: text(properties, 'netBiosName'),
    lastPasswordChange: generalizedTime(properties, 'lastPasswordChangeTimestamp'),
  };
}

/** PostgreSQL's text has no NUL, and XML 1.0 neither; the binary form of the wire could carry one. */
const isText = (value: string, most: number) => value.length <= most && !value.includes('\0');

function invalid(name: string, expected: string): Refusal {
  return new Refusal('IdentityDataValidationFailed', `${name}: expected ${expected}`);
}

function text(properties: Properties, name: string): string | null | undefined {
  const value = properties.get(name);
  if (value === undefined || value === null) return value;
  if (typeof value !== 'string' || !isText(value, MAX_TEXT)) {
    throw invalid(name, `text of at most ${MAX_TEXT} characters, none NUL`);
  }
  return value;
}

function userPrincipalName(properties: Properties, domains: ReadonlySet<string>): string | undefined {
  const value = properties.get('userPrincipalName');
  if (value === undefined) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it keeps out
  if (typeof value !== 'string' || value.length > 1024 || !/^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$/.test(value)) {
    throw invalid('userPrincipalName', 'name@domain, at most 1024 characters');
  }
  const domain = value.slice(value.indexOf('@') + 1).toLowerCase();
  if (!domains.has(domain)) {
    throw new Refusal('IdentityDataValidationFailed', `userPrincipalName: ${domain} is not a domain of this tenant`);
  }
  return value;
}

function accountEnabled(properties: Properties): boolean | undefined {
  const value = properties.get('accountEnabled');
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid('accountEnabled', 'a boolean');
}

/** Bytes, or their base64 as existing clients send it. */
function securityIdentifier(properties: Properties): Uint8Array | null | undefined {
  const name = 'onPremiseSecurityIdentifier';
  const value = properties.get(name);
  if (value === undefined || value === null) return value;
  const bytes = typeof value === 'string' ? Buffer.from(value.slice(0, MAX_TEXT), 'base64') : value;
  if (!(bytes instanceof Uint8Array) || bytes.length > MAX_SID) throw invalid(name, `at most ${MAX_SID} bytes`);
  return bytes;
}

/** `20190801164342.0Z` (X.680 GeneralizedTime, as AD writes it). */
function generalizedTime(properties: Properties, name: string): Date | null | undefined {
  const value = properties.get(name);
  if (value === undefined || value === null) return value;
  if (typeof value !== 'string' || !GENERALIZED_TIME.test(value)) throw invalid(name, 'YYYYMMDDhhmmss.0Z');
  const number = (from: number, to: number) => {
    let n = 0;
    for (let i = from; i < to; i++) n = 10 * n + value.charCodeAt(i) - 0x30;
    return n;
  };
  const ms = Date.UTC(number(0, 4), number(4, 6) - 1, number(6, 8), number(8, 10), number(10, 12), number(12, 14));
  return new Date(ms);
}
