import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { Dam } from '../dam.js';
import { DOMAIN, SECRET, TestSite } from './site.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const USERS = 12_000;
const KILLS = 20;
/** What a page of 1,000 users and their passwords takes on the wire, about. */
const PAGE_BYTES = 1_500_000;

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

/** Its tenant is behind `url`. */
function startAgent(url: string): ChildProcess {
  const config = join(site.directory, 'agent.yaml');
  writeFileSync(
    config,
    stringify({
      stateDir: './agent',
      tenant: {
        url: `${url}/provisioningservice.svc`,
        ca: site.tenant.caPath,
        auth: { clientId: 'agent-1', clientSecret: { env: 'SECRET' } },
      },
      connectors: [{ name: 'lab', directory: { type: 'lab', users: USERS, domain: DOMAIN } }],
    }),
  );
  return spawn(process.execPath, [MAIN, 'agent', '--config', config, '--once', '--json'], {
    env: { ...process.env, SECRET },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

describe('an agent that is killed', () => {
  test(`${KILLS} times in a first synchronization: the next complete run leaves every password right`, async () => {
    const lab = site.lab({ users: USERS });
    const reached: number[] = [];
    for (let i = 0; i < KILLS; i++) {
      const dam = await Dam.before(site.tenant.url);
      const child = startAgent(dam.url);
      const ended = once(child, 'exit');
      // From a moment after the start to the third page that it sends; spread so that each kill comes at another step,
      // also while the tenant's last answers come in and are worked on.
      dam.allow(((i * 7 + Math.random()) % KILLS) * ((2.5 * PAGE_BYTES) / KILLS));
      await Promise.race([dam.dry(), ended]);
      await sleep(20 * Math.random());
      child.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
      await dam.close();
      reached.push((await site.tenant.store.counts()).credentials);
    }
    // They were killed on the way, some of them further than those before.
    expect(new Set(reached).size).toBeGreaterThan(3);
    expect(reached.at(-1)).toBeLessThan(USERS);

    const last = startAgent(site.tenant.url);
    let stdout = '';
    last.stdout!.on('data', (chunk) => (stdout += chunk));
    const [code] = await once(last, 'close');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ done: true, connectors: [{ retryQueue: 0, failed: 0 }] });
    expect(await site.wrongUsers(lab)).toEqual([]);
    const { users } = await site.tenant.store.counts();
    const known = [...site.store.connector('lab').outcomes().values()];
    expect(users).toBe(known.reduce((a, b) => a + b));
  }, 480_000);
});
