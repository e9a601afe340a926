/** domain-services.yaml: where the tenant is, which keys open what it hands out, and which domain it goes to. */

import { z } from 'zod';
import { loadConfig } from '../config/load-config.js';
import { monitorSchema } from '../config/monitor.js';
import type { ConfigSchemas } from '../config/schemas.js';
import { tenantConnectionSchema } from '../config/tenant-connection.js';

const tenantSchema = (schemas: ConfigSchemas) =>
  tenantConnectionSchema(schemas, {
    url: "The tenant, e.g. https://tenant.example; an agent's URL of it does as well.",
    clientId: 'The name that the tenant knows this program by.',
    auth: "OAuth 2.0 client credentials: of domainServices.clients in the tenant's configuration.",
  });

function keySchema({ path, secret }: ConfigSchemas) {
  return z.strictObject({
    certificate: path.describe('The certificate that the tenant was given, PEM or DER; RSA of 2048 bits and more.'),
    privateKey: z
      .union(
        [
          z.strictObject({
            file: path.describe('An encrypted PKCS #8 key, PEM or DER.'),
            passphrase: secret.describe('What it is encrypted with.'),
          }),
          z.strictObject({
            pkcs11: z
              .strictObject({
                module: path.describe("The token's library, e.g. /usr/lib/softhsm/libsofthsm2.so."),
                token: z.string().min(1).max(32).describe("The token's label."),
                pin: secret.describe("The PIN of the token's user."),
              })
              .describe(
                'A token that the key never leaves. Which one of its keys: the modulus of the certificate says.',
              ),
          }),
        ],
        'expected { file: PATH, passphrase: { … } } or { pkcs11: { module, token, pin } }',
      )
      .describe('The private key of the certificate.'),
  });
}

function managedDomainSchema({ path }: ConfigSchemas) {
  return z.strictObject({
    type: z.literal('samba').describe("A Samba domain controller's database, on the machine that this runs on."),
    smbConf: path.default('/etc/samba/smb.conf').describe("The domain controller's smb.conf."),
    python: path.default('/usr/bin/python3').describe("A python3 that has Samba's modules."),
    organizationalUnit: z
      .string()
      .min(1)
      .max(64)
      .default('AADDC Users')
      .describe("Where the users are made, directly below the domain's head."),
  });
}

export function domainServicesConfigSchema(schemas: ConfigSchemas) {
  return z.strictObject({
    stateDir: schemas.path.describe('The directory where the program keeps what it knows; one program each.'),
    logLevel: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
      .default('info')
      .describe('What the log on standard error tells.'),
    waitSeconds: z
      .int()
      .min(0)
      .max(30)
      .default(20)
      .describe('How long the tenant may hold a question for changes until there is one; then the next is asked.'),
    deletionThreshold: z
      .int()
      .min(0)
      .max(100_000)
      .default(50)
      .describe(
        'When all is read anew: so many users at most, and no more than half of all, are deleted for being gone; ' +
          'otherwise the program leaves them and says so. --allow-deletions lets it pass, once.',
      ),
    monitor: monitorSchema({
      pages: '/healthz, /readyz, /status and /metrics',
      readyMinutes: {
        least: 1,
        usual: 5,
        describe: '/readyz fails where tenant and domain were not heard of for so many minutes.',
      },
    }),
    tenant: tenantSchema(schemas).describe('Where users and sealed credentials come from.'),
    keys: z
      .array(keySchema(schemas))
      .min(1, 'expected at least one key')
      .max(16)
      .describe('What opens the credentials: the newest certificate, and older ones until nothing is sealed for them.'),
    managedDomain: managedDomainSchema(schemas).describe('Where they go to.'),
  });
}

export type DomainServicesConfig = z.output<ReturnType<typeof domainServicesConfigSchema>>;
export type KeyConfig = DomainServicesConfig['keys'][number];

/** Reads domain-services.yaml. Throws PhsyncError `config-*`, naming key, line and expectation. */
export function loadDomainServicesConfig(file: string): Promise<DomainServicesConfig> {
  return loadConfig(file, domainServicesConfigSchema);
}
