/**
 * Domain Services credentials: sealing on the agent's side and opening on the managed domain's, beside OpenSSL, by way of
 * node:crypto, doing the same operations on the same sizes and nothing else.
 */

import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { openSecrets, wipe } from '#src/domain-services/desired.js';
import type { BackendName } from '#src/hasher/types.js';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import { unwrapWith } from '#src/provisioning/ad-auth-info.js';
import type { FeedUser } from '#src/provisioning/domain-services-feed.js';
import { createLegacySealer, type SealedCredentials } from '#src/provisioning/legacy-sealer.js';
import { type LegacyInputs, legacyCertificate, legacyInputs } from '../legacy-inputs.js';
import { type Contender, nothing } from './contender.js';

const PADDING = constants.RSA_PKCS1_OAEP_PADDING;
/** ATTRTYP and length before the value. */
const TLV_HEADER_SIZE = 8;

/** Where the parts of a blob begin, by the size of the RSA key. */
const parts = (blob: Buffer, bits: number) => ({
  encryptedKey: Buffer.from(blob.subarray(52, 52 + bits / 8)).reverse(),
  iv: blob.subarray(52 + bits / 8, 68 + bits / 8),
  data: blob.subarray(68 + bits / 8),
});

function decrypt(blob: Buffer, bits: number, privateKey: KeyObject): Buffer {
  const { encryptedKey, iv, data } = parts(blob, bits);
  const aesKey = privateDecrypt({ key: privateKey, padding: PADDING }, encryptedKey);
  const decipher = createDecipheriv('aes-256-cbc', aesKey, iv);
  return Buffer.concat([decipher.update(data), decipher.final()]);
}

/** @throws Error where a blob does not hold what the user's envelope did. */
function checkBlobs(
  sealed: readonly SealedCredentials[],
  given: LegacyInputs,
  bits: number,
  privateKey: KeyObject,
): void {
  // Every 37th, since an RSA operation takes its time.
  for (let i = 0; i < given.items.length; i += 37) {
    const { legacy, supplemental } = sealed[i]!;
    const ntHash = decrypt(legacy.blob!, bits, privateKey).subarray(TLV_HEADER_SIZE);
    const keys = decrypt(supplemental.blob!, bits, privateKey).subarray(TLV_HEADER_SIZE);
    if (
      !timingSafeEqual(ntHash, given.ntHashes[i]!) ||
      Buffer.compare(keys, keepKerberosKeys(given.plain[i]!)!) !== 0
    ) {
      throw new Error(`sealing: user ${i} of ${given.items.length} is wrong`);
    }
  }
}

export async function seal(backend: BackendName, bits: number, jobs: number): Promise<Contender> {
  const given = legacyInputs(jobs);
  const { der, privateKey } = await legacyCertificate(bits);
  const sealer = createLegacySealer({ backend, threads: 1 });
  let sealed: readonly SealedCredentials[] = [];
  return {
    jobs,
    runAsync: async () => {
      sealed = await sealer.seal({
        certificate: der,
        ntlm: true,
        sessionKeys: [given.sessionKey],
        items: given.items,
      });
    },
    check: () => checkBlobs(sealed, given, bits, privateKey),
    close: () => sealer.close(),
  };
}

/** For each user one RSA-OAEP and two AES-256-CBC, of payloads that are there already. */
export async function sealByOpenssl(bits: number, jobs: number): Promise<Contender> {
  const given = legacyInputs(jobs);
  const { publicKey, privateKey } = await legacyCertificate(bits);
  const payloads = given.plain.map((plain, i) => [given.ntHashes[i]!, keepKerberosKeys(plain)!].map(payload));
  const encrypt = (aesKey: Buffer, iv: Buffer, data: Buffer): Buffer => {
    const cipher = createCipheriv('aes-256-cbc', aesKey, iv);
    return Buffer.concat([cipher.update(data), cipher.final()]);
  };
  let last: { encryptedKey: Buffer; iv: Buffer; data: Buffer } | undefined;
  return {
    jobs,
    run() {
      for (const [legacy, supplemental] of payloads) {
        const aesKey = randomBytes(32);
        const encryptedKey = publicEncrypt({ key: publicKey, padding: PADDING }, aesKey);
        encrypt(aesKey, randomBytes(16), legacy!);
        const iv = randomBytes(16);
        last = { encryptedKey, iv, data: encrypt(aesKey, iv, supplemental!) };
      }
    },
    check() {
      const { encryptedKey, iv, data } = last!;
      const decipher = createDecipheriv(
        'aes-256-cbc',
        privateDecrypt({ key: privateKey, padding: PADDING }, encryptedKey),
        iv,
      );
      const found = Buffer.concat([decipher.update(data), decipher.final()]);
      if (!found.equals(payloads.at(-1)![1]!)) throw new Error('OpenSSL: the last user is wrong');
    },
    close: nothing,
  };
}

/** A value as long as its payload is; ATTRTYP and length are left zero. */
const payload = (value: Uint8Array): Buffer => Buffer.concat([new Uint8Array(TLV_HEADER_SIZE), value]);

async function sealedUsers(bits: number, jobs: number) {
  const given = legacyInputs(jobs);
  const { der, privateKey } = await legacyCertificate(bits);
  const sealer = createLegacySealer({ threads: 1 });
  const { sessionKey, items } = given;
  const sealed = await sealer.seal({ certificate: der, ntlm: true, sessionKeys: [sessionKey], items });
  await sealer.close();
  return { given, privateKey, sealed };
}

/** A user of the feed. */
const userOf = ({ legacy, supplemental }: SealedCredentials, i: number): FeedUser => ({
  id: `${i}`,
  userPrincipalName: `user${i}@example.com`,
  displayName: null,
  givenName: null,
  surname: null,
  mail: null,
  mailNickname: `user${i}`,
  accountEnabled: true,
  passwordPolicies: null,
  onPremisesSamAccountName: null,
  onPremisesSecurityIdentifier: null,
  onPremisesDomainName: null,
  onPremisesNetBiosName: null,
  credentials: {
    changeDate: '2026-01-01T00:00:00Z',
    windowsLegacyCredentials: legacy.blob!.toString('base64'),
    windowsSupplementalCredentials: supplemental.blob!.toString('base64'),
  },
});

/** From the feed's base64 to NT hash and Kerberos keys, as the managed side does it. */
export async function open(bits: number, jobs: number): Promise<Contender> {
  const { given, privateKey, sealed } = await sealedUsers(bits, jobs);
  const users = sealed.map(userOf);
  let right = 0;
  return {
    jobs,
    runAsync: async () => {
      right = 0;
      for (const [i, user] of users.entries()) {
        const secrets = await openSecrets(user, async (_, encryptedKey) => unwrapWith(privateKey, encryptedKey));
        if (secrets?.kerberosKeys !== undefined && timingSafeEqual(secrets.ntHash, given.ntHashes[i]!)) right++;
        wipe(secrets);
      }
    },
    check() {
      if (right !== jobs) throw new Error(`opening: ${jobs - right} of ${jobs} users are wrong`);
    },
    close: nothing,
  };
}

/** For each user one RSA-OAEP and two AES-256-CBC, of parts that are cut out already. */
export async function openByOpenssl(bits: number, jobs: number): Promise<Contender> {
  const { given, privateKey, sealed } = await sealedUsers(bits, jobs);
  const users = sealed.map((user) => [user.legacy, user.supplemental].map(({ blob }) => parts(blob!, bits)));
  let last: Buffer | undefined;
  return {
    jobs,
    run() {
      for (const [legacy, supplemental] of users) {
        const aesKey = privateDecrypt({ key: privateKey, padding: PADDING }, legacy!.encryptedKey);
        for (const { iv, data } of [supplemental!, legacy!]) {
          const decipher = createDecipheriv('aes-256-cbc', aesKey, iv);
          last = Buffer.concat([decipher.update(data), decipher.final()]);
        }
      }
    },
    check() {
      if (!timingSafeEqual(last!.subarray(TLV_HEADER_SIZE), given.ntHashes.at(-1)!)) {
        throw new Error('OpenSSL: the last user is wrong');
      }
    },
    close: nothing,
  };
}
