/** The drop-in library's public names, nothing else. */

export { createHasher } from './hasher/create-hasher.js';
export { formatCredential, parseCredential } from './hasher/credential.js';
export { PhsyncError, type PhsyncErrorOptions } from './hasher/errors.js';
export {
  type DerivedKey,
  type Pbkdf2Bytes,
  type Pbkdf2Callback,
  pbkdf2,
  pbkdf2Batch,
  pbkdf2Sync,
} from './hasher/pbkdf2.js';
export {
  type BackendName,
  type Cancellable,
  type Credential,
  DEFAULT_ITERATIONS,
  type DeriveBatchInput,
  type DeriveBatchResult,
  type DeriveOptions,
  DIGEST_SIZE,
  ENVELOPE_SIZE,
  EnvelopeStatus,
  type EnvelopeStatusCode,
  type FlatItems,
  type Hasher,
  type HasherInfo,
  type HasherLoad,
  type HasherOptions,
  type KernelName,
  MAX_ITERATIONS,
  MAX_PBKDF2_BYTES,
  MAX_PBKDF2_WORK,
  MAX_SESSION_KEY_SIZE,
  MAX_SESSION_KEYS,
  NT_HASH_SIZE,
  type OpenAndDeriveBatchInput,
  type OpenAndDeriveBatchResult,
  type Pbkdf2BatchInput,
  SALT_SIZE,
  type VerifyOptions,
} from './hasher/types.js';
