/** What a domain controller replicates of users for Domain Services, and the certificate that it is sealed for. */

import 'reflect-metadata';
import { createHash, KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { kerbStoredCredentialOf, writeKerbStoredCredential } from '#src/protocol/samr/kerb-stored-credential.js';
import {
  kerbStoredCredentialNewOf,
  writeKerbStoredCredentialNew,
} from '#src/protocol/samr/kerb-stored-credential-new.js';
import { encodePropertyValue } from '#src/protocol/samr/property-value.js';
import { userPropertiesOf, writeUserProperties } from '#src/protocol/samr/user-properties.js';
import { envelopes, sealData } from './inputs.js';

/** Bytes that differ from user to user. */
const bytes = (text: string, size: number): Buffer =>
  createHash('shake256', { outputLength: size }).update(text).digest();

/**
 * supplementalCredentials of 2.5 KB, as Windows has it of an account whose password was changed twice: keys of three
 * passwords for AES-256, AES-128 and DES, WDigest's 29 hashes, and the password in clear.
 */
function supplementalCredentials(user: number): Uint8Array {
  const keys = (age: string) =>
    [
      [18, 32],
      [17, 16],
      [3, 8],
    ].map(([keyType, size]) => ({
      keyType: keyType!,
      key: bytes(`${user} ${age} ${keyType}`, size!),
      iterationCount: 4096,
    }));
  const des = (age: string) => keys(age).filter(({ keyType }) => keyType === 3);
  const defaultSalt = `EXAMPLE.COMuser${user}`;
  const newer = kerbStoredCredentialNewOf({
    defaultSalt,
    defaultIterationCount: 4096,
    credentials: keys('current'),
    oldCredentials: keys('old'),
    olderCredentials: keys('older'),
  });
  const older = kerbStoredCredentialOf({ defaultSalt, credentials: des('current'), oldCredentials: des('old') });
  const names = ['Kerberos-Newer-Keys', 'Kerberos', 'WDigest', 'CLEARTEXT'];
  const values = [
    writeKerbStoredCredentialNew(newer),
    writeKerbStoredCredential(older),
    bytes(`${user} WDigest`, 16 + 29 * 16),
    Buffer.from(`Pa$$w0rd${user}`, 'utf16le'),
  ];
  const property = (name: string, reserved: number, value: Uint8Array) => ({
    name: Buffer.from(name, 'utf16le'),
    reserved,
    value: encodePropertyValue(value),
  });
  return writeUserProperties(
    userPropertiesOf([
      ...names.map((name, i) => property(`Primary:${name}`, 1, values[i]!)),
      property('Packages', 2, Buffer.from(names.join('\0'), 'utf16le')),
    ]),
  );
}

export interface LegacyInputs {
  /** 16 bytes each. */
  readonly ntHashes: readonly Uint8Array[];
  /** USER_PROPERTIES as they are in the domain. */
  readonly plain: readonly Uint8Array[];
  readonly sessionKey: Uint8Array;
  readonly items: readonly {
    readonly unicodePwd: Uint8Array;
    readonly rid: number;
    readonly supplementalCredentials: Uint8Array;
  }[];
}

export function legacyInputs(users: number): LegacyInputs {
  const { ntHashes, sessionKey, envelopes: sealed, rids } = envelopes(users);
  const at = (flat: Uint8Array, i: number, size: number) => flat.subarray(i * size, (i + 1) * size);
  const plain = Array.from({ length: users }, (_, i) => supplementalCredentials(i));
  return {
    ntHashes: plain.map((_, i) => at(ntHashes, i, 16)),
    plain,
    sessionKey,
    items: plain.map((properties, i) => ({
      unicodePwd: at(sealed, i, 36),
      rid: rids[i]!,
      supplementalCredentials: sealData(properties, sessionKey, bytes(`salt ${i}`, 16)),
    })),
  };
}

export interface LegacyCertificate {
  readonly der: Buffer;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Self-signed, with an RSA key of so many bits, new in every process. */
export async function legacyCertificate(bits: number): Promise<LegacyCertificate> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: bits,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: 'SHA-256',
  };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    { name: 'CN=Domain Services', signingAlgorithm: algorithm, keys },
    webcrypto,
  );
  return {
    der: Buffer.from(certificate.rawData),
    publicKey: KeyObject.from(keys.publicKey),
    privateKey: KeyObject.from(keys.privateKey),
  };
}
