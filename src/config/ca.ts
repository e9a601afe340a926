/** Certificate authorities of one's own, which a configuration names as a PEM file. */

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { PhsyncError } from '../hasher/errors.js';
import { fileErrorText } from './file-error.js';

/** Each of a file. */
export const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** PEM certificates of a file that `key` names. TLS passes over what it cannot read, and would trust nobody. @throws PhsyncError `config-ca` */
export async function readCa(file: string, key = 'tenant.ca'): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const reason = fileErrorText(cause);
    throw new PhsyncError('config-ca', `${key}: cannot read ${file}: ${reason}`, { cause, facts: { file } });
  }
  const certificates = text.match(PEM_CERTIFICATE);
  if (certificates === null) {
    throw new PhsyncError('config-ca', `${key}: ${file} has no PEM certificate in it`, { facts: { file } });
  }
  for (const [i, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw new PhsyncError('config-ca', `${key}: certificate ${i + 1} in ${file} cannot be read`, {
        cause,
        facts: { file },
      });
    }
  }
  return text;
}
