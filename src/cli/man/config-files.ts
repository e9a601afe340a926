/** The configuration files that have manual pages. */

import { agentConfigSchema } from '../../agent/config.js';
import { describeSchema } from '../../config/describe-schema.js';
import { configSchemas } from '../../config/schemas.js';
import { domainServicesConfigSchema } from '../../domain-services/config.js';
import { tenantSchema } from '../../tenant/config.js';
import type { ConfigFile } from './config-page.js';

const schemas = configSchemas('/');

export const agentYaml = (): ConfigFile => ({
  name: 'agent.yaml',
  of: 'agent',
  how: '`phsync init` writes such a file, with every key and what it means.',
  schema: describeSchema(agentConfigSchema(schemas)),
  example: `stateDir: /var/lib/phsync
tenant:
  url: https://tenant.example/provisioningservice.svc
  auth: { clientId: agent-1, clientSecret: { file: client-secret } }
connectors:
  - name: contoso.com
    directory:
      type: drs
      domain: contoso.com
      auth: { mechanism: negotiate, user: phs.sync, password: { file: ad-password } }`,
  other: 'tenant.yaml',
});

export const tenantYaml = (): ConfigFile => ({
  name: 'tenant.yaml',
  of: 'tenant',
  how: 'The first start makes stateDir, and in it the authority that clients trust: ca.pem.',
  schema: describeSchema(tenantSchema(schemas)),
  example: `stateDir: /var/lib/phsync-tenant
listen: { host: 0.0.0.0, port: 443 }
publicUrl: https://login.contoso.com
tls: { cert: login.pem, key: login.key }
store: { type: postgres, url: { file: database-url } }
domains: [{ name: contoso.com }]
agents: [{ clientId: agent-1, clientSecret: { file: agent-1-secret } }]
applications:
  - clientId: intranet
    displayName: Intranet
    redirectUris: [https://intranet.contoso.com/callback]
administrators: [admin@contoso.com]
monitor: { port: 9465 }`,
  other: 'agent.yaml',
});

export const domainServicesYaml = (): ConfigFile => ({
  name: 'domain-services.yaml',
  of: 'domain-services',
  how: 'Keys, passphrase and client secret are made beforehand; the guide in src/domain-services says how.',
  schema: describeSchema(domainServicesConfigSchema(schemas)),
  example: `stateDir: /var/lib/phsync-domain-services
tenant:
  url: https://tenant.example
  auth: { clientId: domain-services, clientSecret: { file: client-secret } }
keys:
  - certificate: domain-services.pem
    privateKey: { file: domain-services.key, passphrase: { file: passphrase } }
managedDomain: { type: samba }
monitor: { port: 9466 }`,
  other: 'tenant.yaml',
});
