/** `agents`, `applications` and `domainServices` of tenant.yaml: the OAuth 2.0 clients. */

import { z } from 'zod';
import { type ConfigSchemas, domainName } from '../../config/schemas.js';
import { once } from './once.js';

const clientId = z.string().min(1).max(256).describe('OAuth 2.0 client id');

const redirectUri = z
  .url()
  .refine(
    (uri) => /^https:|^http:\/\/(localhost|127\.0\.0\.1|\[::1\])([:/]|$)|^[a-z][a-z0-9+.-]*\.[a-z0-9+.-]*:/i.test(uri),
    {
      error: "expected https, http on a loopback address, or an application's own scheme (com.example.app:/…)",
    },
  )
  .refine((uri) => !uri.includes('#'), { error: 'must not have a fragment' });

export const agentsSchema = (secret: ConfigSchemas['secret']) =>
  z
    .array(
      z.strictObject({
        clientId,
        clientSecret: secret.describe("the agent's secret"),
        domains: z
          .array(domainName)
          .min(1)
          .optional()
          .describe(
            'the domains that it may act for: those of the user principal names and of the directories that it brings; left out: all',
          ),
      }),
    )
    .default([])
    .superRefine(once('clientId'))
    .describe('the programs that may provision: OAuth 2.0 confidential clients');

export const applicationsSchema = (secret: ConfigSchemas['secret']) =>
  z
    .array(
      z.strictObject({
        clientId,
        displayName: z.string().min(1).max(256).optional().describe('what people are told they sign in to'),
        clientSecret: secret.optional().describe('makes it a confidential client; left out: a public one'),
        redirectUris: z
          .array(redirectUri)
          .default([])
          .describe('where people may be sent with a code; compared exactly'),
        postLogoutRedirectUris: z.array(redirectUri).default([]).describe('where people may be sent after sign-out'),
        delegated: z
          .array(z.string().min(1))
          .default([])
          .describe("scopes of Graph that it may ask for in a person's name, e.g. User.Read.All"),
        permissions: z
          .array(z.string().min(1))
          .default([])
          .describe("Graph's permissions that it has in its own name (client credentials)"),
        idTokenAlgorithm: z
          .enum(['RS256', 'ES256'])
          .default('RS256')
          .describe('signs its id tokens: RS256, which every client knows, or ES256, a tenth of the work'),
      }),
    )
    .superRefine(once('clientId'))
    .optional()
    .describe(
      'the clients that people may sign in through; left out: any client id, as a public client with a password grant',
    );

export const domainServicesSchema = (secret: ConfigSchemas['secret']) =>
  z
    .strictObject({
      clients: z
        .array(z.strictObject({ clientId, clientSecret: secret.describe("the managed domain's secret") }))
        .default([])
        .superRefine(once('clientId'))
        .describe('who may read users and sealed credentials: OAuth 2.0 confidential clients, and nothing else'),
    })
    .prefault({})
    .describe('Domain Services: the managed domains that read from here; switched on by phsync tenant domain-services');

interface Clients {
  readonly agents: readonly { readonly clientId: string }[];
  readonly applications?: readonly { readonly clientId: string }[] | undefined;
  readonly domainServices: { readonly clients: readonly { readonly clientId: string }[] };
}

/** For `superRefine` of the whole: a reader with the id of an agent or application would have the rights of both. */
export function readersApart({ agents, applications = [], domainServices }: Clients, context: z.RefinementCtx): void {
  const others = new Set([...agents, ...applications].map((client) => client.clientId));
  for (const [i, client] of domainServices.clients.entries()) {
    if (!others.has(client.clientId)) continue;
    const path = ['domainServices', 'clients', i, 'clientId'];
    context.addIssue({
      code: 'custom',
      path,
      message: 'is an agent or an application already: expected one of its own',
    });
  }
}
