/** The hasher's vocabulary: shapes, sizes and the backend interface that native and fallback both implement. */

/** Bytes of an NT hash: MD4 of the UTF-16LE password (MS-NLMP, NTOWFv1). */
export const NT_HASH_SIZE = 16;
/** Bytes of an OrgId salt. */
export const SALT_SIZE = 10;
/** Bytes of an OrgId digest: one SHA-256 block of PBKDF2 output. */
export const DIGEST_SIZE = 32;
/** Bytes of the ENCRYPTED_PAYLOAD of unicodePwd: 16 salt, then RC4 over 4 CRC-32 and 16 data (MS-DRSR 4.1.10.6.13). */
export const ENVELOPE_SIZE = 36;
/** Bytes of an ENCRYPTED_PAYLOAD around its data: 16 salt and 4 CRC-32. */
export const ENVELOPE_OVERHEAD = 20;
/** Iterations of PBKDF2-HMAC-SHA256 that Entra uses. */
export const DEFAULT_ITERATIONS = 1000;
/** Largest iteration count that is accepted anywhere: six digits, as in hashcat's mode 12800. */
export const MAX_ITERATIONS = 999_999;
/** Longest DRS session key in bytes (Kerberos AES-256 gives 32, NTLM 16). */
export const MAX_SESSION_KEY_SIZE = 64;
/** How many session keys one batch may carry. */
export const MAX_SESSION_KEYS = 64;
/**
 * Most iterations × blocks (of 32 bytes) of one derived key of a `pbkdf2Batch`: less than a minute of one thread on the
 * fallback. One item is one call in a worker, which nothing can interrupt.
 */
export const MAX_PBKDF2_WORK = 2 ** 26;
/** Most bytes of a `pbkdf2Batch`'s derived keys together. */
export const MAX_PBKDF2_BYTES = 2 ** 30;

/** `native`: the C++ addon. `fallback`: JavaScript and node:crypto, which give the same bytes and errors. */
export type BackendName = 'native' | 'fallback';
/** Kernels in the order of the CPU features that they need. A name that is not compiled in is an error, not a stub. */
export type KernelName = 'portable' | 'sse41' | 'avx2' | 'avx512' | 'shani' | 'neon' | 'armsha2';
/**
 * What the addon is told: one kernel; or `auto`, by the number of jobs the cheapest of all that run here; or one width
 * of one kernel, as `avx2:8`, for tests and measurements.
 */
export type KernelChoice = KernelName | 'auto' | `${KernelName}:${number}`;

/** What `createHasher` may be told. */
export interface HasherOptions {
  /** `auto` takes native where it loads. Default: the environment's PHSYNC_BACKEND, then `auto`. */
  readonly backend?: 'auto' | BackendName;
  /** Forces a kernel by name. Default: PHSYNC_KERNEL, then the best one. */
  readonly kernel?: KernelName;
  /** Worker threads at most; they start as work comes. Default: `availableParallelism()`. */
  readonly threads?: number;
  /**
   * Milliseconds after which a worker thread without work ends; work that comes starts one anew, which takes some 40 ms.
   * Infinity keeps them. Default: one minute.
   */
  readonly idleTimeout?: number;
  /**
   * Calls that may wait for a worker, a batch counting as one until its last slice is at work; a call more is refused
   * with a PhsyncError `hasher-busy`. Default: 65536.
   */
  readonly maxQueue?: number;
  /**
   * Where Node runs in FIPS mode: whether MD4 (of a password), MD5 and RC4 (of an envelope) may be used all the same.
   * Default: no; what needs them is then refused with a PhsyncError `config-fips`.
   */
  readonly allowMd5InFips?: boolean;
}

/** What a hasher has to do at this moment. */
export interface HasherLoad {
  /** Calls that wait for a worker, with a part at least; `maxQueue` limits them. */
  readonly waiting: number;
  /** Slices that the workers hold: what they work on and what comes next. */
  readonly running: number;
}

/** What a hasher works with. */
export interface HasherInfo {
  /** The backend in use. */
  readonly backend: BackendName;
  /** The kernel in use; `fallback` has none. */
  readonly kernel: KernelName | undefined;
  /** Every kernel that this build has and this CPU (and its OS) can run, best first. */
  readonly kernels: readonly KernelName[];
  /** Worker threads at most. */
  readonly threads: number;
  /** Why native is off, when it is: the load error's text. */
  readonly whyNotNative: string | undefined;
}

/** What became of one envelope. */
export const EnvelopeStatus = {
  /** It was opened: digest and salt are there. */
  ok: 0,
  /** The envelope is not as long as one has to be: 36 bytes with an NT hash in it. */
  length: 1,
  /** No session key opens it: the CRC-32 never matched. */
  checksum: 2,
  /** RID 0 cannot key the DES layer. */
  rid: 3,
} as const;
/** A value of `EnvelopeStatus`. */
export type EnvelopeStatusCode = (typeof EnvelopeStatus)[keyof typeof EnvelopeStatus];

/** A call that can be given up. */
export interface Cancellable {
  /**
   * Gives the call up: it rejects at once with the signal's reason. What waits is dropped; what a worker has by then
   * comes to its end unseen, and is wiped.
   */
  readonly signal?: AbortSignal;
}

/** NT hashes to derive from. */
export interface DeriveBatchInput extends Cancellable {
  /** n × 16 bytes. */
  readonly ntHashes: Uint8Array;
  /** n × 10 bytes; random (CSPRNG) where left out. */
  readonly salts?: Uint8Array;
  /** Default 1000. */
  readonly iterations?: number;
}

/** The parts of n credentials. */
export interface DeriveBatchResult {
  /** n × 32 bytes. */
  readonly digests: Uint8Array;
  /** n × 10 bytes: the salts given, or those drawn. */
  readonly salts: Uint8Array;
  /** Of all items. */
  readonly iterations: number;
}

/** Passwords as a domain controller replicates them, and the keys that they are encrypted with. */
export interface OpenAndDeriveBatchInput extends Cancellable {
  /** Every DRS session key seen, newest first; 1 to 64 keys of 1 to 64 bytes. Each is tried until the CRC-32 matches. */
  readonly sessionKeys: readonly Uint8Array[];
  /** n × 36 bytes flat, or one array an item (an item of another length fails alone, with status `length`). */
  readonly envelopes: Uint8Array | readonly Uint8Array[];
  /** n RIDs: the last sub-authority of each objectSid. */
  readonly rids: Uint32Array;
  /** n × 10 bytes; random (CSPRNG) where left out. */
  readonly salts?: Uint8Array;
  /** Default 1000. */
  readonly iterations?: number;
}

/** The parts of n credentials, and which of them are some. */
export interface OpenAndDeriveBatchResult extends DeriveBatchResult {
  /** n status codes; where not `ok`, the item's digest and salt are zero. */
  readonly status: Uint8Array;
}

/** n byte strings of any lengths as one: the i-th is `bytes.subarray(offsets[i], offsets[i + 1])`. */
export interface FlatItems {
  /** The items one after another. */
  readonly bytes: Uint8Array;
  /** n + 1 offsets that do not descend. */
  readonly offsets: Uint32Array;
}

/** Passwords to derive keys from. */
export interface Pbkdf2BatchInput extends Cancellable {
  /** n passwords of any lengths; a string stands for its UTF-8 bytes. */
  readonly passwords: readonly (string | Uint8Array)[] | FlatItems;
  /** n salts of any lengths, one a password. */
  readonly salts: readonly (string | Uint8Array)[] | FlatItems;
  /** The same for all items; iterations × ceil(keylen / 32) is at most MAX_PBKDF2_WORK. */
  readonly iterations: number;
  /** Bytes of each derived key. */
  readonly keylen: number;
}

/** The parts of `v1;PPH1_MD4,<salt>,<iterations>,<hash>;`. */
export interface Credential {
  /** 10 bytes. */
  readonly salt: Uint8Array;
  /** 1 to MAX_ITERATIONS. */
  readonly iterations: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** What `derive` may be told. */
export interface DeriveOptions extends Cancellable {
  /** 10 bytes; random (CSPRNG) where left out. */
  readonly salt?: Uint8Array;
  /** Default 1000. */
  readonly iterations?: number;
}

/** What `verify` may be told. */
export interface VerifyOptions extends Cancellable {}

/**
 * Calls share threads and lanes by themselves and take turns, slice by slice: a long batch holds nobody up, and single
 * calls made at about the same time are hashed side by side.
 *
 * Beside the errors of their arguments, calls reject with a PhsyncError: `hasher-busy` where the queue is full,
 * `hasher-closed` after and by `close`, `hasher-worker` where threads died over a slice again and again, `hasher-files`
 * where a bundled program has no phsync installed beside it.
 */
export interface Hasher {
  /** Backend, kernel and threads; it never changes. */
  readonly info: HasherInfo;
  /** What there is to do at this moment. */
  readonly load: HasherLoad;
  /**
   * The OrgId digests of many NT hashes, on all threads.
   *
   * @throws {TypeError} {RangeError} for an argument of the wrong kind or value; {PhsyncError} `hasher-busy`,
   *   `hasher-closed`, `hasher-worker`, `hasher-files`; the signal's reason. All arrive as rejections.
   * @example
   * const ntHashes = await hasher.ntHashBatch(['Pa$$w0rd', 'another']);
   * const { digests, salts, iterations } = await hasher.deriveBatch({ ntHashes });
   * digests.length; // 64
   * salts.length; // 20
   * iterations; // 1000
   */
  deriveBatch(input: DeriveBatchInput): Promise<DeriveBatchResult>;
  /**
   * Opens DRS envelopes and derives in one go; the NT hash never becomes a JS value on the native backend. An envelope that
   * cannot be opened fails alone, by its status.
   *
   * @throws As `deriveBatch` does, and {PhsyncError} `config-fips` in FIPS mode.
   * @example
   * const { status } = await hasher.openAndDeriveBatch({
   *   sessionKeys: [new Uint8Array(16)],
   *   envelopes: [new Uint8Array(36), new Uint8Array(35)],
   *   rids: Uint32Array.of(1104, 1105),
   * });
   * status; // Uint8Array(2) [ 2, 1 ]
   * EnvelopeStatus; // { ok: 0, length: 1, checksum: 2, rid: 3 }
   */
  openAndDeriveBatch(input: OpenAndDeriveBatchInput): Promise<OpenAndDeriveBatchResult>;
  /**
   * The OrgId credential of one NT hash. Calls made at about the same time share lanes.
   *
   * @throws As `deriveBatch` does.
   * @example
   * const salt = new Uint8Array(Buffer.from('317ee9d1dec6508fa510', 'hex'));
   * const credential = await hasher.derive(hasher.ntHash('Pa$$w0rd'), { salt });
   * formatCredential(credential).slice(0, 44); // 'v1;PPH1_MD4,317ee9d1dec6508fa510,1000,7eaea8'
   */
  derive(ntHash: Uint8Array, options?: DeriveOptions): Promise<Credential>;
  /**
   * Constant-time check of a password (string) or NT hash (16 bytes) against a credential (text or parsed).
   *
   * @throws As `deriveBatch` does; {PhsyncError} `bad-credential` for a text that is none; `config-fips` for a password in
   *   FIPS mode.
   * @example
   * const text = 'v1;PPH1_MD4,317ee9d1dec6508fa510,1000,7eaea8e1628dffee62cf319f4e1fc05254da30a1d42ff755ff352f5b13497531;';
   * await hasher.verify(text, 'Pa$$w0rd'); // true
   * await hasher.verify(text, 'password'); // false
   */
  verify(credential: string | Credential, secret: string | Uint8Array, options?: VerifyOptions): Promise<boolean>;
  /**
   * MD4 of the UTF-16LE password. The caller owns (and wipes) the 16 bytes.
   *
   * @throws {TypeError} for what is no string; {PhsyncError} `config-fips` in FIPS mode.
   * @example
   * Buffer.from(hasher.ntHash('Pa$$w0rd')).toString('hex'); // '92937945b518814341de3f726500d4ff'
   */
  ntHash(password: string): Uint8Array;
  /**
   * MD4 of many UTF-16LE passwords: strings, or their bytes (each item an even number of them). Returns n × 16 bytes,
   * the caller's own.
   *
   * @example
   * const hashes = await hasher.ntHashBatch(['Password', 'Pa$$w0rd']);
   * Buffer.from(hashes.subarray(0, 16)).toString('hex'); // 'a4f49c406510bdcab6824ee7c30fd852'
   */
  ntHashBatch(passwords: readonly string[] | FlatItems, options?: Cancellable): Promise<Uint8Array>;

  /**
   * PBKDF2-HMAC-SHA256 (RFC 8018, 5.2) of many passwords, each with its salt. Returns n × keylen bytes, the caller's own.
   *
   * @throws {TypeError} {RangeError} for an argument of the wrong kind or value.
   * @example
   * const keys = await hasher.pbkdf2Batch({
   *   passwords: ['password', 'passwd'],
   *   salts: ['salt', 'NaCl'],
   *   iterations: 2,
   *   keylen: 32,
   * });
   * Buffer.from(keys.subarray(0, 4)).toString('hex'); // 'ae4d0c95'
   */
  pbkdf2Batch(input: Pbkdf2BatchInput): Promise<Uint8Array>;
  /**
   * PBKDF2-HMAC-SHA256 of one password: `keylen` bytes, the caller's own. Calls of equal `iterations` and `keylen` made at
   * about the same time are worked off side by side. A string stands for its UTF-8 bytes; `iterations` ×
   * ceil(`keylen` / 32) is at most MAX_PBKDF2_WORK.
   *
   * @example
   * const key = await hasher.pbkdf2('password', 'salt', 2, 32);
   * Buffer.from(key.subarray(0, 4)).toString('hex'); // 'ae4d0c95'
   */
  pbkdf2(
    password: string | Uint8Array,
    salt: string | Uint8Array,
    iterations: number,
    keylen: number,
    options?: Cancellable,
  ): Promise<Uint8Array>;
  /**
   * Ends the workers. Calls after it, and calls it cuts off, reject with a PhsyncError `hasher-closed`.
   *
   * @example
   * await hasher.close();
   * await hasher.ntHashBatch(['password']).catch((error) => error.code); // 'hasher-closed'
   */
  close(): Promise<void>;
}
