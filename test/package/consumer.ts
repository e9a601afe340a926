/** A user's program in types, with every public name in it: compiled by the tests as a project of its own, never run. */

import type * as crypto from 'node:crypto';
import {
  type BackendName,
  type Cancellable,
  type Credential,
  createHasher,
  DEFAULT_ITERATIONS,
  type DeriveBatchInput,
  type DeriveBatchResult,
  type DerivedKey,
  type DeriveOptions,
  DIGEST_SIZE,
  ENVELOPE_SIZE,
  EnvelopeStatus,
  type EnvelopeStatusCode,
  type FlatItems,
  formatCredential,
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
  type Pbkdf2Bytes,
  type Pbkdf2Callback,
  PhsyncError,
  type PhsyncErrorOptions,
  parseCredential,
  pbkdf2,
  pbkdf2Batch,
  pbkdf2Sync,
  SALT_SIZE,
  type VerifyOptions,
} from 'phsync';

const kernel: KernelName = 'avx2';
const options: HasherOptions = { backend: 'auto', kernel, threads: 2 };
const hasher: Hasher = createHasher(options);
const info: HasherInfo = hasher.info;
const backend: BackendName = info.backend;
const load: HasherLoad = hasher.load;

const { signal } = new AbortController();
const cancellable: Cancellable = { signal };
const deriveOptions: DeriveOptions = {
  ...cancellable,
  salt: new Uint8Array(SALT_SIZE),
  iterations: DEFAULT_ITERATIONS,
};
const verifyOptions: VerifyOptions = cancellable;

const input: DeriveBatchInput = { ntHashes: new Uint8Array(2 * NT_HASH_SIZE), iterations: MAX_ITERATIONS };
const envelopes: OpenAndDeriveBatchInput = {
  sessionKeys: [new Uint8Array(MAX_SESSION_KEY_SIZE)],
  envelopes: Buffer.alloc(ENVELOPE_SIZE),
  rids: Uint32Array.of(1104),
};
const passwords: FlatItems = { bytes: new Uint8Array(8), offsets: Uint32Array.of(0, 4, 8) };
const batch: Pbkdf2BatchInput = { passwords, salts: ['a', Buffer.from('b')], iterations: 1, keylen: 32 };

export async function main(): Promise<string> {
  const derived: DeriveBatchResult = await hasher.deriveBatch(input);
  const opened: OpenAndDeriveBatchResult = await hasher.openAndDeriveBatch(envelopes);
  const first = opened.status[0] as EnvelopeStatusCode;
  const word: 'opened' | 'not' = first === EnvelopeStatus.ok ? 'opened' : 'not';
  const keys: Uint8Array = await hasher.pbkdf2Batch(batch);
  const ntHashes: Uint8Array = await hasher.ntHashBatch(['password']);
  const credential: Credential = await hasher.derive(hasher.ntHash('password'), deriveOptions);
  const parsed: Credential = parseCredential(formatCredential(credential));
  const verified: boolean = await hasher.verify(parsed, 'password', verifyOptions);
  const salt: Pbkdf2Bytes = new DataView(new ArrayBuffer(8));
  const done: Pbkdf2Callback = (error, key) => console.log(error?.message ?? key.toString('hex'));
  pbkdf2('password', salt, 1000, 32, 'sha256', done);
  const key: Buffer = await pbkdf2('password', salt, 1000, 32, 'sha256');
  const dropIn: typeof crypto.pbkdf2Sync = pbkdf2Sync;
  const derivedKey: DerivedKey = dropIn('password', salt, 1000, 32, 'sha256');
  const same: boolean = derivedKey.equals(key) && pbkdf2Sync('password', salt, 1000, 32, 'sha256').equals(key);
  const again: Uint8Array = await pbkdf2Batch(batch);
  await hasher.close();
  const numbers: number[] = [DIGEST_SIZE, MAX_PBKDF2_BYTES, MAX_PBKDF2_WORK, MAX_SESSION_KEYS, load.waiting];
  return `${backend} ${derived.digests.length} ${keys.length} ${ntHashes.length} ${verified} ${word} ${numbers} ${same} ${again.length}`;
}

const errorOptions: PhsyncErrorOptions = { facts: { name: 'value' } };
export const code: string = new PhsyncError('bad-credential', 'text', errorOptions).code;
