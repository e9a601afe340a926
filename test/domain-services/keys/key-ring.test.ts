/** Private keys from encrypted files and from a PKCS #11 token, against blobs that OpenSSL and the published vector sealed. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PKCS11 } from 'pkcs11js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyConfig } from '#src/domain-services/config.js';
import { openKeyRing } from '#src/domain-services/keys/key-ring.js';
import { ReloadableKeys } from '#src/domain-services/keys/reloadable-keys.js';
import { openAdAuthInfo, recipientOf, sealAdAuthInfo } from '#src/provisioning/ad-auth-info.js';
import { type MadeCertificate, makeCertificate, makeToken, type Token } from './certificates.js';

const PASSPHRASE = 'a passphrase of the tests';
const directory = mkdtempSync(join(tmpdir(), 'phsync-keys.'));
const softhsm = existsSync('/usr/lib/softhsm/libsofthsm2.so');
let first: MadeCertificate;
let second: MadeCertificate;
let token: Token;

beforeAll(() => {
  first = makeCertificate(directory, 'first', PASSPHRASE);
  second = makeCertificate(directory, 'second', PASSPHRASE, 3072);
  writeFileSync(join(directory, 'passphrase'), PASSPHRASE);
  if (softhsm) {
    token = makeToken(directory, 'phsync tests', [first.plainKey, second.plainKey]);
    writeFileSync(join(directory, 'pin'), token.pin);
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const inFile = ({ certificate, key }: MadeCertificate, passphrase = join(directory, 'passphrase')): KeyConfig => ({
  certificate,
  privateKey: { file: key, passphrase: { file: passphrase } },
});
const inToken = ({ certificate }: MadeCertificate, more: { token?: string; pin?: string } = {}): KeyConfig => ({
  certificate,
  privateKey: {
    pkcs11: {
      module: token.module,
      token: more.token ?? token.label,
      pin: { file: more.pin ?? join(directory, 'pin') },
    },
  },
});

const TEXT = 'what an agent has sealed';
const sealed = ({ der }: MadeCertificate) => sealAdAuthInfo(Buffer.from(TEXT), recipientOf(der));

/** OpenSSL's command line on the RSA part alone, by which neither end of it is ours. */
function encryptedByOpenssl({ certificate }: MadeCertificate, value: Buffer): Buffer {
  const options = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha1', 'rsa_mgf1_md:sha1'].flatMap((each) => [
    '-pkeyopt',
    each,
  ]);
  return execFileSync('openssl', ['pkeyutl', '-encrypt', '-certin', '-inkey', certificate, ...options], {
    input: value,
  });
}

type Place = (made: MadeCertificate) => KeyConfig;

function suite(place: Place) {
  it('opens what was sealed for it', async () => {
    const ring = await openKeyRing([place(first)]);
    try {
      expect(Buffer.from(await openAdAuthInfo(sealed(first), ring.unwrap)).toString()).toBe(TEXT);
    } finally {
      await ring.close();
    }
  });

  it("undoes OpenSSL's OAEP", async () => {
    const ring = await openKeyRing([place(first), place(second)]);
    try {
      const value = Buffer.from('0123456789abcdef0123456789abcdef');
      for (const made of [first, second]) {
        const opened = await ring.unwrap(recipientOf(made.der).thumbprint, encryptedByOpenssl(made, value));
        expect(Buffer.from(opened!).equals(value)).toBe(true);
      }
    } finally {
      await ring.close();
    }
  });

  it('has several keys, and tells them by thumbprint', async () => {
    const ring = await openKeyRing([place(second), place(first)]);
    try {
      for (const made of [first, second, first]) {
        expect(Buffer.from(await openAdAuthInfo(sealed(made), ring.unwrap)).toString()).toBe(TEXT);
      }
      expect(ring.keys.map(({ subject }) => subject)).toEqual(['CN=second', 'CN=first']);
    } finally {
      await ring.close();
    }
  });

  it('names the certificate that it has no key of', async () => {
    const ring = await openKeyRing([place(first)]);
    try {
      const { thumbprint } = recipientOf(second.der);
      await expect(openAdAuthInfo(sealed(second), ring.unwrap)).rejects.toMatchObject({
        code: 'ad-auth-info-unknown-certificate',
        facts: { thumbprint: thumbprint.toString('hex') },
      });
    } finally {
      await ring.close();
    }
  });

  it('goes on after ciphertexts that are none', async () => {
    const ring = await openKeyRing([place(first)]);
    try {
      for (const at of [60, 180, 300]) {
        const blob = sealed(first);
        blob[at]! ^= 1;
        await expect(openAdAuthInfo(blob, ring.unwrap)).rejects.toMatchObject({ code: 'ad-auth-info-wrong-key' });
      }
      const all = Buffer.alloc(256, 255);
      expect(await ring.unwrap(recipientOf(first.der).thumbprint, all)).toBeUndefined();
      expect(Buffer.from(await openAdAuthInfo(sealed(first), ring.unwrap)).toString()).toBe(TEXT);
    } finally {
      await ring.close();
    }
  });

  it('opens many at once', async () => {
    const ring = await openKeyRing([place(first)]);
    try {
      const blobs = Array.from({ length: 20 }, () => sealed(first));
      const opened = await Promise.all(blobs.map((blob) => openAdAuthInfo(blob, ring.unwrap)));
      expect(new Set(opened.map((each) => Buffer.from(each).toString()))).toEqual(new Set([TEXT]));
    } finally {
      await ring.close();
    }
  });
}

describe('keys in encrypted files', () => {
  suite((made) => inFile(made));

  it('reads DER as well', async () => {
    const der = join(directory, 'first.der.key');
    const pass = ['-passin', `pass:${PASSPHRASE}`, '-passout', `pass:${PASSPHRASE}`];
    execFileSync('openssl', [
      'pkcs8',
      '-topk8',
      '-v2',
      'aes-256-cbc',
      ...pass,
      '-in',
      first.key,
      '-outform',
      'DER',
      '-out',
      der,
    ]);
    const ring = await openKeyRing([
      { ...inFile(first), privateKey: { file: der, passphrase: { file: join(directory, 'passphrase') } } },
    ]);
    await ring.close();
    expect(ring.keys[0]!.place).toBe(der);
  });

  it('says what is wrong with key, passphrase or certificate, and quotes none of them', async () => {
    const wrong = join(directory, 'wrong-passphrase');
    writeFileSync(wrong, 'another passphrase');
    const small = makeCertificate(directory, 'small', PASSPHRASE, 1024);
    const cases: [KeyConfig, RegExp][] = [
      [inFile(first, wrong), /first\.key: cannot be opened .+ another passphrase, or a damaged file/],
      [
        inFile({ ...first, key: first.plainKey }),
        /first\.plain\.key: is not encrypted; expected .+ openssl pkcs8 -topk8/,
      ],
      [
        inFile({ ...first, key: second.key }),
        /second\.key: is not the key of the certificate with the thumbprint [0-9a-f]{40}/,
      ],
      [inFile({ ...first, key: join(directory, 'none') }), /none: cannot read it: /],
      [inFile({ ...first, certificate: first.key }), /keys\[0\]\.certificate: .+first\.key: .+X\.509 expected/],
      [inFile(small), /RSA key of 2048 to 16384 bits expected, not rsa of 1024/],
    ];
    for (const [config, text] of cases) {
      const error = await openKeyRing([config]).then(
        () => undefined,
        (refused: Error) => refused,
      );
      expect(error).toMatchObject({ code: 'config-key', message: expect.stringMatching(text) });
      expect(error!.message).not.toContain(PASSPHRASE);
    }
    await expect(openKeyRing([inFile(first), inFile(first)])).rejects.toThrow(/stands there twice/);
  });
});

// With CI=true SoftHSM is installed (.ci/run), and its lack a failure.
describe.skipIf(!softhsm && process.env.CI !== 'true')(
  `keys in a PKCS #11 token${softhsm ? '' : ' (SoftHSM is not installed: apt-get install softhsm2)'}`,
  () => {
    suite((made) => inToken(made));

    it('opens session and log-on anew where the token has ended them, and says so where the token is gone', async () => {
      const ring = await openKeyRing([inToken(first), inToken(second)]);
      try {
        // The module is one for the whole process: this ends the sessions of everybody in it, as a restart of the token does.
        const module = new PKCS11();
        module.load(token.module);
        const endSessions = () => {
          for (const slot of module.C_GetSlotList(true)) module.C_CloseAllSessions(slot);
        };
        endSessions();
        for (const made of [first, second]) {
          expect(Buffer.from(await openAdAuthInfo(sealed(made), ring.unwrap)).toString()).toBe(TEXT);
        }
        endSessions();
        const tokens = join(directory, 'tokens');
        renameSync(tokens, `${tokens}.away`);
        try {
          await expect(openAdAuthInfo(sealed(first), ring.unwrap)).rejects.toMatchObject({
            code: 'domain-services-key-unavailable',
          });
        } finally {
          renameSync(`${tokens}.away`, tokens);
        }
        expect(Buffer.from(await openAdAuthInfo(sealed(first), ring.unwrap)).toString()).toBe(TEXT);
      } finally {
        await ring.close();
      }
    });

    it('takes no other key for its own once the library was begun anew, which gives the same handles again', async () => {
      // Of one size: a ciphertext of another one is refused whatever key it meets.
      const twin = makeCertificate(directory, 'twin', PASSPHRASE);
      const { label } = makeToken(directory, 'twins', [first.plainKey, twin.plainKey]);
      const ring = await openKeyRing([first, twin].map((made) => inToken(made, { token: label })));
      try {
        const tokens = join(directory, 'tokens');
        const module = new PKCS11();
        module.load(token.module);
        for (const slot of module.C_GetSlotList(true)) module.C_CloseAllSessions(slot);
        renameSync(tokens, `${tokens}.away`);
        try {
          await expect(openAdAuthInfo(sealed(twin), ring.unwrap)).rejects.toMatchObject({
            code: 'domain-services-key-unavailable',
          });
        } finally {
          renameSync(`${tokens}.away`, tokens);
        }
        // The second one's session and object have the numbers by now that the first one's had.
        for (const made of [twin, first]) {
          expect(Buffer.from(await openAdAuthInfo(sealed(made), ring.unwrap)).toString()).toBe(TEXT);
        }
      } finally {
        await ring.close();
      }
    });

    it('takes the place of others, of a token that was made since, and not where it cannot be opened', async () => {
      const keys = new ReloadableKeys(await openKeyRing([inToken(first)]));
      try {
        const later = makeCertificate(directory, 'later', PASSPHRASE);
        const { label } = makeToken(directory, 'made since', [later.plainKey]);
        const opens = async (made: MadeCertificate) =>
          expect(Buffer.from(await openAdAuthInfo(sealed(made), keys.unwrap)).toString()).toBe(TEXT);
        const wrong = join(directory, 'wrong-pin');
        writeFileSync(wrong, '000000');
        const bad: readonly [KeyConfig, string][] = [
          [inToken(first, { token: 'nowhere' }), 'domain-services-key-unavailable'],
          [inToken(later, { token: label, pin: wrong }), 'config-key'],
          [inFile(first, wrong), 'config-key'],
        ];
        for (const [config, code] of bad) {
          await expect(
            keys.replace(() => openKeyRing([config])),
            code,
          ).rejects.toMatchObject({ code });
          await opens(first);
        }
        // With what is under way.
        const running = [opens(first), opens(first)];
        await keys.replace(() => openKeyRing([inToken(later, { token: label }), inToken(second)]));
        await Promise.all(running);
        expect(keys.keys).toHaveLength(2);
        for (const made of [later, second]) await opens(made);
        await expect(openAdAuthInfo(sealed(first), keys.unwrap)).rejects.toMatchObject({
          code: 'ad-auth-info-unknown-certificate',
        });
        await keys.replace(() => openKeyRing([inFile(first)]));
        await opens(first);
      } finally {
        await keys.close();
      }
    });

    it('says what is wrong with token, PIN or key', async () => {
      const wrong = join(directory, 'wrong-pin');
      writeFileSync(wrong, '000000');
      const other = makeCertificate(directory, 'other', PASSPHRASE);
      const away = 'domain-services-key-unavailable';
      const cases: [KeyConfig, string, RegExp][] = [
        [inToken(first, { token: 'another' }), away, /there is no token with the label another/],
        // An exit code of 2, after which systemd does not try again until the token is locked.
        [inToken(first, { pin: wrong }), 'config-key', /CKR_PIN_INCORRECT/],
        [inToken(other), away, /it has no private key for the certificate with the thumbprint [0-9a-f]{40}/],
      ];
      for (const [config, code, text] of cases) {
        const error = await openKeyRing([config]).then(
          () => undefined,
          (refused: Error) => refused,
        );
        expect(error).toMatchObject({ code, message: expect.stringMatching(text) });
        expect(error!.message).not.toMatch(/000000|471100/);
      }
      const module = {
        certificate: first.certificate,
        privateKey: { pkcs11: { module: '/nowhere.so', token: 'x', pin: { file: wrong } } },
      };
      await expect(openKeyRing([module])).rejects.toThrow(/cannot be used: .*nowhere\.so/);
    });
  },
);
