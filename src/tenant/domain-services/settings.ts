/** `domainSecuritySettings` and the domain's name, as they are given and stored. */

import { z } from 'zod';
import { PhsyncError } from '../../hasher/errors.js';
import {
  SECURITY_SETTINGS,
  type SecuritySetting,
  type SecuritySettings,
  securitySettingsSchema,
} from '../../provisioning/domain-services-feed.js';

export type SettingChanges = { readonly [Name in SecuritySetting]?: SecuritySettings[Name] | undefined };

/** A new managed domain's: Azure's, but for the two old protocols, which are off. */
export const DEFAULT_SETTINGS: SecuritySettings = {
  ntlmV1: 'Disabled',
  syncNtlmPasswords: 'Enabled',
  tlsV1: 'Disabled',
  kerberosRc4Encryption: 'Enabled',
  kerberosArmoring: 'Disabled',
  ldapSigning: 'Disabled',
  channelBinding: 'Disabled',
};

export function settingsOf(stored: string): SecuritySettings {
  return securitySettingsSchema.parse({ ...DEFAULT_SETTINGS, ...JSON.parse(stored) });
}

/** `changes` over what is stored, or over a new managed domain's. */
export function withChanges(stored: string | undefined, changes: SettingChanges): SecuritySettings {
  const before = stored === undefined ? DEFAULT_SETTINGS : settingsOf(stored);
  return Object.fromEntries(SECURITY_SETTINGS.map((name) => [name, changes[name] ?? before[name]])) as Record<
    SecuritySetting,
    'Enabled' | 'Disabled'
  >;
}

/**
 * `SyncNtlmPasswords=Disabled`, in any case. @throws PhsyncError `usage-setting`
 */
export function parseSetting(text: string): SettingChanges {
  const [, given = '', value = ''] = /^([^=]*)=(.*)$/.exec(text) ?? [];
  const name = SECURITY_SETTINGS.find((each) => each.toLowerCase() === given.toLowerCase());
  const switched = (['Enabled', 'Disabled'] as const).find((each) => each.toLowerCase() === value.toLowerCase());
  if (name !== undefined && switched !== undefined) return { [name]: switched };
  throw new PhsyncError(
    'usage-setting',
    `--setting: expected NAME=Enabled or NAME=Disabled, NAME one of ${SECURITY_SETTINGS.join(', ')}`,
  );
}

/** A DNS name of two labels or more, as Active Directory takes it for a domain. */
export const domainNameSchema = z
  .string()
  .toLowerCase()
  .max(155)
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/);

/** @throws PhsyncError `domain-services-name` */
export function readDomainName(text: string): string {
  const { data } = domainNameSchema.safeParse(text);
  if (data !== undefined) return data;
  throw new PhsyncError(
    'domain-services-name',
    `${text.slice(0, 64)} is no name for a managed domain: expected a DNS name such as aadds.contoso.com`,
  );
}
