/** No NT hash, Kerberos key, AES key or session key stays behind of what was sealed: nowhere in the process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  kerbStoredCredentialNewOf,
  writeKerbStoredCredentialNew,
} from '#src/protocol/samr/kerb-stored-credential-new.js';
import { encodePropertyValue } from '#src/protocol/samr/property-value.js';
import { userPropertiesOf, writeUserProperties } from '#src/protocol/samr/user-properties.js';
import { runnable } from '../hasher/backends.js';
import { countInMemory } from '../hasher/memory-image.js';
import { hex, seal, sealData } from '../hasher/reference.js';
import { openBlob } from './blobs.js';
import { createCertificate, type TestCertificate } from './certificates.js';

/** supplementalCredentials with one AES-256 key, and what must not travel. */
function userProperties(key: Uint8Array, wDigest: Uint8Array): Uint8Array {
  const newer = kerbStoredCredentialNewOf({
    defaultSalt: 'EXAMPLE.COMuser',
    defaultIterationCount: 4096,
    credentials: [{ keyType: 18, key, iterationCount: 4096 }],
  });
  const property = (name: string, value: Uint8Array) => ({
    name: Buffer.from(name, 'utf16le'),
    reserved: 1,
    value: encodePropertyValue(value),
  });
  return writeUserProperties(
    userPropertiesOf([
      property('Primary:Kerberos-Newer-Keys', writeKerbStoredCredentialNew(newer)),
      property('Primary:WDigest', wDigest),
    ]),
  );
}

/** Every form in which a secret might lie about. */
function forms(secret: Uint8Array): Buffer[] {
  const text = hex(secret);
  return [Buffer.from(secret), Buffer.from(text), Buffer.from(text.toUpperCase()), Buffer.from(text, 'utf16le')];
}

describe.skipIf(process.platform !== 'linux')('the memory image of a process that seals (Linux)', () => {
  const entry = new URL('../../dist/provisioning/legacy-sealer.js', import.meta.url).href;
  let certificate: TestCertificate;
  let child: ChildProcess;

  beforeAll(async () => {
    certificate = await createCertificate(2048);
  });
  afterEach(async () => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  });

  // The kernels differ in MD5 alone, which test/hasher/wiping.test.ts goes into.
  it.each(runnable.slice(0, 2))(
    'has nothing of it, nor of what was given up or cut off: $backend $kernel',
    async (options) => {
      const users = Array.from({ length: 300 }, () => ({
        ntHash: randomBytes(16),
        key: randomBytes(32),
        wDigest: randomBytes(32),
      }));
      const sessionKey = randomBytes(32);
      const canary = randomBytes(32).fill(7, 0, 1);
      const mask = 0x5a;
      const source = `
      import { createLegacySealer } from '${entry}';
      const options = { ...${JSON.stringify(options)}, threads: 2 };
      process.on('message', async (message) => {
        globalThis.canary = Buffer.from(message.canary, 'hex').fill(7, 0, 1);
        const bytes = (text) => Buffer.from(text, 'hex');
        const certificate = bytes(message.certificate);
        const sessionKey = new Uint8Array(new ArrayBuffer(message.masked.length / 2));
        for (let i = 0; i < sessionKey.length; i++) {
          sessionKey[i] = Number.parseInt(message.masked.slice(2 * i, 2 * i + 2), 16) ^ ${mask};
        }
        const items = message.items.map(([unicodePwd, supplementalCredentials], i) => ({
          unicodePwd: bytes(unicodePwd), rid: 1000 + i, supplementalCredentials: bytes(supplementalCredentials),
        }));
        const batch = { certificate, ntlm: true, sessionKeys: [sessionKey], items };
        const sealer = createLegacySealer(options);
        const stop = new AbortController();
        const given = sealer.seal({ ...batch, signal: stop.signal });
        setTimeout(() => stop.abort('enough'), 5);
        const other = createLegacySealer(options);
        const cut = other.seal(batch);
        setTimeout(() => other.close(), 60);
        const ends = [await given.catch((reason) => reason), await cut.catch(({ code }) => code)];
        await other.close();
        const sealed = await sealer.seal(batch);
        sessionKey.fill(0);
        while (sealer.load.running > 0) await new Promise((resolve) => setImmediate(resolve));
        process.send({ ends, blobs: sealed.map(({ legacy, supplemental }) => [legacy.blob, supplemental.blob].map((blob) => blob.toString('hex'))) });
      });`;
      child = spawn(process.execPath, ['--input-type=module', '-e', source], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      child.send({
        canary: hex(canary),
        certificate: hex(certificate.der),
        masked: hex(sessionKey.map((byte) => byte ^ mask)),
        items: users.map(({ ntHash, key, wDigest }, i) => [
          hex(seal(sessionKey, 1000 + i, ntHash)),
          hex(sealData(sessionKey, userProperties(key, wDigest))),
        ]),
      });
      const [answer] = await once(child, 'message');
      const { ends, blobs } = answer as { ends: unknown[]; blobs: [string, string][] };
      expect(ends[0]).toBe('enough');
      expect(ends[1] === 'sealer-closed' || Array.isArray(ends[1])).toBe(true);
      const some = [...users.keys()].filter((i) => i % 30 === 3 || i > 297);
      const aesKeys = some.map((i) => openBlob(Buffer.from(blobs[i]![0], 'hex'), certificate.privateKey).aesKey);
      const secrets = some.flatMap((i) => Object.values(users[i]!));
      const [seen, ...found] = countInMemory(child.pid!, [
        canary,
        ...[sessionKey, ...aesKeys].map((secret) => Buffer.from(secret)),
        ...secrets.flatMap(forms),
      ]);
      // What is surely there is found: the search works.
      expect(seen).toBeGreaterThan(0);
      expect(found.reduce((sum, count) => sum + count, 0)).toBe(0);
    },
  );
});
