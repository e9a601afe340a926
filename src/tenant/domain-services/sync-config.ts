/** GetWindowsCredentialsSyncConfig: whether agents send Windows credentials, which, and to whom they seal them. */

import type { WindowsCredentialsSyncConfig } from '../../provisioning/types.js';
import type { Queries } from '../store/database.js';
import { readCertificates, readService } from './repository.js';
import { settingsOf } from './settings.js';

const OFF: WindowsCredentialsSyncConfig = {
  enableWindowsLegacyCredentials: false,
  enableWindowsSupplementalCredentials: false,
  secretEncryptionCertificate: undefined,
};

/** Legacy follows SyncNtlmPasswords: where it is off, agents send a random NT hash in the real one's place. */
export async function windowsCredentialsSyncConfig(queries: Queries): Promise<WindowsCredentialsSyncConfig> {
  const service = await readService(queries);
  if (service?.enabled !== 1) return OFF;
  const [newest] = await readCertificates(queries);
  if (newest === undefined) return OFF;
  return {
    enableWindowsLegacyCredentials: settingsOf(service.security_settings).syncNtlmPasswords === 'Enabled',
    enableWindowsSupplementalCredentials: true,
    secretEncryptionCertificate: Buffer.from(newest.certificate).toString('base64'),
    epoch: service.epoch,
  };
}
