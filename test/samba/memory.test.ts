/** After a synchronization no NT hash is left: not in the agent's memory, not in state, logs or the tenant's database. */

import { expect, it } from 'vitest';
import { SecretScanner } from '../secrets/secret-scan.js';
import { describeDc, users } from './dc.js';
import { Site } from './harness.js';

/** Put into the agent's environment, and so into its memory: the search must find this one. */
const PLANTED = '5ca1ab1e0ddba11deadbeef0c0ffee99';

describeDc('an agent with the native backend', () => {
  it('keeps no NT hash of the domain in memory or files', async () => {
    const known = users().flatMap(({ name, ntHash }) => (ntHash === null ? [] : [{ name, ntHash }]));
    expect(known.length).toBeGreaterThan(2000);
    const scanner = new SecretScanner([...known, { name: 'planted', ntHash: PLANTED }]);
    const site = await Site.start();
    try {
      const { pid, log } = await site.agentRunning({ PHSYNC_BACKEND: 'native', PHSYNC_TEST_PLANTED: PLANTED });
      expect(log.map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining({ backend: 'native' }));
      expect(log.map((line) => JSON.parse(line))).toContainEqual(
        expect.objectContaining({ msg: 'cycle done', credentialsSent: known.length - 3 }),
      );
      const began = performance.now();
      const { findings, scannedBytes } = scanner.scanProcess(pid);
      expect(findings.filter(({ name }) => name === 'planted')).not.toEqual([]);
      expect(findings.filter(({ name }) => name !== 'planted')).toEqual([]);
      expect(scannedBytes).toBeGreaterThan(50 * 2 ** 20);
      expect(performance.now() - began).toBeLessThan(60_000);

      const files = scanner.scanFiles(site.directory);
      expect(files.findings).toEqual([]);
      expect(files.files.map((path) => path.slice(site.directory.length))).toEqual(
        expect.arrayContaining([
          '/agent-state/agent.sqlite',
          '/agent-state/agent.sqlite-wal',
          '/tenant-state/tenant.sqlite',
          '/tenant-state/tenant.sqlite-wal',
          '/logs/agent.log',
          '/logs/tenant.log',
        ]),
      );
    } finally {
      await site.stop();
    }
  });
});
