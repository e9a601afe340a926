/** Schema pieces that every configuration file shares: paths that count from the file, and references to secrets. */

import { resolve } from 'node:path';
import { z } from 'zod';

/** Where a secret lies; never the secret itself. `file` is absolute, `credential` a name of LoadCredential=. */
export type SecretReference = { readonly env: string } | { readonly file: string } | { readonly credential: string };

export interface ConfigSchemas {
  /** A file or directory; relative ones count from the configuration file. Output: absolute. */
  readonly path: z.ZodType<string>;
  /** `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`. */
  readonly secret: z.ZodType<SecretReference>;
}

/** A domain as the directory and the tenant name it alike; output in lower case. */
export const domainName = z
  .string()
  .max(253)
  .regex(/^(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})+$/, 'expected a DNS domain name, e.g. contoso.com')
  .transform((name) => name.toLowerCase());

/** The pieces for a file in `directory`. */
export function configSchemas(directory: string): ConfigSchemas {
  const path = z
    .string('expected a path')
    .min(1, 'expected a path, but it is empty')
    .transform((value) => resolve(directory, value));
  const secret = z.union(
    [
      z.strictObject({
        env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable'),
      }),
      z.strictObject({ file: path }),
      // systemd.exec(5), LoadCredential=: what it takes as a name, without those that are directories.
      z.strictObject({
        credential: z
          .string()
          .max(255)
          .regex(/^(?!\.\.?$)[A-Za-z0-9_.-]+$/, 'expected the name of a credential of the service'),
      }),
    ],
    'expected { env: NAME } or { file: PATH }, or { credential: NAME } in a service of systemd; a secret is never written ' +
      'into the configuration itself',
  );
  return { path, secret };
}
