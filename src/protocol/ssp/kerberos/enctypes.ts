/** Encryption types of Kerberos (the IANA registry "Kerberos Encryption Type Numbers"). */

const NAMES: Readonly<Record<number, string>> = {
  1: 'des-cbc-crc',
  3: 'des-cbc-md5',
  16: 'des3-cbc-sha1',
  17: 'aes128-cts-hmac-sha1-96',
  18: 'aes256-cts-hmac-sha1-96',
  19: 'aes128-cts-hmac-sha256-128',
  20: 'aes256-cts-hmac-sha384-192',
  23: 'rc4-hmac',
  24: 'rc4-hmac-exp',
};

/** AES is all that is taken unasked (RFC 3962, RFC 8009). */
const AES: readonly number[] = [17, 18, 19, 20];
const RC4 = 23;

export function enctypeName(enctype: number): string {
  return NAMES[enctype] ?? `encryption type ${enctype}`;
}

export function isAllowed(enctype: number, allowRc4: boolean): boolean {
  return AES.includes(enctype) || (allowRc4 && enctype === RC4);
}
