/** ADAuthInfo blobs opened by fixed offsets and node:crypto alone, as AADInternals lays them out. */

import { constants, createDecipheriv, type KeyObject, privateDecrypt } from 'node:crypto';
import { expect } from 'vitest';

export interface OpenedBlob {
  readonly thumbprint: Buffer;
  readonly aesKey: Buffer;
  readonly iv: Buffer;
  readonly plaintext: Buffer;
}

export function openBlob(blob: Buffer, privateKey: KeyObject): OpenedBlob {
  const rsaSize = privateKey.asymmetricKeyDetails!.modulusLength! / 8;
  const [version, reserved, rsa, aes, thumbprintSize, keySize, ivSize, dataSize] = Array.from({ length: 8 }, (_, i) =>
    blob.readUInt32LE(4 * i),
  );
  expect([version, reserved, rsa, aes, thumbprintSize, keySize, ivSize]).toEqual([1, 0, 1, 1, 20, rsaSize, 16]);
  expect(blob.length).toBe(32 + 20 + rsaSize + 16 + dataSize!);
  const encryptedKey = Buffer.from(blob.subarray(52, 52 + rsaSize)).reverse();
  const aesKey = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, encryptedKey);
  const iv = blob.subarray(52 + rsaSize, 68 + rsaSize);
  const decipher = createDecipheriv('aes-256-cbc', aesKey, iv);
  const plaintext = Buffer.concat([decipher.update(blob.subarray(68 + rsaSize)), decipher.final()]);
  return { thumbprint: blob.subarray(32, 52), aesKey, iv, plaintext };
}
