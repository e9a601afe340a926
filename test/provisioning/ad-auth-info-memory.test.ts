/** No Kerberos key, NT hash or AES key stays in a process that sealed or opened envelopes (Linux). */

import { type ChildProcess, spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import {
  kerbStoredCredentialNewOf,
  writeKerbStoredCredentialNew,
} from '#src/protocol/samr/kerb-stored-credential-new.js';
import { encodePropertyValue } from '#src/protocol/samr/property-value.js';
import { userPropertiesOf, writeUserProperties } from '#src/protocol/samr/user-properties.js';
import {
  legacyPlaintext,
  newSealedKey,
  readAdAuthInfo,
  sealAdAuthInfo,
  supplementalPlaintext,
  unwrapWith,
} from '#src/provisioning/ad-auth-info.js';
import { countInMemory } from '../hasher/memory-image.js';
import vector from '../vectors/adauthinfo.json' with { type: 'json' };

const dist = (path: string): string => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const privateKey = createPrivateKey({ key: vector.throwAwayKeyJwk, format: 'jwk' });
const recipient = { publicKey: createPublicKey(privateKey), thumbprint: Buffer.from(vector.thumbprint, 'hex') };

interface User {
  readonly ntHash: Buffer;
  readonly keys: readonly Buffer[];
  readonly clear: Buffer;
  /** USER_PROPERTIES with the keys and the clear password. */
  readonly plain: Uint8Array;
}

function makeUser(): User {
  const keys = [32, 16, 32, 16].map((size) => randomBytes(size));
  const list = (from: number) =>
    [18, 17].map((keyType, i) => ({ keyType, iterationCount: 4096, key: keys[from + i]! }));
  const stored = kerbStoredCredentialNewOf({
    defaultSalt: 'ADATUM.COMuser',
    defaultIterationCount: 4096,
    credentials: list(0),
    oldCredentials: list(2),
  });
  const clear = randomBytes(24);
  const property = (name: string, value: Uint8Array) => ({
    name: Buffer.from(name, 'utf16le'),
    reserved: 1,
    value: encodePropertyValue(value),
  });
  const plain = writeUserProperties(
    userPropertiesOf([
      property('Primary:Kerberos-Newer-Keys', writeKerbStoredCredentialNew(stored)),
      property('Primary:CLEARTEXT', clear),
    ]),
  );
  return { ntHash: randomBytes(16), keys, clear, plain };
}

/** A secret's second half, which is what a freed place in memory keeps best, as it is and as hex digits. */
function forms(secret: Uint8Array): Buffer[] {
  const half = secret.subarray(secret.length / 2);
  return [Buffer.from(half), Buffer.from(hex(half), 'latin1')];
}

describe.skipIf(process.platform !== 'linux')('the memory image of a process (Linux)', () => {
  let child: ChildProcess;
  const canary = randomBytes(32);
  const users = Array.from({ length: 30 }, makeUser);

  async function runAside<T>(imports: string, work: string, message: object): Promise<T> {
    const source = `
      ${imports}
      process.on('message', async (message) => {
        globalThis.canary = Uint8Array.from(Buffer.from(message.canary, 'hex'), (byte) => byte ^ 0x5a);
        process.send(await (async () => {${work}})());
      });`;
    child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.send({ ...message, canary: hex(canary.map((byte) => byte ^ 0x5a)) });
    const [answer] = await once(child, 'message');
    return answer;
  }

  /** How many of the secrets are there; the canary, put there on purpose, must be. */
  function found(secrets: readonly Uint8Array[]): number {
    const [seen, ...counts] = countInMemory(child.pid!, [canary, ...secrets.flatMap(forms)]);
    expect(seen).toBeGreaterThan(0);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  afterEach(async () => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  });

  const OPEN = `
    const privateKey = createPrivateKey(message.pem);
    const unwrap = (_, encryptedKey) => unwrapWith(privateKey, encryptedKey);
    let keys = 0;
    for (const { legacy, supplemental } of message.blobs) {
      const hash = await openAdAuthInfo(Buffer.from(legacy, 'base64'), unwrap);
      keys += parseLegacyPlaintext(hash).length;
      const plaintext = await openAdAuthInfo(Buffer.from(supplemental, 'base64'), unwrap);
      for (const { value } of parseUserProperties(parseSupplementalPlaintext(plaintext)).properties.slice(0, 1)) {
        const stored = decodePropertyValue(value);
        keys += parseKerbStoredCredentialNew(stored).oldCredentials[1].key.length;
        if (message.wipe) stored.fill(0);
      }
      if (message.wipe) [hash, plaintext].forEach((bytes) => bytes.fill(0));
      else (globalThis.kept ??= []).push(hash, plaintext);
      // Altered, so that it fails after the payload was decrypted.
      const altered = Buffer.from(supplemental, 'base64');
      altered[altered.length - 20] ^= 1;
      await openAdAuthInfo(altered, unwrap).then((bytes) => {
        try { parseSupplementalPlaintext(bytes); } catch { keys += 1; }
        bytes.fill(0);
      }, () => { keys += 1; });
    }
    return keys;`;
  const OPEN_IMPORTS = `
    import { createPrivateKey } from 'node:crypto';
    import { openAdAuthInfo, parseLegacyPlaintext, parseSupplementalPlaintext, unwrapWith } from ${dist('provisioning/ad-auth-info.js')};
    import { parseUserProperties } from ${dist('protocol/samr/user-properties.js')};
    import { decodePropertyValue } from ${dist('protocol/samr/property-value.js')};
    import { parseKerbStoredCredentialNew } from ${dist('protocol/samr/kerb-stored-credential-new.js')};`;

  it.each([true, false])('holds nothing after blobs were opened, parsed and wiped: %s', async (wipe) => {
    const secrets: Uint8Array[] = [];
    const blobs = users.map(({ ntHash, keys, plain }) => {
      const key = newSealedKey(recipient);
      secrets.push(ntHash, key.aesKey, ...keys);
      return {
        legacy: sealAdAuthInfo(legacyPlaintext(ntHash), recipient, key).toString('base64'),
        supplemental: sealAdAuthInfo(supplementalPlaintext(keepKerberosKeys(plain)!), recipient, key).toString(
          'base64',
        ),
      };
    });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    expect(await runAside(OPEN_IMPORTS, OPEN, { pem, blobs, wipe })).toBe(users.length * (16 + 16 + 1));
    // Without wiping they are seen: the search can find them.
    if (wipe) expect(found(secrets)).toBe(0);
    else expect(found(secrets)).toBeGreaterThan(users.length);
  });

  it('holds nothing after keys were kept and sealed', async () => {
    const work = `
      const publicKey = createPublicKey(message.pem);
      const recipient = { publicKey, thumbprint: Buffer.from(message.thumbprint, 'hex') };
      const unmask = (text) => {
        const bytes = new Uint8Array(new ArrayBuffer(text.length / 2));
        for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16) ^ 0x5a;
        return bytes;
      };
      return message.users.map(({ ntHash, plain }) => {
        const key = newSealedKey(recipient);
        const [hash, properties] = [unmask(ntHash), unmask(plain)];
        const reduced = keepKerberosKeys(properties);
        const payloads = [legacyPlaintext(hash), supplementalPlaintext(reduced)];
        const blobs = payloads.map((payload) => sealAdAuthInfo(payload, recipient, key).toString('base64'));
        for (const bytes of [hash, properties, reduced, ...payloads, key.aesKey]) bytes.fill(0);
        return blobs;
      });`;
    const imports = `
      import { createPublicKey } from 'node:crypto';
      import { keepKerberosKeys } from ${dist('protocol/samr/keep-kerberos-keys.js')};
      import { legacyPlaintext, newSealedKey, sealAdAuthInfo, supplementalPlaintext } from ${dist('provisioning/ad-auth-info.js')};`;
    const mask = (bytes: Uint8Array): string => hex(bytes.map((byte) => byte ^ 0x5a));
    const blobs = await runAside<[string, string][]>(imports, work, {
      pem: recipient.publicKey.export({ type: 'spki', format: 'pem' }),
      thumbprint: vector.thumbprint,
      users: users.map(({ ntHash, plain }) => ({ ntHash: mask(ntHash), plain: mask(plain) })),
    });
    const aesKeys = blobs.map(([legacy, supplemental]) => {
      const [a, b] = [legacy, supplemental].map((text) => {
        const { encryptedKey } = readAdAuthInfo(Buffer.from(text, 'base64'));
        return unwrapWith(privateKey, encryptedKey)!;
      });
      expect(a!.equals(b!)).toBe(true);
      return a!;
    });
    expect(new Set(aesKeys.map(hex)).size).toBe(users.length);
    expect(found([...aesKeys, ...users.flatMap(({ ntHash, keys, clear }) => [ntHash, ...keys, clear])])).toBe(0);
  });
});
