/** `domainServices` in agent.yaml: what this agent sends for Domain Services, where the tenant has them. */

import { z } from 'zod';
import type { ConfigSchemas } from '../../config/schemas.js';

export function domainServicesSchema({ path }: ConfigSchemas) {
  return z
    .strictObject({
      send: z
        .enum(['auto', 'never'])
        .default('auto')
        .describe(
          'auto: NT hashes and Kerberos keys, sealed, while the tenant has Domain Services switched on; never: not even then.',
        ),
      certificates: path
        .describe(
          'Certificates that keys may be sealed for, as PEM; without it the one that the tenant names, whichever it is.',
        )
        .optional(),
    })
    .describe('Domain Services: keys for NTLM and Kerberos in a managed domain.')
    .optional();
}
