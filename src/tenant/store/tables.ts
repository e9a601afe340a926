/**
 * The tenant's tables, as both databases have them. Times are milliseconds since 1970, flags 0 or 1, `…Id` of a user is
 * `users.object_id` except in `user_id`, which is `users.id`.
 */

import type { Generated } from 'kysely';

/** One row. */
export interface TenantTable {
  readonly id: 1;
  tenant_id: string;
  display_name: string | null;
  /** The wire's DirSyncFeatures. */
  dirsync_features: number;
  /** Graph's features that have no bit on the wire, as a JSON object of booleans. */
  other_features: string;
  /** When password hash synchronization was last switched on; leaked pairs count from then. */
  password_sync_since: number | null;
  /** Accidental deletion prevention, which the agent's side heeds: disabled, enabledForCount, enabledForPercentage. */
  deletion_prevention: Generated<string>;
  deletion_threshold: Generated<number>;
  /** What keyed digests in this database are keyed with: 32 random bytes. */
  digest_key: Uint8Array;
}

export interface UsersTable {
  id: Generated<number>;
  object_id: string;
  /** Null: a user of the cloud alone. */
  source_anchor: string | null;
  /** userPrincipalNameKey() of the name; unique among users that are not deleted. */
  upn_key: string;
  user_principal_name: string;
  display_name: string | null;
  given_name: string | null;
  surname: string | null;
  mail: string | null;
  account_enabled: number;
  sam_account_name: string | null;
  distinguished_name: string | null;
  security_identifier: Uint8Array | null;
  dns_domain_name: string | null;
  netbios_name: string | null;
  /** pwdLastSet as provisioned; 1601-01-01: must change at the next sign-in. */
  last_password_change: number | null;
  /** Graph's passwordPolicies: null, `None`, `DisablePasswordExpiration`, `DisableStrongPassword`, or both with `, `. */
  password_policies: string | null;
  /** What the person signed in to before that is over: sessions, refresh tokens, access tokens. Null: never revoked. */
  sessions_valid_from: number | null;
  /** Client id of the agent that the user belongs to, where agents are kept apart by `agents[].domains`. Null: nobody's in particular. */
  owner: string | null;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

export interface CredentialsTable {
  user_id: number;
  salt: Uint8Array;
  iterations: number;
  hash: Uint8Array;
  /** ChangeDate of the last change that came from on premises; null: none came. */
  change_date: number | null;
  force_change: number;
  origin: CredentialOrigin;
  /** lastPasswordChangeDateTime: `change_date`, or the time of the change in the cloud. Password expiry counts from it. */
  changed_at: number;
  updated_at: number;
}

export const CredentialOrigin = {
  /** Synchronized. */
  onPremises: 0,
  /** Reset by an administrator in the cloud. */
  reset: 1,
  /** Changed by its owner in the cloud, and written back. */
  changed: 2,
} as const;
export type CredentialOrigin = (typeof CredentialOrigin)[keyof typeof CredentialOrigin];

/** Every change of a credential, without the credential; appended, the oldest are dropped. */
export interface CredentialHistoryTable {
  id: Generated<number>;
  user_id: number;
  at: number;
  origin: CredentialOrigin;
  /** ChangeDate where it came from on premises. */
  change_date: number | null;
  iterations: number;
  force_change: number;
  /** The agent's client id, the administrator's object id, or the user's own. */
  actor: string;
}

/** Smart lockout, for names that no user has as well. */
export interface LockoutsTable {
  /** 16 bytes: keyed digest of the user principal name's key. */
  name_digest: Uint8Array;
  /** Counters are apart for familiar and unfamiliar places. */
  familiar: number;
  failures: number;
  locked_until: number;
  /** Locks in a row: each lasts longer. */
  locks: number;
  /** Up to three fingerprints of four bytes each: the last wrong passwords. */
  wrong: Uint8Array;
  updated_at: number;
}

/** Places (keyed digests of network prefixes) from which a user has signed in. */
export interface FamiliarPlacesTable {
  user_id: number;
  place_digest: Uint8Array;
  last_used: number;
}

export interface DomainsTable {
  /** Lower case. */
  name: string;
  authentication_type: 'Managed' | 'Federated';
  /** Where a federated domain's users sign in. */
  federation_url: string | null;
  /** Federation's backup: sign in here by password hash all the same. */
  password_hash_fallback: number;
  /** Null: 90 days. 2147483647: never. */
  password_validity_days: number | null;
  password_notification_days: number | null;
  is_default: number;
}

export interface GroupsTable {
  group_id: string;
  display_name: string;
  description: string | null;
  created_at: number;
}

export interface GroupMembersTable {
  group_id: string;
  user_id: number;
}

/** Staged rollout. */
export interface RolloutPoliciesTable {
  policy_id: string;
  display_name: string;
  description: string | null;
  /** passwordHashSync, passthroughAuthentication, seamlessSso, … */
  feature: string;
  is_enabled: number;
  is_applied_to_organization: number;
  created_at: number;
}

export interface RolloutGroupsTable {
  policy_id: string;
  group_id: string;
  added_at: number;
}

export interface RiskyUsersTable {
  user_id: number;
  /** low, medium, high, none */
  risk_level: string;
  /** atRisk, remediated, dismissed, confirmedSafe, confirmedCompromised */
  risk_state: string;
  risk_detail: string;
  updated_at: number;
}

export interface RiskEventsTable {
  id: Generated<number>;
  event_id: string;
  user_id: number;
  /** leakedCredentials */
  type: string;
  level: string;
  detected_at: number;
}

/** The sign-in log. A name that no user has is not written down: people type passwords there. */
export interface SignInsTable {
  id: Generated<number>;
  sign_in_id: string;
  at: number;
  /** Null: no such user. */
  user_object_id: string | null;
  user_principal_name: string | null;
  client_id: string;
  /** password, browser, deviceCode, refresh */
  flow: string;
  address: string;
  familiar: number;
  /** AADSTS number; 0: signed in. */
  error_code: number;
  correlation_id: string;
}

export interface AuditEventsTable {
  id: Generated<number>;
  audit_id: string;
  at: number;
  /** app, user, system */
  actor_kind: string;
  actor_id: string;
  activity: string;
  category: string;
  target_kind: string;
  target_id: string;
  target_name: string | null;
  /** success, failure */
  result: string;
  reason: string | null;
  /** JSON, without secrets. */
  details: string;
  correlation_id: string | null;
}

/** What oidc-provider keeps: sessions, grants, codes, refresh tokens, device codes. Ids lie here as digests only. */
export interface OidcPayloadsTable {
  model: string;
  id_digest: string;
  payload: string;
  grant_id: string | null;
  user_code: string | null;
  uid: string | null;
  /** The user whose session or token it is. */
  account_id: string | null;
  expires_at: number | null;
  consumed_at: number | null;
}

export interface SigningKeysTable {
  kid: string;
  /** Private JWK, or a JWE of it. */
  jwk: string;
  created_at: number;
  /** Signs from then on; before that it is only published. */
  active_from: number;
  /** Published no longer after that. */
  retired_at: number | null;
}

/** Public keys of the agents that write passwords back. */
export interface WritebackAgentsTable {
  client_id: string;
  instance_id: string;
  /** Public JWK. */
  public_key: string;
  /** JSON array of the DNS domains that it serves. */
  domains: string;
  seen_at: number;
}

/** Domain Services of this tenant; without a row they never were configured. */
export interface DomainServicesTable {
  readonly id: 1;
  enabled: number;
  /** Lower case. */
  domain_name: string;
  /** `domainSecuritySettings`: a JSON object of Enabled and Disabled. */
  security_settings: string;
  /** Of the feed's cookies: another one after every switching on and every restore. */
  epoch: string;
  /** The last number that a change of the feed was given. */
  sequence: number;
  /** Deletions up to this number may have been forgotten. */
  forgotten: number;
  updated_at: number;
}

/** Public keys of the managed domain, the newest for agents to seal to; the private ones are never here. */
export interface DomainServicesCertificatesTable {
  /** 20 bytes: SHA-1 of the certificate, as the blobs name it. */
  thumbprint: Uint8Array;
  certificate: Uint8Array;
  /** Bytes of the modulus. */
  key_bytes: number;
  not_after: number;
  /** The newest has the highest. */
  added_at: number;
}

/** What agents have sealed for Domain Services: opaque here. */
export interface WindowsCredentialsTable {
  user_id: number;
  /** Of the certificate that both are sealed to. */
  thumbprint: Uint8Array;
  change_date: number;
  updated_at: number;
  legacy: Uint8Array | null;
  supplemental: Uint8Array | null;
  /** SHA-256 of each, made when it was taken in (or by migration 6, of what was there). */
  legacy_digest: Uint8Array | null;
  supplemental_digest: Uint8Array | null;
}

/** Users that have changed, as triggers note them, until the next reader gives the changes their numbers. */
export interface DomainServicesPendingTable {
  id: Generated<number>;
  object_id: string;
}

/** The number of each user's last change since Domain Services was switched on; deleted users stay for a time. */
export interface DomainServicesFeedTable {
  object_id: string;
  sequence: number;
  changed_at: number;
}

export interface Tables {
  tenant: TenantTable;
  users: UsersTable;
  credentials: CredentialsTable;
  credential_history: CredentialHistoryTable;
  lockouts: LockoutsTable;
  familiar_places: FamiliarPlacesTable;
  domains: DomainsTable;
  groups: GroupsTable;
  group_members: GroupMembersTable;
  rollout_policies: RolloutPoliciesTable;
  rollout_groups: RolloutGroupsTable;
  risky_users: RiskyUsersTable;
  risk_events: RiskEventsTable;
  sign_ins: SignInsTable;
  audit_events: AuditEventsTable;
  oidc_payloads: OidcPayloadsTable;
  signing_keys: SigningKeysTable;
  writeback_agents: WritebackAgentsTable;
  domain_services: DomainServicesTable;
  domain_services_certificates: DomainServicesCertificatesTable;
  windows_credentials: WindowsCredentialsTable;
  domain_services_pending: DomainServicesPendingTable;
  domain_services_feed: DomainServicesFeedTable;
}
