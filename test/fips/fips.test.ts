/** FIPS mode: what is refused there and what to set, and that all of phsync works in it once that is set. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runnable } from '../hasher/backends.js';
import { hex, orgId, seal } from '../hasher/reference.js';
import adAuthInfo from '../vectors/adauthinfo.json' with { type: 'json' };
import { type FipsMode, fipsProvider, startFipsMode } from './fips-mode.js';

const dist = (path: string): string => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const SAYS_WHAT_TO_SET = /FIPS mode is on; .*set allowMd5InFips: true/;

const missing =
  fipsProvider === undefined ? 'OpenSSL has no FIPS provider here: test/fips/install brings it' : undefined;

if (missing !== undefined) {
  it('FIPS mode', (context) => {
    if (process.env.CI === 'true') throw new Error(missing);
    context.skip(missing);
  });
}

describe.skipIf(missing !== undefined)('in FIPS mode', () => {
  let fips: FipsMode;
  beforeAll(() => {
    fips = startFipsMode(fipsProvider!);
  });
  afterAll(() => fips.close());

  it('OpenSSL itself refuses MD5: the mode is real', async () => {
    const source = `
      import { createHash, getFips } from 'node:crypto';
      const works = (name) => { try { createHash(name); return true; } catch { return false; } };
      console.log(JSON.stringify([getFips(), works('sha256'), works('md5')]));`;
    expect(await fips.evaluate(source, '')).toEqual([1, true, false]);
  });

  /** Every method of a hasher, and what came of it: a value, or `code: message`. */
  const everyMethod = (options: object): string => `
    import { createHasher, pbkdf2 } from ${dist('index.js')};
    import { text } from 'node:stream/consumers';
    const given = JSON.parse(await text(process.stdin));
    const unhex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
    const hex = (bytes) => Buffer.from(bytes).toString('hex');
    const hasher = createHasher(${JSON.stringify({ ...options, threads: 1 })});
    const salt = unhex(given.salt);
    const credential = { salt, iterations: 3, hash: unhex(given.digest) };
    const work = {
      derive: async () => hex((await hasher.derive(unhex(given.ntHash), { salt, iterations: 3 })).hash),
      deriveBatch: async () =>
        hex((await hasher.deriveBatch({ ntHashes: unhex(given.ntHash), salts: salt, iterations: 3 })).digests),
      verifyNtHash: () => hasher.verify(credential, unhex(given.ntHash)),
      pbkdf2Batch: async () =>
        hex(await hasher.pbkdf2Batch({ passwords: ['password'], salts: ['salt'], iterations: 2, keylen: 32 })),
      pbkdf2: async () => hex(await pbkdf2('password', 'salt', 2, 32, 'sha256')),
      openAndDeriveBatch: async () => hex((await hasher.openAndDeriveBatch({
        sessionKeys: [unhex(given.sessionKey)],
        envelopes: unhex(given.envelope), rids: Uint32Array.of(1000), salts: salt, iterations: 3,
      })).digests),
      verifyPassword: () => hasher.verify(credential, 'Password'),
      ntHash: async () => hex(hasher.ntHash('Password')),
      ntHashBatch: async () => hex(await hasher.ntHashBatch(['Password'])),
    };
    const result = {};
    for (const [name, run] of Object.entries(work)) {
      result[name] = await run().catch((error) => error.code + ': ' + error.message);
    }
    await hasher.close();
    console.log(JSON.stringify(result));`;

  // MS-NLMP 4.2.2.1.2; RFC 6070's first password with SHA-256.
  const ntHash = 'a4f49c406510bdcab6824ee7c30fd852';
  const sessionKey = randomBytes(16);
  const salt = randomBytes(10);
  const bytes = Buffer.from(ntHash, 'hex');
  const digest = hex(orgId(bytes, salt, 3));
  const given = JSON.stringify({
    ntHash,
    sessionKey: hex(sessionKey),
    salt: hex(salt),
    digest,
    envelope: hex(seal(sessionKey, 1000, bytes)),
  });
  const key = 'ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43';
  const approved = {
    derive: digest,
    deriveBatch: digest,
    verifyNtHash: true,
    pbkdf2Batch: key,
    pbkdf2: key,
  };
  /** Forced kernels differ in nothing here. */
  const backends = [{ backend: 'fallback' }, ...runnable.filter(({ backend }) => backend === 'native').slice(0, 1)];

  it.each(backends)('refuses MD4, MD5 and RC4, and nothing else: $backend', async (options) => {
    const refused = expect.stringMatching(/^config-fips: /);
    const result = await fips.evaluate<Record<string, unknown>>(everyMethod(options), given);
    expect(result).toEqual({
      ...approved,
      openAndDeriveBatch: refused,
      verifyPassword: refused,
      ntHash: refused,
      ntHashBatch: refused,
    });
    expect(result.openAndDeriveBatch).toMatch(/opening a replicated password needs MD5 and RC4, refused/);
    expect(result.ntHash).toMatch(SAYS_WHAT_TO_SET);
  });

  it.each(backends)('computes the same bytes with allowMd5InFips: $backend', async (options) => {
    expect(await fips.evaluate(everyMethod({ ...options, allowMd5InFips: true }), given)).toEqual({
      ...approved,
      openAndDeriveBatch: digest,
      verifyPassword: true,
      ntHash,
      ntHashBatch: ntHash,
    });
  });

  it('speaks NTLM only where that is allowed', async () => {
    const source = `
      import { NtlmContext } from ${dist('protocol/ssp/ntlm/ntlm-context.js')};
      const options = { user: 'u', domain: 'd', password: 'p', random: (n) => new Uint8Array(n), now: () => new Date() };
      const make = (more) => {
        try { return new NtlmContext({ ...options, ...more }).oid; } catch (error) { return [error.name, error.code, error.message]; }
      };
      console.log(JSON.stringify([make({}), make({ allowMd5InFips: true })]));`;
    expect(await fips.evaluate(source, '')).toEqual([
      ['ProtocolError', 'config-fips', expect.stringMatching(SAYS_WHAT_TO_SET)],
      '1.3.6.1.4.1.311.2.2.10',
    ]);
  });

  it('makes Kerberos keys of AES, and of RC4 and DES only where that is allowed', async () => {
    const source = `
      import { stringToKey } from ${dist('crypto/string-to-key.js')};
      const make = (keyType, options) => {
        try { return Buffer.from(stringToKey(keyType, 'password', 'ATHENA.MIT.EDUraeburn', options)).toString('hex'); }
        catch (error) { return [error.code, error.message]; }
      };
      console.log(JSON.stringify([17, 19, 3, 23].map((keyType) => [
        make(keyType, { iterationCount: 1 }), make(keyType, { iterationCount: 1, allowMd5InFips: true }),
      ])));`;
    // RFC 3962 B and RFC 3961 A.2; of AES with SHA-2 no vector has this salt, and 16 bytes are looked for.
    const refused = ['config-fips', expect.stringMatching(SAYS_WHAT_TO_SET)];
    const aes = '42263c6e89f4fc28b8df68ee09799f15';
    const [sha1, sha2, ...others] = await fips.evaluate<[string[], string[], ...unknown[]]>(source, '');
    expect(sha1).toEqual([aes, aes]);
    expect(sha2).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), sha2[0]]);
    expect(others).toEqual([
      [refused, 'cbc22fae235298e3'],
      [refused, '8846f7eaee8fb117ad06bdd830b7586c'],
    ]);
  });

  it("opens and seals Domain Services' envelopes", async () => {
    const source = `
      import { createPrivateKey, createPublicKey } from 'node:crypto';
      import { text } from 'node:stream/consumers';
      import { openAdAuthInfo, sealAdAuthInfo, unwrapWith } from ${dist('provisioning/ad-auth-info.js')};
      const vector = JSON.parse(await text(process.stdin));
      const privateKey = createPrivateKey({ key: vector.throwAwayKeyJwk, format: 'jwk' });
      const open = (blob) => openAdAuthInfo(blob, (_, encryptedKey) => unwrapWith(privateKey, encryptedKey));
      const plaintext = await open(Buffer.from(vector.blob, 'hex'));
      const recipient = { publicKey: createPublicKey(privateKey), thumbprint: Buffer.from(vector.thumbprint, 'hex') };
      const again = await open(sealAdAuthInfo(plaintext, recipient));
      console.log(JSON.stringify([plaintext, again].map((bytes) => Buffer.from(bytes).toString('hex'))));`;
    expect(await fips.evaluate(source, JSON.stringify(adAuthInfo))).toEqual([
      adAuthInfo.plaintext,
      adAuthInfo.plaintext,
    ]);
  });

  it('hashes and verifies on the command line only where that is allowed', async () => {
    const hash = [main, 'hash', '--password-stdin', '--json'];
    const refused = await fips.node(hash, 'Password');
    expect(refused.code).toBe(2);
    expect(JSON.parse(refused.stdout).error).toMatchObject({
      code: 'config-fips',
      message: expect.stringMatching(SAYS_WHAT_TO_SET),
    });
    const allowed = await fips.node([...hash, '--allow-md5-in-fips'], 'Password');
    const { credential } = JSON.parse(allowed.stdout);
    const verify = ['verify', '--password-stdin', '--credential', credential];
    expect((await fips.node([main, ...verify, '--allow-md5-in-fips'], 'Password')).code).toBe(0);
    expect((await fips.node([main, ...verify], 'Password')).code).toBe(2);
  });

  it('starts neither agent nor tenant unless their configuration allows it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'phsync-fips-'));
    try {
      writeFileSync(
        join(directory, 'agent.yaml'),
        'stateDir: ./agent\ntenant: { url: "https://127.0.0.1:9/", auth: { clientId: a, clientSecret: { env: PATH } } }\n' +
          'connectors: [{ name: lab, directory: { type: lab, users: 1 } }]\n',
      );
      writeFileSync(
        join(directory, 'tenant.yaml'),
        'stateDir: ./tenant\nlisten: { port: 0 }\ndomains: [{ name: phs.test }]\n',
      );
      for (const program of [['agent', '--once'], ['tenant']]) {
        const config = join(directory, `${program[0]}.yaml`);
        const { code, stderr } = await fips.node([main, ...program, '--config', config]);
        expect(stderr).toMatch(SAYS_WHAT_TO_SET);
        expect(code).toBe(2);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('does the main job from directory to sign-in where that is allowed', async () => {
    const demo = [main, 'demo', '--once', '--users', '60', '--json'];
    expect(JSON.parse((await fips.node(demo)).stdout).error.code).toBe('config-fips');
    const { code, stdout, stderr } = await fips.node([...demo, '--allow-md5-in-fips']);
    expect(stderr).not.toContain('phsync:');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ users: 60, first: { failed: 0 } });
  });
});
