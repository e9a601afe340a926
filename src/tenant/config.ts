/** tenant.yaml: the keys of the tenant server's configuration. */

import { z } from 'zod';
import { loadConfig } from '../config/load-config.js';
import type { ConfigSchemas } from '../config/schemas.js';
import { agentsSchema, applicationsSchema, domainServicesSchema, readersApart } from './config/clients.js';
import { domainsSchema } from './config/domains.js';
import { passwordWritebackSchema, rateLimitSchema, retentionSchema, signInSchema } from './config/sign-in.js';

export function tenantSchema({ path, secret }: ConfigSchemas) {
  return z
    .strictObject({
      stateDir: path.describe('database, certificates and keys; made with mode 0700'),
      listen: z
        .strictObject({
          host: z.string().min(1).default('127.0.0.1').describe('address or name of this machine'),
          port: z.number().int().min(0).max(65535).describe('0 takes a free one'),
        })
        .describe('where the server listens'),
      tls: z
        .union(
          [
            z.literal('auto'),
            z.strictObject({ cert: path.describe('PEM, with its chain'), key: path.describe('PEM') }),
          ],
          'expected auto or { cert: FILE, key: FILE }',
        )
        .default('auto')
        .describe('auto: a CA of its own and a certificate, below stateDir'),
      publicUrl: z
        .url({ protocol: /^https$/, error: 'expected an https URL' })
        .optional()
        .describe('what clients call this server, where it is not listen.host and port; the issuer of its tokens'),
      store: z
        .discriminatedUnion(
          'type',
          [
            z.strictObject({ type: z.literal('sqlite') }),
            z.strictObject({
              type: z.literal('postgres'),
              url: secret.describe('postgres://user:password@host:port/database?sslmode=verify-full, as a whole'),
              maxConnections: z.number().int().min(1).max(1000).default(10).describe('of each tenant process'),
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
        .default({ type: 'sqlite' })
        .describe('sqlite: one file below stateDir, for one process. postgres: several tenant processes may share it'),
      displayName: z.string().min(1).max(256).default('phsync tenant').describe("the organization's name"),
      domains: domainsSchema,
      agents: agentsSchema(secret),
      applications: applicationsSchema(secret),
      domainServices: domainServicesSchema(secret),
      administrators: z
        .array(z.string().min(3).max(1024))
        .default([])
        .describe("user principal names whose tokens may carry an administrator's scopes"),
      signIn: signInSchema,
      passwordWriteback: passwordWritebackSchema,
      retention: retentionSchema,
      rateLimit: rateLimitSchema,
      monitor: z
        .strictObject({
          host: z.string().min(1).default('127.0.0.1').describe('a loopback address'),
          port: z.number().int().min(0).max(65535).describe('0 takes a free one'),
        })
        .optional()
        .describe('/healthz, /readyz and /metrics (Prometheus), without TLS; left out: none'),
      logLevel: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info')
        .describe('how much the log on standard error tells'),
      allowMd5InFips: z
        .boolean()
        .default(false)
        .describe('in FIPS mode: use MD4 all the same, without which no password can be checked'),
      hasher: z
        .strictObject({ threads: z.number().int().min(1).max(256).describe('at most') })
        .default({ threads: 1 })
        .describe('the threads that check passwords'),
    })
    .superRefine(readersApart);
}

export type TenantConfig = z.output<ReturnType<typeof tenantSchema>>;

/** @throws PhsyncError `config-…` */
export function loadTenantConfig(file: string): Promise<TenantConfig> {
  return loadConfig(file, tenantSchema);
}
