/**
 * The provisioning messages of a first synchronization, written and read, and the same values as JSON in the same
 * process: a yardstick that every JS program has.
 */

import { isDeepStrictEqual } from 'node:util';
import { userProperties } from '#src/agent/user-properties.js';
import { decodeReply, encodeRequest } from '#src/provisioning/client-codec.js';
import { decodeRequest, encodeResponse, type KnownRequest } from '#src/provisioning/server-codec.js';
import { PropertyList } from '#src/provisioning/types.js';
import { type Contender, nothing } from './contender.js';

const GUID = '00112233-4455-6677-8899-aabbccddeeff';
const header = {
  messageId: `urn:uuid:${GUID}`,
  to: 'https://tenant.test/provisioningservice.svc',
  syncToken: {
    applicationId: GUID,
    bearerToken: 'x'.repeat(900),
    clientVersion: '8.0',
    dirSyncBuildNumber: '2.4.21.0',
    fimBuildNumber: '2.4.21.0',
    isInstalledOnDC: false,
    issueDateTime: '0001-01-01T00:00:00',
    languageId: 'en-US',
    liveToken: '',
    protocolVersion: '2.0',
    richCoexistenceEnabled: false,
    trackingId: GUID,
  },
};

const anchorOf = (i: number) => Buffer.from(`${String(i).padStart(16, '0')}`).toString('base64');
const cloudAnchorOf = (i: number) => `User_00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;

function user(i: number) {
  const name = `u${String(i).padStart(7, '0')}`;
  const object = {
    guid: GUID,
    dn: `CN=Given Family ${i},OU=Unit ${i % 10},OU=Lab,DC=lab,DC=test`,
    sid: `S-1-5-21-1111111111-2222222222-3333333333-${1100 + i}`,
    rid: 1100 + i,
    deleted: false,
    objectClass: 'user',
    sAMAccountName: name,
    userPrincipalName: `${name}@lab.test`,
    displayName: `Given Family ${i}`,
    // Some have none: what repeats from user to user is not always the same.
    givenName: i % 7 === 0 ? undefined : 'Given',
    sn: 'Family',
    mail: i % 5 === 0 ? undefined : `${name}@lab.test`,
    userAccountControl: 512,
    pwdLastSet: 133_500_000_000_000_000n + BigInt(i) * 10_000_000n,
    accountExpires: undefined,
    unicodePwd: undefined,
    passwordVersion: undefined,
    passwordChanged: undefined,
  };
  const domain = { dnsName: 'lab.test', netbiosName: 'LAB' };
  const propertyValues = userProperties(object, anchorOf(i), domain, true);
  return { propertyValues, syncObjectType: 'User', syncOperation: 'Add' } as const;
}

const credential = (i: number) => ({
  changeDate: new Date(1.7e12 + i * 1000),
  cloudAnchor: cloudAnchorOf(i),
  credentialData: `v1;PPH1_MD4,${'0123456789'.repeat(2)},1000,${'0123456789abcdef'.repeat(4)};`,
  forcePasswordChangeOnLogon: false,
  sourceAnchor: anchorOf(i),
  windowsLegacyCredentials: undefined,
  windowsSupplementalCredentials: undefined,
});

interface Message {
  readonly value: unknown;
  write(): Buffer;
  read(bytes: Buffer): unknown;
}

const bodyOf = (bytes: Buffer) => (decodeRequest(bytes) as KnownRequest).body;

const messages: Readonly<Record<string, (jobs: number) => Message>> = {
  users(jobs) {
    const value = { objects: Array.from({ length: jobs }, (_, i) => user(i)) };
    return { value, write: () => encodeRequest('ProvisionAzureADSyncObjects', value, header), read: bodyOf };
  },
  'users-reply'(jobs) {
    const results = Array.from({ length: jobs }, (_, i) => ({
      cloudAnchor: cloudAnchorOf(i),
      resultCode: 'Success',
      resultErrorDescription: undefined,
      sourceAnchor: anchorOf(i),
    }));
    const operation = 'ProvisionAzureADSyncObjects';
    return {
      value: { results },
      write: () => encodeResponse({ operation, header }, { results }),
      read: (bytes) => resultOf(decodeReply(operation, bytes)),
    };
  },
  credentials(jobs) {
    const value = { items: Array.from({ length: jobs }, (_, i) => credential(i)) };
    return { value, write: () => encodeRequest('ProvisionCredentials', value, header), read: bodyOf };
  },
  'credentials-reply'(jobs) {
    const results = Array.from({ length: jobs }, (_, i) => ({
      cloudAnchor: cloudAnchorOf(i),
      extendedErrorInformation: undefined,
      result: 0,
      sourceAnchor: anchorOf(i),
    }));
    const operation = 'ProvisionCredentials';
    return {
      value: { results },
      write: () => encodeResponse({ operation, header }, { results }),
      read: (bytes) => resultOf(decodeReply(operation, bytes)),
    };
  },
};

export const messageNames = Object.keys(messages);

function resultOf(reply: { readonly fault: unknown; readonly result?: unknown }): unknown {
  if (reply.fault !== undefined) throw new Error('the reply is a fault');
  return reply.result;
}

/** Properties in the form of JSON. */
function plain(_: string, value: unknown): unknown {
  if (value instanceof PropertyList) return [...value];
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

/** `detail`: a name of `messageNames`, a dash, `write` or `read`. */
export function wire(detail: string, jobs: number): Contender {
  const { name, reads } = parse(detail);
  const message = messages[name]!(jobs);
  const bytes = Buffer.from(message.write());
  return {
    jobs,
    run: reads ? () => void message.read(bytes) : () => void message.write(),
    check() {
      const again = Buffer.from(message.write());
      if (!again.equals(bytes)) throw new Error(`${name}: written twice, it differs`);
      const back = message.read(again) as object;
      if (
        !isDeepStrictEqual(JSON.parse(JSON.stringify(back, plain)), JSON.parse(JSON.stringify(message.value, plain)))
      ) {
        throw new Error(`${name}: what was read is not what was written`);
      }
    },
    close: nothing,
  };
}

/** The same values, written and read as JSON. */
export function json(detail: string, jobs: number): Contender {
  const { name, reads } = parse(detail);
  const { value } = messages[name]!(jobs);
  const plainValue: unknown = JSON.parse(JSON.stringify(value, plain));
  const write = () => Buffer.from(JSON.stringify(plainValue));
  const bytes = write();
  return {
    jobs,
    run: reads ? () => void JSON.parse(bytes.toString()) : () => void write(),
    check() {
      if (!isDeepStrictEqual(JSON.parse(write().toString()), plainValue)) throw new Error(`${name}: JSON differs`);
    },
    close: nothing,
  };
}

function parse(detail: string): { readonly name: string; readonly reads: boolean } {
  const [, name, what] = /^(.+)-(write|read)$/.exec(detail) ?? [];
  if (name === undefined || !messageNames.includes(name)) {
    throw new RangeError(`no message is called ${JSON.stringify(detail)}`);
  }
  return { name, reads: what === 'read' };
}
