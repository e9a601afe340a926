/** Writes into a Samba domain controller's own database, on that controller, through a helper with Samba's own modules. */

import type { Logger } from 'pino';
import { z } from 'zod';
import { PhsyncError } from '../../hasher/errors.js';
import type {
  ApplyOptions,
  ManagedChange,
  ManagedDomain,
  ManagedDomainWriter,
  ManagedSecrets,
  Outcome,
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
/** As in samba_writer.py. */
const MAX_KEYS = 64 * 1024;

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
    const secrets = changes.flatMap((change) => {
      const { ntHash, kerberosKeys } = secretsOf(change) ?? {};
      if (ntHash === undefined) return [];
      if (ntHash.length !== NT_HASH_BYTES) throw new RangeError(`an NT hash has 16 bytes, not ${ntHash.length}`);
      if (kerberosKeys === undefined) return [ntHash];
      if (kerberosKeys.length === 0 || kerberosKeys.length > MAX_KEYS) {
        throw new RangeError(`Kerberos keys of ${kerberosKeys.length} bytes, at most ${MAX_KEYS}`);
      }
      return [ntHash, kerberosKeys];
    });
    const { answers } = await this.#ask({ op: 'apply', dryRun, changes: changes.map(described) }, secrets, applied);
    if (answers.length !== changes.length) throw this.#odd(`${answers.length} outcomes of ${changes.length} changes`);
    return answers as readonly Outcome[];
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

const secretsOf = (change: ManagedChange): ManagedSecrets | undefined =>
  change.kind === 'user' ? change.secrets : undefined;

/** A change as samba_writer.py reads it. */
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
