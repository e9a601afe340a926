import { createPrivateKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openAdAuthInfo, parseLegacyPlaintext, unwrapWith } from '#src/provisioning/ad-auth-info.js';
import vector from '../vectors/adauthinfo.json' with { type: 'json' };

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const privateKey = createPrivateKey({ key: vector.throwAwayKeyJwk, format: 'jwk' });

describe('ADAuthInfo', () => {
  it('opens the vector', async () => {
    const plaintext = await openAdAuthInfo(hex(vector.blob), (_, key) => unwrapWith(privateKey, key));
    expect(Buffer.from(plaintext).toString('hex')).toBe(vector.plaintext);
    expect(Buffer.from(parseLegacyPlaintext(plaintext)).toString('hex')).toBe('92937945b518814341de3f726500d4ff');
  });
});
