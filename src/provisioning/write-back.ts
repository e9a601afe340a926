/** Password write-back between tenant and agent: the messages, and the seal that only the agent opens (JWE, RFC 7516: ECDH-ES, A256GCM). */

import {
  CompactEncrypt,
  type CryptoKey,
  calculateJwkThumbprint,
  compactDecrypt,
  generateKeyPair,
  importJWK,
} from 'jose';
import { z } from 'zod';

export const WRITE_BACK_PATH = '/passwordwriteback/v1';

/** How long the tenant keeps a poll waiting before it answers 204. */
export const POLL_SECONDS = 25;
/** As long as Active Directory takes them; in characters. */
export const MAX_PASSWORD = 256;

const ALGORITHM = 'ECDH-ES';
const ENCRYPTION = 'A256GCM';
const TYPE = 'phsync-write-back';
/** Header, two passwords of 256 characters at 3 bytes each, in base64, with room to spare. PostgreSQL's NOTIFY takes 7999 bytes. */
export const MAX_SEALED = 6000;

const domainName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9.-]+$/, 'expected a DNS name in lower case');
const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'expected 32 bytes in base64url');

/** The agent's key, made at its start; the private half never leaves its process. */
export const publicKeySchema = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: coordinate,
  y: coordinate,
});
export type PublicKey = z.output<typeof publicKeySchema>;

/** `POST …/next`: 200 with a request, 204 where none came within POLL_SECONDS, 403 `feature_off`. */
export const pollSchema = z.strictObject({
  /** One run of one agent. */
  instance: z.uuid(),
  key: publicKeySchema,
  /** The domains whose users' passwords it sets. */
  domains: z.array(domainName).min(1).max(64),
});
export type Poll = z.output<typeof pollSchema>;

export const handOverSchema = z.strictObject({
  id: z.uuid(),
  sealed: z.string().min(1).max(MAX_SEALED),
  /** Milliseconds from now until nobody waits for the result any more: nothing may be set after them. */
  expiresIn: z.int().min(0).max(600_000),
});
export type HandOver = z.output<typeof handOverSchema>;

/** Why a domain controller does not take a password, as far as it tells. */
const PASSWORD_REFUSALS = [
  'wrongPassword',
  /** Length, complexity, history or age: it did not say which. */
  'policy',
  'tooShort',
  'complexity',
  'history',
  'tooYoung',
] as const;
export type PasswordRefusal = (typeof PASSWORD_REFUSALS)[number];

/** Why nothing could be set; with `noAnswer` it may have been all the same. */
const WRITE_FAILURES = [
  'noUser',
  'ambiguousUser',
  'outOfScope',
  'rights',
  'accountDisabled',
  'accountLocked',
  'directory',
  'sealed',
  'late',
  /** The connection broke, or time was up, when the domain controller had been asked to set it. */
  'noAnswer',
  'failed',
] as const;
export type WriteFailure = (typeof WRITE_FAILURES)[number];

export const outcomeSchema = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('done'),
    /** By the domain controller's clock, milliseconds since 1970. */
    changedAt: z.int().min(0).max(8_640_000_000_000_000).optional(),
  }),
  z.strictObject({
    status: z.literal('refused'),
    reason: z.enum(PASSWORD_REFUSALS),
    /** With tooShort: characters. */
    minimumLength: z.int().min(1).max(1000).optional(),
    /** With tooYoung: milliseconds since 1970. */
    notBefore: z.int().min(0).optional(),
  }),
  z.strictObject({ status: z.literal('failed'), reason: z.enum(WRITE_FAILURES) }),
]);
export type WriteOutcome = z.output<typeof outcomeSchema>;

/** `POST …/{id}/result`: 204 taken, 410 nobody waits for it (any more). */
export const resultSchema = z.strictObject({ instance: z.uuid(), outcome: outcomeSchema });
export type WriteResult = z.output<typeof resultSchema>;

/** `POST …/agents`, without a body: this client's agents that have polled within the last minute, for its diagnosis. */
export const agentsSchema = z.strictObject({
  /** The feature PasswordWriteBack. */
  feature: z.boolean(),
  agents: z.array(z.strictObject({ domains: z.array(domainName), secondsAgo: z.number().min(0) })).max(100),
});
export type WritebackAgentsReply = z.output<typeof agentsSchema>;

const subjectSchema = z.strictObject({
  /** The HandOver's: a sealed request cannot be handed over under another id. */
  id: z.uuid(),
  domain: domainName,
  sourceAnchor: z.string().min(1).max(1024),
});
export type WriteSubject = z.output<typeof subjectSchema>;

export interface OpenedWrite extends WriteSubject {
  /** UTF-8; undefined: a reset. */
  readonly oldPassword: Buffer | undefined;
  readonly newPassword: Buffer;
  /** Overwrites both passwords. */
  wipe(): void;
}

export interface SealingKeys {
  readonly publicKey: PublicKey;
  open(sealed: string): Promise<OpenedWrite>;
}

/**
 * Seals a request to an agent's key. The bytes handed in stay the caller's.
 * @throws JOSEError for a key that is no point on the curve, RangeError for passwords that are too long.
 */
export async function seal(
  subject: WriteSubject,
  { oldPassword, newPassword }: { readonly oldPassword: Uint8Array | undefined; readonly newPassword: Uint8Array },
  key: PublicKey,
): Promise<string> {
  const head = Buffer.from(JSON.stringify(subject));
  const parts = [head, oldPassword ?? new Uint8Array(0), newPassword];
  const plaintext = Buffer.alloc(parts.reduce((sum, part) => sum + 2 + part.length, 0));
  try {
    let at = 0;
    for (const part of parts) {
      at = plaintext.writeUInt16LE(part.length, at);
      plaintext.set(part, at);
      at += part.length;
    }
    const sealed = await new CompactEncrypt(plaintext)
      .setProtectedHeader({ alg: ALGORITHM, enc: ENCRYPTION, typ: TYPE, kid: await calculateJwkThumbprint(key) })
      .encrypt(await importJWK(key, ALGORITHM));
    if (sealed.length > MAX_SEALED) throw new RangeError('the passwords are too long to be handed over');
    return sealed;
  } finally {
    plaintext.fill(0);
  }
}

/** A new key pair (P-256), whose private half cannot be exported. */
export async function makeSealingKeys(): Promise<SealingKeys> {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { crv: 'P-256' });
  // Exported by hand: of a CryptoKey's JWK only these four members are the key.
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
  return { publicKey: publicKeySchema.parse({ kty, crv, x, y }), open: (sealed) => open(sealed, privateKey) };
}

async function open(sealed: string, key: CryptoKey): Promise<OpenedWrite> {
  const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, {
    keyManagementAlgorithms: [ALGORITHM],
    contentEncryptionAlgorithms: [ENCRYPTION],
  });
  const bytes = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength);
  try {
    if (protectedHeader.typ !== TYPE) throw new RangeError(`expected a JWE of type ${TYPE}`);
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 2 + bytes.readUInt16LE(at);
      if (end > bytes.length) throw new RangeError('a part ends behind the end of the request');
      parts.push(bytes.subarray(at + 2, end));
      at = end;
    }
    const [head, oldPassword, newPassword, ...rest] = parts;
    if (head === undefined || oldPassword === undefined || newPassword === undefined || rest.length > 0) {
      throw new RangeError(`expected three parts, not ${parts.length}`);
    }
    const subject = subjectSchema.parse(JSON.parse(head.toString()));
    return {
      ...subject,
      oldPassword: oldPassword.length === 0 ? undefined : oldPassword,
      newPassword,
      wipe: () => void bytes.fill(0),
    };
  } catch (error) {
    bytes.fill(0);
    throw error;
  }
}
