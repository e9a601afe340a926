import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { DOMAIN, SECRET, TestSite } from './site.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const USERS = 20_000;
const KILLS = 20;

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

function startAgent(): ChildProcess {
  const config = join(site.directory, 'agent.yaml');
  writeFileSync(
    config,
    stringify({
      stateDir: './agent',
      tenant: {
        url: site.tenant.provisioningUrl,
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
      const child = startAgent();
      const ended = once(child, 'exit');
      // Between a moment after the start and the middle of the first synchronization; spread so that each kill
      // comes at another step.
      const { credentials } = await site.tenant.store.counts();
      const target = credentials + (USERS / (KILLS + 2)) * Math.random();
      let kill = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const watch = setInterval(async () => {
        const now = (await site.tenant.store.counts()).credentials;
        if (now <= target) return;
        clearInterval(watch);
        clearTimeout(kill);
        kill = setTimeout(() => child.kill('SIGKILL'), 20 * Math.random());
      }, 5);
      await ended;
      clearInterval(watch);
      clearTimeout(kill);
      reached.push((await site.tenant.store.counts()).credentials);
    }
    // They were killed on the way, each further than the one before.
    expect(reached.filter((n) => n > 0).length).toBeGreaterThan(1);

    const last = startAgent();
    let stdout = '';
    last.stdout!.on('data', (chunk) => (stdout += chunk));
    const [code] = await once(last, 'close');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ done: true, connectors: [{ retryQueue: 0, failed: 0 }] });
    expect(await site.wrongUsers(lab)).toEqual([]);
    const { users } = await site.tenant.store.counts();
    const known = [...site.store.connector('lab').outcomes().values()];
    expect(users).toBe(known.reduce((a, b) => a + b));
  }, 240_000);
});
