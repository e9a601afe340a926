/** `revokeSignInSessions`: a person is signed out everywhere. */

import { z } from 'zod';
import { revokeSessions } from '../../oidc/revocation.js';
import { notFound } from '../error.js';
import { flag } from '../odata/resource.js';
import type { Permissions } from '../permissions.js';
import { type GraphCall, type GraphReply, route } from '../route.js';
import { findUser } from './user-store.js';

const permissions: Permissions = {
  delegated: ['User.RevokeSessions.All', 'User.ReadWrite.All', 'Directory.ReadWrite.All'],
  application: ['User.RevokeSessions.All'],
};
const reply = {
  status: 200,
  description: 'Revoked.',
  schema: z.object({ '@odata.context': z.url(), value: flag }),
} as const;

export const sessionRoutes = [
  route({
    method: 'POST',
    path: '/users/{id}/revokeSignInSessions',
    operationId: 'user.revokeSignInSessions',
    tag: 'users',
    summary: "Ends the user's sessions, those that are kept among them, refresh tokens, and access tokens to Graph.",
    permissions,
    reply,
    handle: (call) => revoke(call, call.params.id!),
  }),
  route({
    method: 'POST',
    path: '/me/revokeSignInSessions',
    operationId: 'me.revokeSignInSessions',
    tag: 'users',
    summary: 'The same of the signed-in user, with the token of this very call.',
    permissions: { ...permissions, application: [] },
    reply,
    handle: (call) => revoke(call, call.caller.objectId ?? ''),
  }),
];

async function revoke(
  { services, actor, correlationId, contextUrl }: GraphCall<unknown>,
  id: string,
): Promise<GraphReply> {
  await services.database.transaction(async (queries) => {
    const row = await findUser(queries, id);
    if (row === undefined) throw notFound(id);
    await revokeSessions(queries, row.object_id, services.now());
    await services.audit.record(
      {
        actor,
        // Entra's name of it.
        activity: 'Update StsRefreshTokenValidFrom Timestamp',
        category: 'UserManagement',
        target: { kind: 'User', id: row.object_id, name: row.user_principal_name },
        result: 'success',
        correlationId,
      },
      queries,
    );
  });
  return { status: 200, body: { '@odata.context': contextUrl('Edm.Boolean'), value: true } };
}
