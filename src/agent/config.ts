/** The agent's configuration file: its schema, and what of it needs a word of explanation when it is wrong. */

import { z } from 'zod';
import { loadConfig } from '../config/load-config.js';
import type { ConfigSchemas } from '../config/schemas.js';
import { directorySchema, host } from './config/directory.js';
import { scopeSchema } from './config/scope.js';

const FIXED_INTERVAL =
  'the agent looks for changed passwords every two minutes, and this cannot be configured: leave the key out';
const INTERVAL_KEYS = ['interval', 'intervalSeconds', 'syncInterval', 'schedule', 'scheduler'] as const;

const UNVERIFIED =
  'the tenant is spoken to over TLS with its certificate checked, and this cannot be turned off: for a certificate ' +
  'authority of your own set tenant.ca';
const UNVERIFIED_KEYS = ['insecure', 'verify', 'rejectUnauthorized', 'skipTlsVerify', 'tlsVerify'] as const;

/** Keys that people look for, each refused with the reason why there is none. */
function refused<Key extends string>(keys: readonly Key[], why: string) {
  const never = z.never(why).optional();
  return Object.fromEntries(keys.map((key) => [key, never])) as Record<Key, typeof never>;
}

const loopback = host.regex(
  /^(127\.\d+\.\d+\.\d+|::1|localhost)$/,
  'expected a loopback address: nobody logs on there',
);

function tenantSchema({ path, secret }: ConfigSchemas) {
  return z.strictObject({
    ...refused(UNVERIFIED_KEYS, UNVERIFIED),
    url: z.url({ protocol: /^https$/, error: 'expected an https URL' }),
    ca: path.optional(),
    auth: z.strictObject({ clientId: z.string().min(1).max(256), clientSecret: secret }),
    /** An HTTP proxy that CONNECTs to the tenant. */
    proxy: z
      .strictObject({
        url: z.url({ protocol: /^https?$/, error: 'expected an http or https URL' }),
        user: z.string().min(1).max(256).optional(),
        password: secret.optional(),
      })
      .refine(({ user, password }) => (user === undefined) === (password === undefined), {
        message: 'expected both user and password, or neither',
      })
      .optional(),
  });
}

export function agentConfigSchema(schemas: ConfigSchemas) {
  return z.strictObject({
    ...refused(INTERVAL_KEYS, FIXED_INTERVAL),
    stateDir: schemas.path,
    logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    /** In FIPS mode: use MD4, MD5 and RC4 all the same, which replication and NTLM are made of. */
    allowMd5InFips: z.boolean().default(false),
    /** Staging mode: imports and computes everything and sends nothing. */
    staging: z.boolean().default(false),
    /** Where /healthz, /readyz and /metrics are; none without it. */
    monitor: z.strictObject({ host: loopback.default('127.0.0.1'), port: z.int().min(0).max(65535) }).optional(),
    tenant: tenantSchema(schemas),
    connectors: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(128),
          enabled: z.boolean().default(true),
          /** Seconds by which this connector's cycles start later than the agent's. */
          phaseSeconds: z.int().min(0).max(119).default(0),
          directory: directorySchema(schemas),
          scope: scopeSchema,
          /** Disables users in the tenant whose account has expired in the directory, which Entra Connect does not. */
          disableExpiredAccounts: z.boolean().default(false),
        }),
      )
      .min(1, 'expected at least one connector')
      .max(64)
      .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, 'two connectors share a name')
      // Each would delete whom the other has just made of a user who moves from one's OUs to the other's.
      .refine((list) => {
        const domains = list.flatMap(({ enabled, directory }) =>
          enabled && directory.type === 'drs' ? [directory.domain] : [],
        );
        return new Set(domains).size === domains.length;
      }, 'two enabled connectors replicate the same domain: give one of them the OUs of both'),
  });
}

export type AgentConfig = z.output<ReturnType<typeof agentConfigSchema>>;
export type ConnectorConfig = AgentConfig['connectors'][number];
export type DirectoryConfig = ConnectorConfig['directory'];
export type DrsDirectoryConfig = Extract<DirectoryConfig, { type: 'drs' }>;
export type DrsAuthConfig = DrsDirectoryConfig['auth'];

/** Reads agent.yaml. Throws PhsyncError `config-*`, naming key, line and expectation. */
export function loadAgentConfig(file: string): Promise<AgentConfig> {
  return loadConfig(file, agentConfigSchema);
}
