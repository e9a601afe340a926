/**
 * How far a sign-in has come, in a sealed cookie of the interaction's path. Not in the database: people type passwords
 * into the field for their name, and what is typed there must not come to lie on a disk.
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Seal } from './seal.js';

const stepSchema = z.strictObject({
  /** As typed; who it is has not been looked at. */
  name: z.string().optional(),
  /** The last answer, for the page that comes next. */
  failure: z
    .strictObject({
      field: z.enum(['name', 'password', 'old', 'new', 'confirm']).optional(),
      message: z.string(),
      /** AADSTS number. */
      code: z.number().optional(),
      correlationId: z.string().optional(),
    })
    .optional(),
  /** *Keep me signed in* was ticked, on the way through a change of password. */
  keep: z.boolean().optional(),
  /** The password was right and must be changed: the only way to the page that changes it. */
  change: z.enum(['expired', 'temporary']).optional(),
});

export type Step = z.output<typeof stepSchema>;

/** `__Secure-`: browsers take it over TLS only. */
const COOKIE = '__Secure-sign-in';

export function readStep(request: FastifyRequest, seal: Seal, uid: string): Step {
  const text = request.headers.cookie
    ?.split(/; */)
    .find((pair) => pair.startsWith(`${COOKIE}=`))
    ?.slice(COOKIE.length + 1);
  const parsed = stepSchema.safeParse(seal.open(uid, text));
  return parsed.success ? parsed.data : {};
}

/** For the browser's session at most; an interaction ends within the hour, and its cookie is good for no other. */
export function writeStep(reply: FastifyReply, seal: Seal, uid: string, path: string, step: Step | undefined): void {
  const value = step === undefined ? '' : seal.close(uid, step);
  const end = step === undefined ? '; Max-Age=0' : '';
  reply.header('set-cookie', `${COOKIE}=${value}; Path=${path}; HttpOnly; Secure; SameSite=Lax${end}`);
}
