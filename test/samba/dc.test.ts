/** The domain controller of these tests is what they take it for. */

import { md4 } from 'hash-wasm';
import { expect, it } from 'vitest';
import { describeDc, facts, users } from './dc.js';

describeDc('the domain controller', () => {
  it('holds 2,000 users and one account of each special kind', () => {
    const kinds = users().map((user) => user.kind);
    expect(kinds.filter((kind) => kind === 'bulk').length).toBeGreaterThanOrEqual(2000);
    expect(new Set(kinds)).toEqual(
      new Set(
        (
          'bulk plain must-change disabled expired password-never-expires inetOrgPerson computer unicode long ' +
          'no-password sync-account changes-without-all no-rights'
        ).split(' '),
      ),
    );
    expect(facts().dnsDomain).toBe('phs.test');
  });

  it('has the NT hashes of its passwords in the manifest', async () => {
    for (const { password, ntHash } of users()) {
      expect(ntHash).toBe(password === null ? null : await md4(Buffer.from(password, 'utf16le')));
    }
  });
});
