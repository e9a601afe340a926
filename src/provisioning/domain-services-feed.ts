/**
 * The feed from the tenant to a managed domain: `GET /domain-services/v1.0/changes?cookie=…&limit=…&wait=…`, users and their
 * sealed credentials. A protocol of phsync's own; its resource has the names and values of Azure Resource Manager's
 * Microsoft.AAD/domainServices, api-version 2021-03-01.
 */

import { z } from 'zod';

export const DOMAIN_SERVICES_FEED_PATH = '/domain-services/v1.0/changes';
/** The audience of a reader's tokens: the application id of Entra's "Azure AD Domain Services Sync". */
export const DOMAIN_SERVICES_RESOURCE = 'api://443155a6-77f3-45e3-882b-22b3a8d431fb';
/** What a reader asks the token endpoint for, with its client credentials. */
export const DOMAIN_SERVICES_SCOPE = `${DOMAIN_SERVICES_RESOURCE}/.default`;
/** The role in such a token. */
export const DOMAIN_SERVICES_ROLE = 'DomainServices.Changes.Read';

/** Users a page. */
export const DEFAULT_FEED_LIMIT = 500;
export const MAX_FEED_LIMIT = 2000;
/** Seconds that a page without a change may be waited for. */
export const MAX_FEED_WAIT = 30;

/** `domainSecuritySettings`, each `Enabled` or `Disabled`. */
export const SECURITY_SETTINGS = [
  'ntlmV1',
  'syncNtlmPasswords',
  'tlsV1',
  'kerberosRc4Encryption',
  'kerberosArmoring',
  'ldapSigning',
  'channelBinding',
] as const;
export type SecuritySetting = (typeof SECURITY_SETTINGS)[number];
export type SecuritySettings = Readonly<Record<SecuritySetting, 'Enabled' | 'Disabled'>>;

const switched = z.enum(['Enabled', 'Disabled']);
export const securitySettingsSchema = z.object(
  Object.fromEntries(SECURITY_SETTINGS.map((name) => [name, switched])) as Record<SecuritySetting, typeof switched>,
);

const digestSchema = z.base64().nullable().optional();

/**
 * ADAuthInfo blobs in base64, sealed to the managed domain's certificate: the tenant cannot open them. `changeDate` is the
 * time of the change on premises: an older one must not be written over a newer one. The digests are SHA-256 in base64, made
 * when the tenant took the blobs in: what is stored or carried badly since is found out by them. A tenant of before has none,
 * and null is that of no blob.
 */
export const feedCredentialsSchema = z.object({
  changeDate: z.iso.datetime(),
  windowsLegacyCredentials: z.base64().nullable(),
  windowsSupplementalCredentials: z.base64().nullable(),
  windowsLegacyCredentialsSha256: digestSchema,
  windowsSupplementalCredentialsSha256: digestSchema,
});

/** A user as it is now. `credentials` is null where none came since Domain Services was switched on. */
export const feedUserSchema = z.object({
  id: z.string(),
  userPrincipalName: z.string(),
  displayName: z.string().nullable(),
  givenName: z.string().nullable(),
  surname: z.string().nullable(),
  mail: z.string().nullable(),
  mailNickname: z.string(),
  accountEnabled: z.boolean(),
  passwordPolicies: z.string().nullable(),
  onPremisesSamAccountName: z.string().nullable(),
  onPremisesSecurityIdentifier: z.string().nullable(),
  onPremisesDomainName: z.string().nullable(),
  onPremisesNetBiosName: z.string().nullable(),
  credentials: feedCredentialsSchema.nullable(),
});
export type FeedUser = z.output<typeof feedUserSchema>;

/** Deleted, for good or until it comes back. */
export const feedDeletedSchema = z.object({ id: z.string(), deleted: z.literal(true) });
export type FeedDeleted = z.output<typeof feedDeletedSchema>;
export type FeedChange = FeedUser | FeedDeleted;

/**
 * A certificate that blobs are sealed to. `notAfter` is null for one that was taken out of the list while users' blobs are
 * still sealed to it.
 */
export const feedCertificateSchema = z.object({
  /** SHA-1 of the DER, in small hexadecimal digits. */
  thumbprint: z.string().regex(/^[0-9a-f]{40}$/),
  notAfter: z.iso.datetime().nullable(),
  /** Agents are given it: what comes from now on is sealed to it. */
  isNewest: z.boolean(),
  /** Stored blobs are sealed to it. */
  inUse: z.boolean(),
});
export type FeedCertificate = z.output<typeof feedCertificateSchema>;

export const feedPageSchema = z.object({
  value: z.array(z.union([feedDeletedSchema, feedUserSchema])),
  /** For the next page, or for what comes later. */
  cookie: z.string(),
  /** Ask again at once. */
  more: z.boolean(),
  domain: z.object({
    name: z.string(),
    securitySettings: securitySettingsSchema,
    /** The newest first; a tenant of before does not say. */
    certificates: z.array(feedCertificateSchema).optional(),
  }),
});
export type FeedPage = z.output<typeof feedPageSchema>;

/** `error` of an answer that is none: `{ error, error_description }`. */
export const FeedError = {
  /** 400: limit or wait is none. */
  invalidRequest: 'invalid_request',
  /** 401: no token, or one that is wrong, expired, or for something else. */
  invalidToken: 'invalid_token',
  /** 409: Domain Services is not enabled in this tenant. */
  disabled: 'domain_services_disabled',
  /** 410: a cookie that this tenant's store did not make. Begin anew without a cookie, as for the next two. */
  cookieUnknown: 'cookie_unknown',
  /** 410: the store is older than the cookie: it was brought back from a copy. */
  cookieAhead: 'cookie_ahead',
  /** 410: since then Domain Services was switched off and on, the tenant was restored, or deletions were forgotten. */
  resyncRequired: 'resync_required',
  /** 429: more questions of one reader wait at once than one reader has. */
  tooManyRequests: 'too_many_requests',
} as const;
