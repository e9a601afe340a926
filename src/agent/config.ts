/** The agent's configuration file: its schema, and what of it needs a word of explanation when it is wrong. */

import { z } from 'zod';
import { loadConfig } from '../config/load-config.js';
import { monitorSchema } from '../config/monitor.js';
import { refused } from '../config/refused.js';
import type { ConfigSchemas } from '../config/schemas.js';
import { tenantConnectionSchema } from '../config/tenant-connection.js';
import { directorySchema } from './config/directory.js';
import { domainServicesSchema } from './config/domain-services.js';
import { scopeSchema } from './config/scope.js';
import { agentWritebackSchema, connectorWritebackSchema, refuseMissingAccounts } from './config/write-back.js';

const FIXED_INTERVAL =
  'the agent looks for changed passwords every two minutes, and this cannot be configured: leave the key out';
const INTERVAL_KEYS = ['interval', 'intervalSeconds', 'syncInterval', 'schedule', 'scheduler'] as const;

const tenantSchema = (schemas: ConfigSchemas) =>
  tenantConnectionSchema(schemas, {
    url: "The tenant's provisioning service, e.g. https://tenant.example/provisioningservice.svc.",
    clientId: 'The name that the tenant knows this agent by.',
    auth: 'OAuth 2.0 client credentials of this agent.',
  }).extend({
    healFeature: z
      .boolean()
      .describe(
        "Switch the tenant's password hash synchronization on again where somebody switched it off after this agent had " +
          'sent something there, as Entra Connect does; otherwise the agent stops sending and says so.',
      )
      .optional(),
  });

export function agentConfigSchema(schemas: ConfigSchemas) {
  const keys = z.strictObject({
    ...refused(INTERVAL_KEYS, FIXED_INTERVAL),
    stateDir: schemas.path.describe('The directory where the agent keeps what it knows; one agent each.'),
    logLevel: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
      .default('info')
      .describe('What the log on standard error tells.'),
    allowMd5InFips: z
      .boolean()
      .default(false)
      .describe('In FIPS mode: use MD4, MD5 and RC4 all the same, which replication and NTLM are made of.'),
    staging: z.boolean().default(false).describe('Staging mode: imports and computes everything and sends nothing.'),
    monitor: monitorSchema({
      pages: '/healthz, /readyz and /metrics',
      readyMinutes: {
        least: 3,
        usual: 10,
        describe: '/readyz fails where a connector had no complete cycle for so many minutes.',
      },
    }),
    tenant: tenantSchema(schemas).describe('Where users and credentials go.'),
    domainServices: domainServicesSchema(schemas),
    passwordWriteback: agentWritebackSchema,
    connectors: z
      .array(
        z.strictObject({
          name: z
            .string()
            .min(1)
            .max(128)
            .refine(
              (name) => !name.startsWith('staging:'),
              'expected another name: the state in staging mode is called so',
            )
            .describe('What log, state and diagnosis call this connector.'),
          enabled: z
            .boolean()
            .default(true)
            .describe('false switches the connector off; where it stopped is kept for when it is switched on again.'),
          phaseSeconds: z
            .int()
            .min(0)
            .max(119)
            .default(0)
            .describe("Seconds by which this connector's cycles start later than the agent's."),
          directory: directorySchema(schemas).describe('Where the directory is, and with which account it is asked.'),
          passwordWriteback: connectorWritebackSchema(schemas),
          scope: scopeSchema.describe('Whose users, and whose passwords; the whole domain where it is left out.'),
          disableExpiredAccounts: z
            .boolean()
            .default(false)
            .describe(
              'Disables users in the tenant whose account has expired in the directory, which Entra Connect does not.',
            ),
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
      }, 'two enabled connectors replicate the same domain: give one of them the OUs of both')
      .describe('The domains to synchronize, one connector each.'),
  });
  return keys.superRefine(refuseMissingAccounts);
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
