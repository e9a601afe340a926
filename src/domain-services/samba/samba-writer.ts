/** Writes into a Samba domain controller's own database, on that controller, through a helper with Samba's own modules. */

import type { Logger } from 'pino';
import { z } from 'zod';
import { PhsyncError } from '../../hasher/errors.js';
import type {
  AppliedChange,
  ApplyOptions,
  ManagedChange,
  ManagedDomain,
  ManagedDomainWriter,
  ManagedSecrets,
  Outcome,
  RefusedChange,
} from '../writer.js';
import { HelperProcess } from './helper-process.js';

export interface SambaWriterOptions {
  /** Default `/etc/samba/smb.conf`. */
  readonly smbConf?: string | undefined;
  /** Default `/usr/bin/python3`. */
  readonly python?: string | undefined;
  /** Name of the organizational unit below the domain's head. Default `AADDC Users`. */
  readonly organizationalUnit?: string | undefined;
  readonly log: Logger;
  /** How long the domain controller may take for one batch. Default: two minutes. */
  readonly timeoutMs?: number;
}

const NT_HASH_BYTES = 16;
/** As in samba_writer/frames.py, which says what is asked and answered. */
const MAX_KEYS = 64 * 1024;
/** Of a change as JSON. No account of a directory is so large, and a batch of 200 stays below what the helper takes. */
const MAX_CHANGE = 128 * 1024;

const failure = z.object({ code: z.string(), message: z.string() });
const opened = z.object({
  dnsDomain: z.string(),
  netbiosDomain: z.string(),
  dn: z.string(),
  sid: z.string(),
  dc: z.string(),
  invocationId: z.string(),
  users: z.array(z.string()),
});
const outcome = z.union([
  z.object({ error: failure }),
  z.object({
    result: z.enum(['created', 'updated', 'unchanged', 'deleted', 'absent']),
    samAccountName: z.string().optional(),
    changed: z.array(z.string()).optional(),
    password: z.enum(['written', 'unchanged', 'older']).optional(),
    passwordError: failure.optional(),
    notes: z.array(z.string()).default([]),
    displaced: z.array(z.string()).optional(),
  }),
]);
const applied = z.object({ answers: z.array(outcome) });
const failed = z.object({ error: failure });

/** Contacts nobody before `open`. */
export class SambaWriter implements ManagedDomainWriter {
  readonly #options: SambaWriterOptions;
  #helper: HelperProcess | undefined;

  constructor(options: SambaWriterOptions) {
    this.#options = options;
  }

  async open(): Promise<ManagedDomain> {
    await this.close();
    const { python = '/usr/bin/python3', smbConf = '/etc/samba/smb.conf', log, timeoutMs = 120_000 } = this.#options;
    this.#helper = new HelperProcess({ python, smbConf, log, timeoutMs });
    const { organizationalUnit = 'AADDC Users' } = this.#options;
    return this.#ask({ op: 'open', ou: organizationalUnit }, [], opened);
  }

  async apply(changes: readonly ManagedChange[], { dryRun = false }: ApplyOptions = {}): Promise<readonly Outcome[]> {
    const parts = changes.map(partOf);
    const sent = parts.filter((part) => 'document' in part);
    const documents = sent.map(({ document }) => document);
    const secrets = sent.flatMap((part) => part.secrets);
    const { answers } = await this.#ask({ op: 'apply', dryRun, changes: documents }, secrets, applied);
    if (answers.length !== sent.length) throw this.#odd(`${answers.length} outcomes of ${sent.length} changes`);
    let at = 0;
    return parts.map((part): Outcome => {
      if ('error' in part) return part;
      const answer = answers[at++]! as Outcome;
      const { passwordError } = part;
      return passwordError === undefined || 'error' in answer ? answer : { ...answer, passwordError };
    });
  }

  async close(): Promise<void> {
    const helper = this.#helper;
    this.#helper = undefined;
    await helper?.close();
  }

  async #ask<T>(document: unknown, secrets: readonly Uint8Array[], expected: z.ZodType<T>): Promise<T> {
    if (this.#helper === undefined) throw new PhsyncError('managed-domain-closed', 'the managed domain is not open');
    const answer = await this.#helper.request(document, secrets);
    const refusal = failed.safeParse(answer).data?.error;
    if (refusal !== undefined) {
      const { code, message } = refusal;
      throw new PhsyncError(`managed-domain-${code}`, `the domain controller cannot be written to: ${message}`);
    }
    const parsed = expected.safeParse(answer);
    if (!parsed.success) throw this.#odd('what was not expected');
    return parsed.data;
  }

  #odd(what: string): PhsyncError {
    return new PhsyncError('managed-domain-helper', `the helper on the domain controller answers with ${what}`);
  }
}

interface Sent {
  readonly document: object;
  readonly secrets: readonly Uint8Array[];
  /** Why the change goes without the secrets that it has. */
  readonly passwordError: AppliedChange['passwordError'];
}

/** What goes to the helper; what is too large for it is refused alone, and keeps no other from its place. */
function partOf(change: ManagedChange): Sent | RefusedChange {
  const passwordError = change.kind === 'user' ? keysError(change.secrets) : undefined;
  const isWithout = change.kind === 'user' && passwordError !== undefined;
  const document = described(isWithout ? { ...change, secrets: undefined } : change);
  const size = Buffer.byteLength(JSON.stringify(document));
  if (size > MAX_CHANGE) {
    return {
      error: { code: 'too-large', message: `the account has ${size} bytes of attributes, at most ${MAX_CHANGE}` },
    };
  }
  if (change.kind !== 'user' || change.secrets === undefined || isWithout) {
    return { document, secrets: [], passwordError };
  }
  const { ntHash, kerberosKeys } = change.secrets;
  if (ntHash.length !== NT_HASH_BYTES) throw new RangeError(`an NT hash has 16 bytes, not ${ntHash.length}`);
  return { document, secrets: kerberosKeys === undefined ? [ntHash] : [ntHash, kerberosKeys], passwordError };
}

function keysError(secrets: ManagedSecrets | undefined): AppliedChange['passwordError'] {
  const length = secrets?.kerberosKeys?.length;
  if (length === undefined || (length > 0 && length <= MAX_KEYS)) return undefined;
  return { code: 'keys-too-large', message: `the Kerberos keys have ${length} bytes; expected 1 to ${MAX_KEYS}` };
}

/** A change as samba_writer reads it. */
function described(change: ManagedChange): object {
  if (change.kind === 'deleted') return { id: change.objectId, deleted: true };
  const { user, secrets } = change;
  return {
    id: user.objectId,
    samAccountNames: user.samAccountNames,
    commonNames: user.commonNames,
    userPrincipalName: user.userPrincipalName,
    displayName: user.displayName,
    givenName: user.givenName,
    sn: user.surname,
    mail: user.mail,
    enabled: user.enabled,
    neverExpires: user.passwordNeverExpires,
    sid: user.securityIdentifier,
    ...(secrets === undefined
      ? {}
      : { keys: secrets.kerberosKeys?.length ?? 0, pwdLastSet: String(secrets.changedAt) }),
  };
}
