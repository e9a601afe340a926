/** A private key that never leaves its PKCS #11 token: CKM_RSA_PKCS_OAEP with SHA-1 (PKCS #11 2.40, 2.1.8). */

import { constants, publicEncrypt, randomBytes, timingSafeEqual } from 'node:crypto';
import type { PKCS11 } from 'pkcs11js';
import { PhsyncError } from '../../hasher/errors.js';
import type { CertificateOfKey, PrivateKey } from './key.js';
import { busyWith, closeModule, generationOf, openModule, pkcs11, restartModule } from './pkcs11-module.js';

export interface Pkcs11Place {
  /** The token's library, e.g. `/usr/lib/softhsm/libsofthsm2.so`. */
  readonly module: string;
  /** The token's label. */
  readonly token: string;
  readonly pin: string;
}

type Handle = ReturnType<PKCS11['C_OpenSession']>;

interface Session {
  readonly handle: Handle;
  readonly key: Handle;
  /** Of the module, which another key of it may have begun anew since. */
  readonly generation: number | undefined;
}

const PROBE_BYTES = 32;
/** CK_RSA_PKCS_OAEP_SOURCE_TYPE; pkcs11js has no name for it. */
const CKZ_DATA_SPECIFIED = 1;

/** PKCS #11's own name for an error, CKR_…, and which function gave it. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { method } = error as { method?: unknown };
  return typeof method === 'string' && method !== '' ? `${error.message} (${method})` : error.message;
}

/** PKCS #11 2.40, 5.1.6, of C_Login. */
function pinWords(why: string, name: string): string {
  if (why.startsWith('CKR_PIN_LOCKED'))
    return "the PIN is locked after too many wrong ones: set it anew with the security officer's";
  if (why.startsWith('CKR_PIN_EXPIRED')) return 'the PIN has expired: set another one';
  return `the token refuses the PIN, which is not tried again: put ${name}.pin right`;
}

/**
 * Opens token and key, and proves with a value of its own that the key opens what its certificate seals.
 * @throws PhsyncError `domain-services-key-unavailable` where that does not work now, `domain-services-pkcs11`
 */
export async function openPkcs11Key(
  place: Pkcs11Place,
  certificate: CertificateOfKey,
  name: string,
): Promise<PrivateKey> {
  const key = new Pkcs11Key(place, certificate, `${name}.privateKey.pkcs11`);
  try {
    // A library that other keys have loaded already may not know a token that was made since, until it is begun anew.
    await key.open().catch((error: unknown) => {
      if (error instanceof PhsyncError && error.code === 'domain-services-key-unavailable') return key.open();
      throw error;
    });
    return key;
  } catch (error) {
    await key.close();
    throw error;
  }
}

class Pkcs11Key implements PrivateKey {
  readonly place: string;
  readonly #place: Pkcs11Place;
  readonly #certificate: CertificateOfKey;
  readonly #name: string;
  #api: PKCS11 | undefined;
  #session: Session | undefined;
  /** The last try failed: the module is begun anew for the next one. */
  #isStale = false;
  /** A token locks itself after a few wrong PINs: one refusal is enough. */
  #refusedPin: PhsyncError | undefined;
  /** One operation at a time: an active decryption belongs to its session. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(place: Pkcs11Place, certificate: CertificateOfKey, name: string) {
    this.#place = place;
    this.#certificate = certificate;
    this.#name = name;
    this.place = `token ${place.token} of ${place.module}`;
  }

  open(): Promise<void> {
    return this.#alone(async () => {
      await this.#ready();
    });
  }

  unwrap(encryptedKey: Buffer): Promise<Buffer | undefined> {
    return this.#alone(async () => {
      // A session that ended with its token (taken out, restarted) is opened once more.
      const before = this.#session && this.#isCurrent(this.#session) ? this.#session : undefined;
      const session = await this.#ready();
      try {
        return await this.#decrypt(session, encryptedKey);
      } catch (error) {
        this.#endSession();
        if (isAboutCiphertext(error)) {
          // Tokens say CKR_GENERAL_ERROR of wrong padding as of anything else: what the key can do tells the two apart.
          await this.#ready();
          return undefined;
        }
        if (before === undefined) throw this.#unavailable(error);
        const again = await this.#ready();
        return await this.#decrypt(again, encryptedKey).catch((second: unknown) => {
          this.#endSession();
          throw this.#unavailable(second);
        });
      }
    });
  }

  async close(): Promise<void> {
    await this.#alone(async () => {
      this.#endSession();
      if (this.#api !== undefined) closeModule(this.#place.module);
      this.#api = undefined;
    });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    this.#last = mine.catch(() => {});
    return mine;
  }

  #unavailable(error: unknown): PhsyncError {
    if (error instanceof PhsyncError) return error;
    const { module, token } = this.#place;
    const why = reason(error);
    const isPin = why.startsWith('CKR_PIN_');
    const words = isPin ? `${pinWords(why, this.#name)} (${why})` : why;
    const made = new PhsyncError(
      isPin ? 'config-key' : 'domain-services-key-unavailable',
      `${this.#name}: the key in the token ${token} cannot be used: ${words}`,
      { cause: error, facts: { module, token } },
    );
    if (isPin) this.#refusedPin = made;
    return made;
  }

  /** An open session whose key was proven. */
  async #ready(): Promise<Session> {
    if (this.#session !== undefined && this.#isCurrent(this.#session)) return this.#session;
    this.#session = undefined;
    if (this.#refusedPin !== undefined) throw this.#refusedPin;
    try {
      if (this.#isStale) restartModule(this.#place.module);
      this.#isStale = false;
      this.#session = this.#openSession();
      await this.#prove(this.#session);
      return this.#session;
    } catch (error) {
      this.#endSession();
      this.#isStale = true;
      throw this.#unavailable(error);
    }
  }

  #isCurrent({ generation }: Session): boolean {
    return generation === generationOf(this.#place.module);
  }

  #openSession(): Session {
    const { CKF_SERIAL_SESSION, CKU_USER, CKO_PRIVATE_KEY, CKK_RSA, CKA_CLASS, CKA_KEY_TYPE, CKA_MODULUS } = pkcs11();
    this.#api ??= openModule(this.#place.module);
    const api = this.#api;
    const label = this.#place.token;
    const slot = api.C_GetSlotList(true).find((each) => api.C_GetTokenInfo(each).label.trim() === label);
    if (slot === undefined) throw new Error(`there is no token with the label ${label}`);
    const handle = api.C_OpenSession(slot, CKF_SERIAL_SESSION);
    try {
      try {
        api.C_Login(handle, CKU_USER, this.#place.pin);
      } catch (error) {
        // Of another key of the same token: a log-on is the whole program's.
        if (!String((error as Error).message).includes('CKR_USER_ALREADY_LOGGED_IN')) throw error;
      }
      const { n = '' } = this.#certificate.publicKey.export({ format: 'jwk' });
      api.C_FindObjectsInit(handle, [
        { type: CKA_CLASS, value: CKO_PRIVATE_KEY },
        { type: CKA_KEY_TYPE, value: CKK_RSA },
        { type: CKA_MODULUS, value: Buffer.from(n, 'base64url') },
      ]);
      const [key] = api.C_FindObjects(handle, 1);
      api.C_FindObjectsFinal(handle);
      if (key === undefined) {
        throw new Error(
          `it has no private key for the certificate with the thumbprint ${this.#certificate.thumbprint}`,
        );
      }
      return { handle, key, generation: generationOf(this.#place.module) };
    } catch (error) {
      api.C_CloseSession(handle);
      throw error;
    }
  }

  async #prove(session: Session): Promise<void> {
    const value = randomBytes(PROBE_BYTES);
    const { publicKey } = this.#certificate;
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const opened = await this.#decrypt(session, publicEncrypt({ key: publicKey, padding, oaepHash: 'sha1' }, value));
    if (opened.length !== value.length || !timingSafeEqual(opened, value)) {
      throw new Error('it opens what its certificate seals to something else');
    }
  }

  async #decrypt({ handle, key }: Session, encryptedKey: Buffer): Promise<Buffer> {
    const { CKM_RSA_PKCS_OAEP, CK_PARAMS_RSA_OAEP, CKM_SHA_1, CKG_MGF1_SHA1 } = pkcs11();
    const api = this.#api!;
    const parameter = { type: CK_PARAMS_RSA_OAEP, hashAlg: CKM_SHA_1, mgf: CKG_MGF1_SHA1, source: CKZ_DATA_SPECIFIED };
    api.C_DecryptInit(handle, { mechanism: CKM_RSA_PKCS_OAEP, parameter }, key);
    // As long as the modulus: tokens ask for that much room.
    const room = Buffer.alloc(encryptedKey.length);
    try {
      return Buffer.from(await busyWith(this.#place.module, () => api.C_DecryptAsync(handle, encryptedKey, room)));
    } finally {
      room.fill(0);
    }
  }

  #endSession(): void {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined || !this.#isCurrent(session)) return;
    try {
      this.#api?.C_CloseSession(session.handle);
    } catch {
      // It ended with its token.
    }
  }
}

/** What tokens answer to a ciphertext that is none for this key, some of them with the name of anything else. */
const CIPHERTEXT = /CKR_(ENCRYPTED_DATA_INVALID|ENCRYPTED_DATA_LEN_RANGE|DATA_INVALID|GENERAL_ERROR|FUNCTION_FAILED)/;
const isAboutCiphertext = (error: unknown): boolean => CIPHERTEXT.test(reason(error));
