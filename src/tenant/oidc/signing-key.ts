/** The key that signs tokens (RS256, RFC 7518 3.3), kept as a private JWK below the state directory. */

import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { PhsyncError } from '../../hasher/errors.js';
import { readIfThere, writePrivate } from '../state-dir.js';

/** OpenID Connect Core 15.1: the one algorithm that every client knows. */
export const SIGNING_ALGORITHM = 'RS256';

type PrivateKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: PrivateKey;
  /** For the JWKS: public members only. */
  readonly publicJwk: JWK;
}

/** Reads the key, or makes it on the first start. @throws PhsyncError `token-key` when the file is damaged. */
export async function keepSigningKey(file: string): Promise<SigningKey> {
  const text = await readIfThere(file);
  if (text !== undefined) return toSigningKey(parse(text, file), file);
  const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { modulusLength: 2048, extractable: true });
  const jwk = await exportJWK(privateKey);
  await writePrivate(file, `${JSON.stringify(jwk)}\n`);
  return toSigningKey(jwk, file);
}

function parse(text: string, file: string): JWK {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not the parser's message: it would quote the key.
    throw damaged(file);
  }
  if (typeof value !== 'object' || value === null) throw damaged(file);
  return value as JWK;
}

async function toSigningKey(jwk: JWK, file: string): Promise<SigningKey> {
  const { kty, n, e, d } = jwk;
  if (kty !== 'RSA' || n === undefined || e === undefined || d === undefined) throw damaged(file);
  const privateKey = await importJWK(jwk, SIGNING_ALGORITHM).catch(() => {
    throw damaged(file);
  });
  const kid = await calculateJwkThumbprint({ kty, n, e });
  return {
    kid,
    privateKey: privateKey as PrivateKey,
    publicJwk: { kty, use: 'sig', alg: SIGNING_ALGORITHM, kid, n, e },
  };
}

const damaged = (file: string) =>
  new PhsyncError('token-key', `${file} is not an RSA key in JWK form: restore it, or remove it to end all sessions`, {
    facts: { file },
  });
