/** The agent's configuration file: its schema, and what of it needs a word of explanation when it is wrong. */

import { z } from 'zod';
import { loadConfig } from '../config/load-config.js';
import { type ConfigSchemas, domainName } from '../config/schemas.js';
import { parseDn } from './dn.js';

/** Largest simulated directory; RIDs stay far below 2³⁰, where a domain's RID pool ends. */
const MAX_LAB_USERS = 10_000_000;

const FIXED_INTERVAL =
  'the agent looks for changed passwords every two minutes, and this cannot be configured: leave the key out';
const INTERVAL_KEYS = ['interval', 'intervalSeconds', 'syncInterval', 'schedule', 'scheduler'] as const;

/** A host name or IPv4/IPv6 address, as it is handed to the resolver. */
const host = z.string().regex(/^[A-Za-z0-9._:-]{1,253}$/, 'expected a host name or an address');
const distinguishedName = z
  .string()
  .refine((text) => parseDn(text) !== undefined, 'expected a distinguished name, e.g. OU=Staff,DC=contoso,DC=com');

function directorySchema({ path, secret }: ConfigSchemas) {
  return z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('drs'),
      server: host,
      address: host.optional(),
      domain: domainName,
      auth: z.strictObject({
        mechanism: z.enum(['ntlm', 'negotiate']).default('ntlm'),
        user: z.string().min(1).max(512),
        password: secret,
      }),
      /** Objects in a page of replication; domain controllers have a limit of their own (Samba 1000). */
      pageSize: z.int().min(1).max(10_000).optional(),
      /** Longest silence of the domain controller before the cycle gives up. Default 60. */
      timeoutSeconds: z.number().min(1).max(600).optional(),
    }),
    z.strictObject({
      type: z.literal('lab'),
      users: z.int().min(1).max(MAX_LAB_USERS),
      seed: z.int().min(0).max(0xffffffff).default(1),
      domain: domainName.default('lab.test'),
      /** Passwords that change on their own; 0: none. */
      changesPerMinute: z.number().min(0).max(60_000).default(0),
      /** Where changes made by hand are kept, so that a restart finds them. */
      journal: path.optional(),
    }),
  ]);
}

export function agentConfigSchema(schemas: ConfigSchemas) {
  const interval = z.never(FIXED_INTERVAL).optional();
  return z.strictObject({
    ...(Object.fromEntries(INTERVAL_KEYS.map((key) => [key, interval])) as Record<
      (typeof INTERVAL_KEYS)[number],
      typeof interval
    >),
    stateDir: schemas.path,
    logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    /** In FIPS mode: use MD4, MD5 and RC4 all the same, which replication and NTLM are made of. */
    allowMd5InFips: z.boolean().default(false),
    tenant: z.strictObject({
      url: z.url({ protocol: /^https$/, error: 'expected an https URL' }),
      ca: schemas.path.optional(),
      auth: z.strictObject({ clientId: z.string().min(1).max(256), clientSecret: schemas.secret }),
    }),
    connectors: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(128),
          enabled: z.boolean().default(true),
          directory: directorySchema(schemas),
          scope: z
            .strictObject({
              include: z.array(distinguishedName).max(1000).default([]),
              exclude: z.array(distinguishedName).max(1000).default([]),
            })
            .default({ include: [], exclude: [] }),
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

/** Reads agent.yaml. Throws PhsyncError `config-*`, naming key, line and expectation. */
export function loadAgentConfig(file: string): Promise<AgentConfig> {
  return loadConfig(file, agentConfigSchema);
}
