/** tenant.yaml: the keys of the tenant server's configuration. */

import { z } from 'zod';
import { loadConfig } from '../config/load-config.js';
import { type ConfigSchemas, domainName } from '../config/schemas.js';

function unique<T>(items: readonly T[], key: (item: T) => string, context: z.RefinementCtx, name: string): void {
  const seen = new Set<string>();
  for (const [i, item] of items.entries()) {
    if (seen.has(key(item))) context.addIssue({ code: 'custom', path: [i, name], message: 'stands in the list twice' });
    seen.add(key(item));
  }
}

const domainSchema = z
  .strictObject({
    name: domainName,
    authenticationType: z.enum(['Managed', 'Federated']).default('Managed'),
    /** Where a federated domain's users are sent. */
    federationUrl: z.url({ protocol: /^https$/, error: 'expected an https URL' }).optional(),
    /** Federation's backup: its users sign in here by password hash. */
    passwordHashFallback: z.boolean().default(false),
  })
  .superRefine(({ authenticationType, federationUrl }, context) => {
    if (authenticationType === 'Federated' && federationUrl === undefined) {
      context.addIssue({ code: 'custom', path: ['federationUrl'], message: 'a federated domain needs one' });
    }
    if (authenticationType === 'Managed' && federationUrl !== undefined) {
      context.addIssue({ code: 'custom', path: ['federationUrl'], message: 'only a federated domain has one' });
    }
  });

const redirectUri = z
  .url()
  .refine(
    (uri) => /^https:|^http:\/\/(localhost|127\.0\.0\.1|\[::1\])([:/]|$)|^[a-z][a-z0-9+.-]*\.[a-z0-9+.-]*:/i.test(uri),
    {
      error: "expected https, http on a loopback address, or an application's own scheme (com.example.app:/…)",
    },
  )
  .refine((uri) => !uri.includes('#'), { error: 'must not have a fragment' });

const applicationSchema = (secret: ConfigSchemas['secret']) =>
  z.strictObject({
    clientId: z.string().min(1).max(256),
    displayName: z.string().min(1).max(256).optional(),
    /** A confidential client; left out: a public one. */
    clientSecret: secret.optional(),
    redirectUris: z.array(redirectUri).default([]),
    postLogoutRedirectUris: z.array(redirectUri).default([]),
    /** Scopes of Graph that it may ask for in a user's name, e.g. User.Read.All. */
    delegated: z.array(z.string().min(1)).default([]),
    /** Graph's permissions that it has in its own name (client credentials). */
    permissions: z.array(z.string().min(1)).default([]),
  });

const signInSchema = z.strictObject({
  /** Smart lockout. */
  lockoutThreshold: z.number().int().min(1).max(50).default(10),
  lockoutSeconds: z.number().int().min(5).max(18_000).default(60),
  /** Whether people are offered *Keep me signed in* (180 days). */
  keepMeSignedIn: z.boolean().default(true),
  /** Refuse users at high risk until their password changes. */
  blockHighRisk: z.boolean().default(false),
  /** Addresses or networks (CIDR) of proxies whose X-Forwarded-For is believed. */
  trustedProxies: z.array(z.string().min(2)).default([]),
});

export function tenantSchema({ path, secret }: ConfigSchemas) {
  return z.strictObject({
    /** Database, certificates and the token key; made with mode 0700. */
    stateDir: path,
    listen: z.strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      /** 0 takes a free port. */
      port: z.number().int().min(0).max(65535),
    }),
    /** `auto`: a CA of our own and a certificate below stateDir. */
    tls: z
      .union(
        [z.literal('auto'), z.strictObject({ cert: path, key: path })],
        'expected auto or { cert: FILE, key: FILE }',
      )
      .default('auto'),
    /** What clients call this server, where it is not listen.host and port; goes into tokens as their issuer. */
    publicUrl: z.url({ protocol: /^https$/, error: 'expected an https URL' }).optional(),
    store: z
      .discriminatedUnion(
        'type',
        [
          z.strictObject({ type: z.literal('sqlite') }),
          z.strictObject({
            type: z.literal('postgres'),
            /** `postgres://user:password@host:port/database?sslmode=verify-full`, as a whole. */
            url: secret,
            maxConnections: z.number().int().min(1).max(1000).default(10),
          }),
        ],
        {
          // A wrong type has zod's own words, at store.type. What is no mapping comes here, too, beside zod's types.
          error: ({ code }) =>
            (code as string) === 'invalid_type'
              ? 'expected { type: sqlite } or { type: postgres, url: SECRET }'
              : undefined,
        },
      )
      .default({ type: 'sqlite' }),
    displayName: z.string().min(1).max(256).default('phsync tenant'),
    /** Goes into the store at the first start that names a domain; from then on the store (Graph) has the word. */
    domains: z
      .array(domainSchema)
      .min(1)
      .superRefine((domains, context) => unique(domains, ({ name }) => name, context, 'name')),
    /** The programs that may provision: OAuth 2.0 confidential clients. */
    agents: z
      .array(z.strictObject({ clientId: z.string().min(1).max(256), clientSecret: secret }))
      .default([])
      .superRefine((agents, context) => unique(agents, ({ clientId }) => clientId, context, 'clientId')),
    /** The clients that people may sign in through. Left out: any client id, as a public client with a password grant. */
    applications: z
      .array(applicationSchema(secret))
      .superRefine((applications, context) => unique(applications, ({ clientId }) => clientId, context, 'clientId'))
      .optional(),
    /** User principal names whose delegated tokens carry administrators' scopes. */
    administrators: z.array(z.string().min(3).max(1024)).default([]),
    signIn: signInSchema.prefault({}),
    passwordWriteback: z
      .strictObject({
        /** How long a person who changes the password waits for the domain controller's answer. */
        timeoutSeconds: z.number().int().min(5).max(120).default(30),
      })
      .prefault({}),
    /** Days after which a row is dropped. */
    retention: z
      .strictObject({
        signIns: z.number().int().min(1).max(3650).default(30),
        audit: z.number().int().min(1).max(3650).default(30),
        deletedUsers: z.number().int().min(1).max(3650).default(30),
      })
      .prefault({}),
    /** Requests a minute and address, before 429. */
    rateLimit: z
      .strictObject({
        token: z.number().int().min(1).default(600),
        graph: z.number().int().min(1).default(1200),
        pages: z.number().int().min(1).default(600),
      })
      .prefault({}),
    /** /healthz, /readyz and /metrics, without TLS; a loopback address unless you know better. */
    monitor: z
      .strictObject({ host: z.string().min(1).default('127.0.0.1'), port: z.number().int().min(0).max(65535) })
      .optional(),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    /** In FIPS mode: use MD4 all the same, without which no password can be checked. */
    allowMd5InFips: z.boolean().default(false),
    /** Threads that check passwords. */
    hasher: z.strictObject({ threads: z.number().int().min(1).max(256) }).default({ threads: 1 }),
  });
}

export type TenantConfig = z.output<ReturnType<typeof tenantSchema>>;

/** @throws PhsyncError `config-…` */
export function loadTenantConfig(file: string): Promise<TenantConfig> {
  return loadConfig(file, tenantSchema);
}
