/** The NT hash (MS-NLMP 3.3.1, NTOWFv1): MD4 of the UTF-16LE password. */

import { md4 } from '../crypto/md4.js';
import { secretBytes } from '../crypto/secret-bytes.js';

/**
 * The 16 bytes of the NT hash; they are the caller's to wipe. Lone surrogates are hashed as they stand, as Windows does.
 *
 * @example Buffer.from(ntHash('Password')).toString('hex') // 'a4f49c406510bdcab6824ee7c30fd852' (MS-NLMP 4.2.2.1.2)
 */
export function ntHash(password: string): Uint8Array {
  const unicode = secretBytes(2 * password.length);
  try {
    Buffer.from(unicode.buffer).write(password, 'utf16le');
    return md4(unicode);
  } finally {
    unicode.fill(0);
  }
}
