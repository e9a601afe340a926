/** `passwordWriteback` in agent.yaml: of the agent, and of a connector. */

import { z } from 'zod';
import type { ConfigSchemas } from '../../config/schemas.js';

export const agentWritebackSchema = z
  .strictObject({
    enabled: z.boolean().describe('Set passwords in the directories that people change at the tenant.'),
  })
  .describe('Password write-back; off without it.')
  .optional();

export function connectorWritebackSchema({ path, secret }: ConfigSchemas) {
  return z
    .strictObject({
      enabled: z.boolean().default(true).describe("false leaves this connector's directory out."),
      auth: z
        .strictObject({
          user: z.string().min(1).max(512).describe('phs.writeback, PHS\\phs.writeback or phs.writeback@phs.test'),
          password: secret.describe("The account's password."),
        })
        .describe('The account that sets passwords; the one of `directory.auth` otherwise, where it has a password.')
        .optional(),
      tls: z.enum(['ldaps', 'starttls']).default('ldaps').describe('How LDAP gets its TLS.'),
      port: z.int().min(1).max(65535).describe('A TCP port; 636, and 389 for starttls, otherwise.').optional(),
      ca: path
        .describe("Certificate authorities of the domain controllers, as PEM; the system's otherwise.")
        .optional(),
    })
    .describe('How passwords are written back to this directory.')
    .optional();
}

interface Connector {
  readonly enabled: boolean;
  readonly directory:
    | { readonly type: 'lab' }
    | { readonly type: 'drs'; readonly auth: { readonly password?: unknown; readonly user?: string | undefined } };
  readonly passwordWriteback?: { readonly enabled: boolean; readonly auth?: unknown } | undefined;
}

/** Connectors that shall write back and have no account that could: LDAP's simple bind wants a password. */
export function refuseMissingAccounts(
  {
    passwordWriteback,
    connectors,
  }: { readonly passwordWriteback?: { enabled: boolean } | undefined; readonly connectors: readonly Connector[] },
  context: z.RefinementCtx,
): void {
  if (!passwordWriteback?.enabled) return;
  for (const [i, { enabled, directory, passwordWriteback: own }] of connectors.entries()) {
    if (!enabled || directory.type !== 'drs' || own?.enabled === false || own?.auth !== undefined) continue;
    if (directory.auth.password !== undefined && directory.auth.user !== undefined) continue;
    context.addIssue({
      code: 'custom',
      path: ['connectors', i, 'passwordWriteback'],
      message:
        'expected auth: { user: NAME, password: SECRET }: passwords are set over LDAP, where the account of ' +
        'directory.auth cannot log on without a password',
    });
  }
}
