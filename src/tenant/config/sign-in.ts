/** `signIn`, `passwordWriteback`, `retention` and `rateLimit` of tenant.yaml: the rules of signing in, and limits. */

import { z } from 'zod';

export const signInSchema = z
  .strictObject({
    lockoutThreshold: z
      .number()
      .int()
      .min(1)
      .max(50)
      .default(10)
      .describe('smart lockout: wrong passwords until the account is locked'),
    lockoutSeconds: z
      .number()
      .int()
      .min(5)
      .max(18_000)
      .default(60)
      .describe('smart lockout: how long the first lock lasts; each one in a row lasts longer'),
    keepMeSignedIn: z.boolean().default(true).describe('whether people are offered to stay signed in for 180 days'),
    blockHighRisk: z.boolean().default(false).describe('refuse people at high risk until their password changes'),
    trustedProxies: z
      .array(z.string().min(2))
      .default([])
      .describe('addresses or networks (CIDR) of proxies whose X-Forwarded-For is believed'),
  })
  .prefault({})
  .describe('the rules of signing in');

export const passwordWritebackSchema = z
  .strictObject({
    timeoutSeconds: z
      .number()
      .int()
      .min(5)
      .max(120)
      .default(30)
      .describe("how long a person who changes the password waits for the domain controller's answer"),
  })
  .prefault({})
  .describe('passwords that are changed here and go back on premises');

const days = z.number().int().min(1).max(3650).default(30);
export const retentionSchema = z
  .strictObject({
    signIns: days.describe('the sign-in log'),
    audit: days.describe('the audit log'),
    deletedUsers: days.describe('users who were deleted, until they cannot come back'),
  })
  .prefault({})
  .describe('days after which something is dropped');

const perMinute = (standard: number) => z.number().int().min(1).default(standard);
export const rateLimitSchema = z
  .strictObject({
    token: perMinute(600).describe('requests for tokens'),
    graph: perMinute(1200).describe('requests below /v1.0'),
    pages: perMinute(600).describe('everything else but provisioning, which has no limit'),
  })
  .prefault({})
  .describe('requests a minute and address until the answer is 429; each tenant process counts for itself');
