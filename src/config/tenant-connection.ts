/** The key `tenant` of a program that speaks to one: the agent's, and the managed side's of Domain Services. */

import { z } from 'zod';
import { refused } from './refused.js';
import type { ConfigSchemas } from './schemas.js';

const UNVERIFIED =
  'the tenant is spoken to over TLS with its certificate checked, and this cannot be turned off: for a certificate ' +
  'authority of your own set tenant.ca';
const UNVERIFIED_KEYS = ['insecure', 'verify', 'rejectUnauthorized', 'skipTlsVerify', 'tlsVerify'] as const;

/** What the descriptions say of the program. */
interface Words {
  readonly url: string;
  readonly clientId: string;
  readonly auth: string;
}

/** `url`, `ca`, `auth` and `proxy`. */
export function tenantConnectionSchema({ path, secret }: ConfigSchemas, words: Words) {
  return z.strictObject({
    ...refused(UNVERIFIED_KEYS, UNVERIFIED),
    url: z.url({ protocol: /^https$/, error: 'expected an https URL' }).describe(words.url),
    ca: path.describe("Certificate authorities of your own, as PEM; the system's otherwise.").optional(),
    auth: z
      .strictObject({
        clientId: z.string().min(1).max(256).describe(words.clientId),
        clientSecret: secret.describe('The secret that goes with it.'),
      })
      .describe(words.auth),
    proxy: z
      .strictObject({
        url: z
          .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
          .refine((url) => new URL(url).username === '', 'name user and password in keys of their own')
          .describe('Where the proxy is, e.g. http://proxy.contoso.com:3128.'),
        user: z.string().min(1).max(256).describe('Who asks the proxy, where it wants to know.').optional(),
        password: secret.describe("The proxy user's password.").optional(),
      })
      .refine(({ user, password }) => (user === undefined) === (password === undefined), {
        message: 'expected both user and password, or neither',
      })
      .describe('An HTTP proxy that CONNECTs to the tenant; none without it, whatever HTTPS_PROXY says.')
      .optional(),
  });
}
