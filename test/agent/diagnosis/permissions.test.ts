/** The rights of an account where no domain controller can be asked: that is no "all is well". */

import { expect, test } from 'vitest';
import { systemClock } from '#src/agent/clock.js';
import { agentConfigSchema } from '#src/agent/config.js';
import { checkPermissions } from '#src/agent/diagnosis/permissions.js';
import { parseConfig } from '#src/config/load-config.js';

const YAML = `
stateDir: ./state
tenant: { url: https://tenant.example/provisioningservice.svc, auth: { clientId: a, clientSecret: { env: S } } }
connectors:
  - name: nowhere
    directory:
      { type: drs, domain: nowhere.invalid, dnsServers: [127.0.0.1], auth: { user: u, password: { env: S } } }
`;

test('DNS names no domain controller', async () => {
  const [connector] = parseConfig(YAML, '/etc/phsync/agent.yaml', agentConfigSchema).connectors;
  const options = { clock: systemClock, env: {}, allowMd5InFips: false };
  const checks = await checkPermissions(connector!, options);
  expect(checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
    'dc-found error',
    'right-get-changes skipped',
    'right-get-changes-all skipped',
  ]);
});
