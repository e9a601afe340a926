/** What does a worker's batches: the contract of the native addon and the fallback, and the addon's own exports. */

import type { BackendName, KernelChoice, KernelName } from './types.js';

/** One thread's synchronous work; arguments were checked by the facade. Outputs go into the caller's (shared) memory. */
export interface Backend {
  readonly name: BackendName;
  readonly kernel: KernelChoice | undefined;
  deriveBatch(ntHashes: Uint8Array, salts: Uint8Array, iterations: number, digests: Uint8Array): void;
  /**
   * Session keys are concatenated bytes with one offset more than there are keys. `envelopes` are n × 36 bytes; an
   * item whose `status` is `length` beforehand is passed over, its digest zeroed.
   */
  openAndDeriveBatch(
    sessionKeys: Uint8Array,
    sessionKeyOffsets: Uint32Array,
    envelopes: Uint8Array,
    rids: Uint32Array,
    salts: Uint8Array,
    iterations: number,
    digests: Uint8Array,
    status: Uint8Array,
  ): void;
  /**
   * Opens envelopes of any lengths (n + 1 offsets), each under the first session key whose CRC-32 matches. `rids` is null
   * for attributes without a RID layer; else the data are whole blocks of 16 bytes. Item i's data begin in `data` where its
   * envelope does in `envelopes` and have ENVELOPE_OVERHEAD bytes less; where its status is not `ok` they are zero. What
   * stands between them is left as it was. `data` overlaps none of the inputs, and is the caller's to wipe.
   */
  openBatch(
    sessionKeys: Uint8Array,
    sessionKeyOffsets: Uint32Array,
    envelopes: Uint8Array,
    envelopeOffsets: Uint32Array,
    rids: Uint32Array | null,
    data: Uint8Array,
    status: Uint8Array,
  ): void;
  /** MD4 of each item (n + 1 offsets) to n × 16 bytes. */
  md4Batch(bytes: Uint8Array, offsets: Uint32Array, digests: Uint8Array): void;
  /** PBKDF2-HMAC-SHA256 of each password (n + 1 offsets) with its salt to n × keylen bytes, keylen at least 1. */
  pbkdf2Batch(
    passwords: Uint8Array,
    passwordOffsets: Uint32Array,
    salts: Uint8Array,
    saltOffsets: Uint32Array,
    iterations: number,
    keylen: number,
    derivedKeys: Uint8Array,
  ): void;
}

/** An algorithm on one kernel, over so many messages at once. */
export interface KernelWidth {
  readonly algorithm: 'pbkdf2-sha256' | 'sha256' | 'md5' | 'md4';
  readonly kernel: KernelName;
  readonly lanes: number;
  /** Of one round of PBKDF2 or one block, in all lanes together; measured once for the process. */
  readonly nanoseconds: number;
  /** How often it was called in this process until now. */
  readonly calls: number;
}

/**
 * What `native/addon.cc` exports. All calls are synchronous; typed arrays may lie on SharedArrayBuffers.
 * Variable-length inputs are concatenated bytes with n + 1 offsets. `kernel` is a name of `lanes`, else a RangeError.
 */
export interface NativeAddon {
  kernels(): {
    /** In this binary: what is supported, then the others. */
    readonly compiled: KernelName[];
    /** Of these, what this CPU and OS run; by measurement, the one that is best at large batches first. */
    readonly supported: KernelName[];
    /** By everything that can be chosen: the lanes that large batches are worked off in. A batch of a multiple leaves none idle. */
    readonly lanes: Partial<Record<KernelChoice, number>>;
    /** All widths of the supported kernels. `auto` covers a batch with them at the least cost. */
    readonly widths: KernelWidth[];
    /** How long the first call in the process took to measure the widths. */
    readonly measurementNanoseconds: number;
    /** CPU features as found, e.g. { avx2: true, sha_ni: false }. */
    readonly cpuFeatures: Record<string, boolean>;
    readonly compiler: string;
  };
  md4Batch(kernel: KernelChoice, bytes: Uint8Array, offsets: Uint32Array, digests: Uint8Array): void;
  md5Batch(kernel: KernelChoice, bytes: Uint8Array, offsets: Uint32Array, digests: Uint8Array): void;
  hmacSha256Batch(
    kernel: KernelChoice,
    keys: Uint8Array,
    keyOffsets: Uint32Array,
    messages: Uint8Array,
    messageOffsets: Uint32Array,
    digests: Uint8Array,
  ): void;
  /** PBKDF2-HMAC-SHA256, any lengths; `derivedKeys` holds n × dkLen bytes. */
  pbkdf2Batch(
    kernel: KernelChoice,
    passwords: Uint8Array,
    passwordOffsets: Uint32Array,
    salts: Uint8Array,
    saltOffsets: Uint32Array,
    iterations: number,
    dkLen: number,
    derivedKeys: Uint8Array,
  ): void;
  /** NT hash → upper-case hex UTF-16LE → PBKDF2. */
  deriveBatch(
    kernel: KernelChoice,
    ntHashes: Uint8Array,
    salts: Uint8Array,
    iterations: number,
    digests: Uint8Array,
  ): void;
  openAndDeriveBatch(
    kernel: KernelChoice,
    sessionKeys: Uint8Array,
    sessionKeyOffsets: Uint32Array,
    envelopes: Uint8Array,
    rids: Uint32Array,
    salts: Uint8Array,
    iterations: number,
    digests: Uint8Array,
    status: Uint8Array,
  ): void;
  /** As `Backend.openBatch`. */
  openBatch(
    kernel: KernelChoice,
    sessionKeys: Uint8Array,
    sessionKeyOffsets: Uint32Array,
    envelopes: Uint8Array,
    envelopeOffsets: Uint32Array,
    rids: Uint32Array | null,
    data: Uint8Array,
    status: Uint8Array,
  ): void;
}
