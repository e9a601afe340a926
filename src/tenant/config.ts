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
    store: z.strictObject({ type: z.literal('sqlite') }).default({ type: 'sqlite' }),
    displayName: z.string().min(1).max(256).default('phsync tenant'),
    domains: z
      .array(z.strictObject({ name: domainName, authenticationType: z.literal('Managed').default('Managed') }))
      .min(1)
      .superRefine((domains, context) => unique(domains, ({ name }) => name, context, 'name')),
    /** The programs that may provision: OAuth 2.0 confidential clients. */
    agents: z
      .array(z.strictObject({ clientId: z.string().min(1).max(256), clientSecret: secret }))
      .default([])
      .superRefine((agents, context) => unique(agents, ({ clientId }) => clientId, context, 'clientId')),
    /** The public clients that people may sign in through. Left out: any client id. */
    applications: z.array(z.strictObject({ clientId: z.string().min(1).max(256) })).optional(),
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
