/** The account as people write it. */

import { describe, expect, test } from 'vitest';
import { accountName, kerberosPrincipal, parseAccount } from '#src/agent/sources/drs-account.js';

describe('an account', () => {
  test.each([
    ['phs.sync', { user: 'phs.sync', domain: 'phs.test' }, 'phs.sync@PHS.TEST', false],
    ['PHS\\phs.sync', { user: 'phs.sync', domain: 'PHS' }, 'phs.sync@PHS.TEST', false],
    ['phs.sync@phs.test', { user: 'phs.sync@phs.test', domain: '' }, 'phs.sync@PHS.TEST', false],
    ['phs.sync@PHS.TEST', { user: 'phs.sync@PHS.TEST', domain: '' }, 'phs.sync@PHS.TEST', false],
    ['phs.sync@example.com', { user: 'phs.sync@example.com', domain: '' }, 'phs.sync\\@example.com@PHS.TEST', true],
    ['dienst/synk', { user: 'dienst/synk', domain: 'phs.test' }, 'dienst\\/synk@PHS.TEST', false],
  ])('%s', (text, ntlm, client, enterprise) => {
    expect(parseAccount(text, 'phs.test')).toEqual(ntlm);
    expect(kerberosPrincipal(text, 'PHS.TEST')).toEqual({ client, enterprise });
  });

  test('in messages', () => {
    expect(accountName({ user: 'phs.sync', credentialCache: undefined })).toBe('phs.sync');
    expect(accountName({ credentialCache: 'KEYRING:x' })).toBe('the owner of KEYRING:x');
  });
});
