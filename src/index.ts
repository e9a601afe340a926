/** The drop-in library's public names, nothing else. */

export { createHasher } from './hasher/create-hasher.js';
export { formatCredential, parseCredential } from './hasher/credential.js';
export { PhsyncError, type PhsyncErrorOptions } from './hasher/errors.js';
export {
  type BackendName,
  type Credential,
  DEFAULT_ITERATIONS,
  type DeriveBatchInput,
  type DeriveBatchResult,
  type DeriveOptions,
  DIGEST_SIZE,
  ENVELOPE_SIZE,
  EnvelopeStatus,
  type EnvelopeStatusCode,
  type Hasher,
  type HasherInfo,
  type HasherOptions,
  type KernelName,
  MAX_ITERATIONS,
  MAX_SESSION_KEY_SIZE,
  MAX_SESSION_KEYS,
  NT_HASH_SIZE,
  type OpenAndDeriveBatchInput,
  type OpenAndDeriveBatchResult,
  SALT_SIZE,
} from './hasher/types.js';
