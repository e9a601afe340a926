/**
 * WindowsLegacyCredentials and WindowsSupplementalCredentials for Domain Services, on worker threads: what a domain
 * controller replicates goes in encrypted, ADAuthInfo blobs come out, and neither an NT hash nor a Kerberos key is ever
 * seen by the main thread.
 */

import {
  checkBoolean,
  checkInteger,
  checkObject,
  checkSessionKeys,
  checkSignal,
  checkUint8Array,
  kindOf,
} from '../hasher/arguments.js';
import { type Batch, type Engine, runBatch } from '../hasher/batches.js';
import { checkFips } from '../hasher/fips.js';
import { joinBytes, layItems, sizeOfItems } from '../hasher/flat-items.js';
import { closedError } from '../hasher/owner.js';
import { Pool, type Workshop } from '../hasher/pool.js';
import { checkPoolOptions } from '../hasher/pool-options.js';
import { Scheduler } from '../hasher/scheduler.js';
import { selectBackend } from '../hasher/select-backend.js';
import { regionSize } from '../hasher/shared-memory.js';
import type { Cancellable, HasherInfo, HasherLoad, HasherOptions } from '../hasher/types.js';
import { recipientOf } from './ad-auth-info.js';
import type { LegacySlice } from './legacy-worker.js';
import { FieldStatus, legacyAt, legacySize, rsaSizeOf, supplementalAt, supplementalRoom } from './seal-slice.js';

const WORKSHOP: Workshop = { owner: 'sealer', worker: ['provisioning', 'legacy-worker.js'] };
/** A user takes as long as so many iterations of PBKDF2 on the fallback, some 70 µs: 100 users a slice. */
const USER_ITERATIONS = 640;
const MAX_RID = 2 ** 32 - 1;

/** One user, as a domain controller replicates him. */
export interface SealItem {
  /** ENCRYPTED_PAYLOAD of unicodePwd, 36 bytes; not looked at where `ntlm` is false. */
  readonly unicodePwd?: Uint8Array | undefined;
  /** The last sub-authority of objectSid, which unicodePwd is encrypted with, too. */
  readonly rid: number;
  /** ENCRYPTED_PAYLOAD of supplementalCredentials. */
  readonly supplementalCredentials?: Uint8Array | undefined;
}

export interface SealBatch extends Cancellable {
  /** The tenant's Domain Services certificate: DER, or PEM. RSA-2048 and larger. */
  readonly certificate: Uint8Array;
  /** False (SyncNtlmPasswords off): every user gets 16 random bytes in place of the NT hash, which is not even opened. */
  readonly ntlm: boolean;
  /** Every DRS session key seen, newest first; 1 to 64 keys of 1 to 64 bytes. Each is tried until the CRC-32 matches. */
  readonly sessionKeys: readonly Uint8Array[];
  readonly items: readonly SealItem[];
}

/**
 * What became of one field. `sealed`: the blob is there. `absent`: there was no envelope. `length`, `checksum`, `rid`: the
 * envelope was not opened, as in `EnvelopeStatus`. `malformed`: what was in it is no supplementalCredentials.
 * `no-kerberos-keys`: it has none, as an account's whose password is older than the domain's functional level 2008.
 */
export type SealStatus = 'sealed' | 'absent' | 'length' | 'checksum' | 'rid' | 'malformed' | 'no-kerberos-keys';

/** A blob, or why there is none. */
export interface SealedField {
  readonly status: SealStatus;
  /** ADAuthInfo, where the status is `sealed`. */
  readonly blob: Buffer | undefined;
}

/** One user's two fields; both blobs are under one AES key. */
export interface SealedCredentials {
  /** WindowsLegacyCredentials: the NT hash, or the random bytes in its place. */
  readonly legacy: SealedField;
  /** WindowsSupplementalCredentials: the Kerberos keys. */
  readonly supplemental: SealedField;
}

const STATUS: Readonly<Record<number, SealStatus>> = {
  [FieldStatus.ok]: 'sealed',
  [FieldStatus.length]: 'length',
  [FieldStatus.checksum]: 'checksum',
  [FieldStatus.rid]: 'rid',
  [FieldStatus.absent]: 'absent',
  [FieldStatus.malformed]: 'malformed',
  [FieldStatus.noKerberosKeys]: 'no-kerberos-keys',
};

/** Takes batches of users side by side; its threads start as work comes and end when idle. */
export interface LegacySealer {
  /** Backend, kernel and threads; it never changes. */
  readonly info: HasherInfo;
  readonly load: HasherLoad;
  /**
   * One result an item, in their order; an item that fails fails alone, and so does each of its fields.
   *
   * @throws {TypeError} {RangeError} for an argument of the wrong kind or value; {PhsyncError} `ad-auth-info-certificate`,
   *   `config-fips`, `sealer-busy`, `sealer-closed`, `sealer-worker`, `hasher-native`; the signal's reason. All arrive as
   *   rejections.
   * @example
   * const [user] = await sealer.seal({ certificate, ntlm: true, sessionKeys, items: [{ unicodePwd, rid, supplementalCredentials }] });
   * user.legacy; // { status: 'sealed', blob: <Buffer 01 00 00 00 …> }
   * user.supplemental; // { status: 'no-kerberos-keys', blob: undefined }
   */
  seal(batch: SealBatch): Promise<SealedCredentials[]>;
  /** Ends the workers. Calls after it, and calls it cuts off, reject with a PhsyncError `sealer-closed`. */
  close(): Promise<void>;
}

function checkBatch(batch: SealBatch): void {
  checkObject('batch', batch, ['certificate', 'ntlm', 'sessionKeys', 'items', 'signal']);
  checkUint8Array('certificate', batch.certificate);
  checkBoolean('ntlm', batch.ntlm);
  checkSessionKeys(batch.sessionKeys);
  const { items, signal } = batch;
  if (!Array.isArray(items)) throw new TypeError(`items: expected an array, got ${kindOf(items)}`);
  for (const [i, item] of (items as readonly SealItem[]).entries()) {
    checkObject(`items[${i}]`, item, ['unicodePwd', 'rid', 'supplementalCredentials']);
    const { unicodePwd, rid, supplementalCredentials } = item;
    if (unicodePwd !== undefined) checkUint8Array(`items[${i}].unicodePwd`, unicodePwd);
    checkInteger(`items[${i}].rid`, rid, 0, MAX_RID);
    if (supplementalCredentials !== undefined) {
      checkUint8Array(`items[${i}].supplementalCredentials`, supplementalCredentials);
    }
  }
  if (signal !== undefined) checkSignal('signal', signal);
}

/** The statuses that the workers begin with. */
const missing = (envelopes: readonly (Uint8Array | undefined)[]): Uint8Array =>
  Uint8Array.from(envelopes, (envelope) => (envelope === undefined ? FieldStatus.absent : FieldStatus.ok));

function field(code: number, blob: () => Buffer): SealedField {
  const status = STATUS[code]!;
  return { status, blob: status === 'sealed' ? blob() : undefined };
}

class PooledSealer implements LegacySealer {
  readonly info: HasherInfo;
  readonly #engine: Engine;
  readonly #allowMd5InFips: boolean | undefined;

  constructor(options: HasherOptions) {
    const { threads, idleTimeout, maxQueue, allowMd5InFips } = checkPoolOptions(options);
    const { info, choice } = selectBackend(options);
    this.info = { ...info, threads };
    this.#allowMd5InFips = allowMd5InFips;
    const scheduler = new Scheduler(new Pool(WORKSHOP, threads, idleTimeout), maxQueue);
    this.#engine = { scheduler, kernel: choice, lanes: 1 };
  }

  get load(): HasherLoad {
    const { waiting, running } = this.#engine.scheduler;
    return { waiting, running };
  }

  // Async so that every error, of arguments too, arrives as a rejection.
  async seal(input: SealBatch): Promise<SealedCredentials[]> {
    checkBatch(input);
    const recipient = recipientOf(input.certificate);
    checkFips('opening a replicated password', 'MD5 and RC4', this.#allowMd5InFips);
    if (this.#engine.scheduler.closed) throw closedError('sealer');
    input.signal?.throwIfAborted();
    return run(this.#engine, input, rsaSizeOf(recipient));
  }

  close(): Promise<void> {
    return this.#engine.scheduler.close();
  }
}

async function run(engine: Engine, input: SealBatch, rsaSize: number): Promise<SealedCredentials[]> {
  const { ntlm, items, signal } = input;
  const certificate = Uint8Array.from(input.certificate);
  const hashEnvelopes = items.map(({ unicodePwd }) => (ntlm ? unicodePwd : undefined));
  const keyEnvelopes = items.map(({ supplementalCredentials }) => supplementalCredentials);
  const legacyStatus = missing(hashEnvelopes);
  const supplementalStatus = missing(keyEnvelopes);
  const rids = Uint32Array.from(items, ({ rid }) => rid);
  const sessionKeys = joinBytes(input.sessionKeys);
  const unicodePwd = joinBytes(hashEnvelopes);
  const supplementalCredentials = joinBytes(keyEnvelopes);
  const room = supplementalRoom(rsaSize);
  const keySize = sessionKeys.bytes.length + sessionKeys.offsets.byteLength;
  const itemSize = rids.BYTES_PER_ELEMENT + 2 + legacySize(rsaSize) + room + Uint32Array.BYTES_PER_ELEMENT;
  const sealed: SealedCredentials[] = [];
  const batch: Batch<LegacySlice> = {
    jobs: items.length,
    iterations: USER_ITERATIONS,
    size: (from, to) => {
      const envelopes = sizeOfItems(unicodePwd, from, to) + 2 * sizeOfItems(supplementalCredentials, from, to);
      return regionSize(keySize + envelopes + (to - from) * itemSize, 12);
    },
    lay: (from, to, memory) => ({
      kernel: engine.kernel,
      certificate,
      ntlm,
      sessionKeys: memory.copy(sessionKeys.bytes),
      sessionKeyOffsets: memory.copyWords(sessionKeys.offsets),
      rids: memory.copyWords(rids.subarray(from, to)),
      unicodePwd: layItems(unicodePwd, from, to, memory),
      supplementalCredentials: layItems(supplementalCredentials, from, to, memory),
      legacyStatus: memory.copy(legacyStatus.subarray(from, to)),
      supplementalStatus: memory.copy(supplementalStatus.subarray(from, to)),
      legacy: memory.bytes((to - from) * legacySize(rsaSize)),
      supplemental: memory.bytes(
        (to - from) * room + supplementalCredentials.offsets[to]! - supplementalCredentials.offsets[from]!,
      ),
      supplementalSizes: memory.words(to - from),
    }),
    take(from, to, slice) {
      for (let i = 0; i < to - from; i++) sealed[from + i] = takeOne(slice, rsaSize, i);
    },
    wipe() {
      for (const { bytes } of [sessionKeys, unicodePwd, supplementalCredentials]) bytes.fill(0);
    },
  };
  await runBatch(engine, batch, signal);
  return sealed;
}

/** Copies: the slice's memory is used again. */
function takeOne(slice: LegacySlice, rsaSize: number, i: number): SealedCredentials {
  const { legacy, legacyStatus, supplemental, supplementalStatus, supplementalSizes } = slice;
  const copy = (bytes: Uint8Array, at: number, size: number): Buffer => Buffer.from(bytes.subarray(at, at + size));
  return {
    legacy: field(legacyStatus[i]!, () => copy(legacy, legacyAt(rsaSize, i), legacySize(rsaSize))),
    supplemental: field(supplementalStatus[i]!, () =>
      copy(supplemental, supplementalAt(rsaSize, i, slice.supplementalCredentials.offsets), supplementalSizes[i]!),
    ),
  };
}

/**
 * Makes a sealer, with the options of `createHasher`. Its threads start as work comes, end when idle and do not keep the
 * process alive; `close` ends them.
 *
 * @throws {PhsyncError} `config-backend` or `config-kernel`: a name that is unknown or cannot run here.
 * @throws {TypeError} {RangeError} for an option of the wrong kind or value.
 */
export function createLegacySealer(options: HasherOptions = {}): LegacySealer {
  checkObject('options', options, ['backend', 'kernel', 'threads', 'idleTimeout', 'maxQueue', 'allowMd5InFips']);
  return new PooledSealer(options);
}
