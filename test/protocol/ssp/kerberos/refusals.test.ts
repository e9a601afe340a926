/** What KDCs and MIT krb5 refuse with, to codes: from errors as they were recorded, and whatever else may come. */

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { enctypeName, isAllowed } from '#src/protocol/ssp/kerberos/enctypes.js';
import { extendedStatus } from '#src/protocol/ssp/kerberos/extended-error.js';
import type { GssapiFailure } from '#src/protocol/ssp/kerberos/gssapi.js';
import { kerberosError } from '#src/protocol/ssp/kerberos/refusals.js';

const unhex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

/** e-data of KRB-ERRORs, recorded from Samba 4.17's KDC. */
const RECORDED = {
  disabled:
    '304b3032a103020113a22b042930273025a003020112a1161b145048532e544553547068732e64697361626c6564a2060404000010003015a103020103a20e040c720000c00000000001000000',
  mustChange:
    '304d3034a103020113a22d042b30293027a003020112a1181b165048532e544553547068732e6d7573746368616e6765a2060404000010003015a103020103a20e040c240200c00000000001000000',
  expired:
    '304a3031a103020113a22a042830263024a003020112a1151b135048532e544553547068732e65787069726564a2060404000010003015a103020103a20e040c930100c00000000001000000',
  passwordExpired:
    '3048302fa103020113a228042630243022a003020112a1131b115048532e544553547068732e706c61696ea2060404000010003015a103020103a20e040c710000c00000000001000000',
  /** Without a status: what a wrong password is answered with. */
  wrongPassword: '3030302ea103020113a227042530233021a003020112a1121b105048532e544553547068732e73796e63a206040400001000',
};

describe('the NTSTATUS in e-data', () => {
  test.each([
    ['disabled', RECORDED.disabled, 0xc000_0072],
    ['must change', RECORDED.mustChange, 0xc000_0224],
    ['expired', RECORDED.expired, 0xc000_0193],
    ['password expired', RECORDED.passwordExpired, 0xc000_0071],
    // MS-KILE 2.2.2: KERB-ERROR-DATA alone, as Windows sends it; STATUS_ACCOUNT_LOCKED_OUT.
    ['locked out, from Windows', '3015a103020103a20e040c340200c00000000001000000', 0xc000_0234],
    ['none', RECORDED.wrongPassword, undefined],
    ['nothing', '', undefined],
    ['of another length', '3011a103020103a20a0408340200c000000000', undefined],
  ])('%s', (_, eData, status) => {
    expect(extendedStatus(unhex(eData))).toBe(status);
  });

  it('is looked for in any bytes, and nothing is thrown', () => {
    const recorded = Object.values(RECORDED).map(unhex);
    const altered = fc
      .tuple(fc.constantFrom(...recorded), fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 4 }), fc.nat(90))
      .map(([bytes, changes, end]) => {
        const copy = bytes.slice(0, end);
        for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 90 }), altered), (bytes) => {
        expect(['number', 'undefined']).toContain(typeof extendedStatus(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a refusal', () => {
  const now = new Date(1_800_000_000_000);
  const failure = (facts: Partial<GssapiFailure>) =>
    Object.assign(new Error('it was refused'), {
      stage: 'credentials' as const,
      status: 0,
      major: 0,
      eData: new Uint8Array(0),
      kdcTime: 0,
      ...facts,
    });
  /** As krb5.h counts them. */
  const krb5 = (number: number) => -1_765_328_384 + number;

  // KRB5KDC_ERR_*, KRB5KRB_AP_ERR_* and KRB5_* with their numbers from krb5.h of MIT krb5 1.20.
  test.each([
    ['KDC_ERR_C_PRINCIPAL_UNKNOWN', -1765328378, 'logon-unknown-user'],
    ['KDC_ERR_S_PRINCIPAL_UNKNOWN', -1765328377, 'spn-unknown'],
    ['KDC_ERR_ETYPE_NOSUPP', -1765328370, 'no-common-enctype'],
    ['KDC_ERR_CLIENT_REVOKED', -1765328366, 'logon-account-revoked'],
    ['KDC_ERR_KEY_EXP', -1765328361, 'logon-password-expired'],
    ['KDC_ERR_PREAUTH_FAILED', -1765328360, 'logon-wrong-password'],
    ['AP_ERR_BAD_INTEGRITY', -1765328353, 'logon-wrong-password'],
    ['AP_ERR_TKT_EXPIRED', -1765328352, 'ticket-expired'],
    ['AP_ERR_SKEW', -1765328347, 'clock-skew'],
    ['KRB5_CC_NOTFOUND', -1765328243, 'ticket-missing'],
    ['KRB5_REALM_UNKNOWN', -1765328230, 'kdc-unreachable'],
    ['KRB5_KDC_UNREACH', -1765328228, 'kdc-unreachable'],
    ['KRB5_KT_NOTFOUND', -1765328203, 'keytab-unusable'],
    ['KRB5_FCC_NOFILE', -1765328189, 'ticket-missing'],
    ['KRB5_CONFIG_ETYPE_NOSUPP', -1765328147, 'no-common-enctype'],
    ['KRB5_OBSOLETE_FN, of which we know nothing', -1765328146, 'kerberos-failed'],
    ['a number of another table', 22, 'kerberos-failed'],
  ])('%s', (_, status, code) => {
    expect(kerberosError(failure({ status }), now)).toMatchObject({ code, name: 'ProtocolError' });
  });

  test.each([
    [RECORDED.disabled, 18, 'logon-account-disabled'],
    [RECORDED.expired, 18, 'logon-account-expired'],
    ['3015a103020103a20e040c340200c00000000001000000', 18, 'logon-account-locked'],
    ['3015a103020103a20e040c6f0000c00000000001000000', 12, 'logon-restricted'],
    // STATUS_UNSUCCESSFUL says nothing that Kerberos has not said.
    ['3015a103020103a20e040c010000c00000000001000000', 18, 'logon-account-revoked'],
  ])('with what the directory says of the account: %s', (eData, number, code) => {
    expect(kerberosError(failure({ status: krb5(number), eData: unhex(eData) }), now).code).toBe(code);
  });

  it('of a clock says by how much, and which way', () => {
    const skew = (kdcTime: number) => kerberosError(failure({ status: krb5(37), kdcTime }), now).message;
    expect(skew(1_800_001_200)).toContain("its clock is 1200 s ahead of this machine's");
    expect(skew(1_799_999_000)).toContain("its clock is 1000 s behind this machine's");
    expect(skew(0)).not.toContain('its clock');
  });

  it('of a file', () => {
    expect(kerberosError(failure({ stage: 'keytab', status: 13 }), now).code).toBe('keytab-unusable');
    expect(kerberosError(failure({ stage: 'cache', status: 2 }), now).code).toBe('ticket-missing');
  });

  it('of a message, and of a peer that does not prove itself', () => {
    expect(kerberosError(failure({ stage: 'message', major: 0x60000 }), now).code).toBe('bad-signature');
    expect(kerberosError(failure({ stage: 'context', major: 0x90000 }), now).code).toBe('kerberos-context');
  });
});

describe('encryption types', () => {
  // RFC 3962, RFC 8009, RFC 4757, RFC 3961; 25 and 26 are Camellia's (RFC 6803), which Active Directory lacks.
  test.each([17, 18, 19, 20])('%i, of AES, is taken', (enctype) => {
    expect([isAllowed(enctype, false), isAllowed(enctype, true)]).toEqual([true, true]);
    expect(enctypeName(enctype)).toMatch(/^aes/);
  });
  test('23, of RC4, where it is asked for', () => {
    expect([isAllowed(23, false), isAllowed(23, true)]).toEqual([false, true]);
  });
  test.each([0, 1, 3, 16, 24, 25, 26, 4711])('%i is not', (enctype) => {
    expect([isAllowed(enctype, false), isAllowed(enctype, true)]).toEqual([false, false]);
  });
});
