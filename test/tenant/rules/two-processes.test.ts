/** Two tenant processes on one PostgreSQL under guessing, one killed: no lockout is bypassed, and who is signed in stays so. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseCredential } from '#src/hasher/credential.js';
import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { describePostgres } from '../../postgres.js';
import { credentialText, temporaryDirectory, vectors } from '../harness.js';

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const USERS = 12;
const GUESSES = 30;
const [WRONG, LOCKED] = [50126, 50053];
/** No answer: the process died. */
const LOST = -1;

describePostgres('two tenant processes on one PostgreSQL, guessed at', (postgres) => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let url: string;
  let store: PostgresStore;
  const ends: (() => unknown)[] = [];
  const { password } = vectors[0]!;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    url = await postgres().createDatabase();
    writeFileSync(
      join(directory.path, 'tenant.yaml'),
      `stateDir: ./state
listen: { host: 127.0.0.1, port: 0 }
domains: [{ name: phs.test }]
store: { type: postgres, url: { env: PHSYNC_DATABASE_URL } }
rateLimit: { token: 1000000 }
signIn: { lockoutSeconds: 18000 }
logLevel: error
`,
    );
    store = await PostgresStore.open({ url, maxConnections: 4, initialFeatures: 1, now: () => new Date() });
    const names = ['member', ...Array.from({ length: USERS }, (_, i) => `user${i}`)];
    await store.applyUsers(
      names.map((name) => ({
        kind: 'upsert',
        sourceAnchor: name,
        attributes: { userPrincipalName: `${name}@phs.test` },
      })),
    );
    await store.applyCredentials(
      names.map((name) => ({
        sourceAnchor: name,
        objectId: undefined,
        changeDate: new Date(),
        ...parseCredential(credentialText(vectors[0]!)),
        forcePasswordChangeOnLogon: false,
      })),
      { disableExpiration: true, actor: 'agent-1' },
    );
  });
  afterAll(async () => {
    for (const end of ends.reverse()) await end();
    await store.close();
    await directory.remove();
  });

  async function start() {
    const args = [main, 'tenant', '--config', join(directory.path, 'tenant.yaml'), '--json'];
    const child: ChildProcess = spawn(process.execPath, args, {
      env: { ...process.env, PHSYNC_DATABASE_URL: url },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    ends.push(() => child.kill('SIGKILL'));
    let text = '';
    child.stdout!.on('data', (chunk) => (text += chunk));
    while (!text.includes('\n')) await once(child.stdout!, 'data');
    const { ca, tokenUrl } = JSON.parse(text) as { ca: string; tokenUrl: string };
    const dispatcher = new Agent({ connect: { ca: readFileSync(ca) }, connections: 32 });
    ends.push(() => dispatcher.destroy());
    const token = async (form: Readonly<Record<string, string>>) => {
      const { body } = await request(tokenUrl, {
        method: 'POST',
        dispatcher,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ client_id: 'app', ...form }).toString(),
      });
      return (await body.json()) as { error_codes?: number[]; refresh_token?: string; access_token?: string };
    };
    const signIn = async (user: string, secret: string): Promise<number> => {
      try {
        const reply = await token({ grant_type: 'password', username: `${user}@phs.test`, password: secret });
        return reply.access_token === undefined ? (reply.error_codes?.[0] ?? LOST) : 0;
      } catch {
        return LOST;
      }
    };
    return { child, token, signIn };
  }

  it('no lockout is bypassed, and a session outlives the process that began it', { timeout: 120_000 }, async () => {
    const [one, two] = [await start(), await start()];
    // Signed in at the one that is going to die.
    let { refresh_token: refresh = '' } = await one.token({
      grant_type: 'password',
      username: 'member@phs.test',
      password,
      scope: 'openid offline_access',
    });
    expect(refresh).not.toBe('');

    let answered = 0;
    const codes = new Map<string, number[]>();
    const guess = async (i: number) => {
      const user = `user${i % USERS}`;
      const process = Math.floor(i / USERS) % 2 === 0 ? one : two;
      const code = await process.signIn(user, randomBytes(8).toString('hex'));
      codes.set(user, [...(codes.get(user) ?? []), code]);
      // While tries of every user are under way at both.
      if (++answered === 60) one.child.kill('SIGKILL');
    };
    await Promise.all(Array.from({ length: USERS * GUESSES }, (_, i) => guess(i)));
    expect([...codes.values()].flat().filter((code) => code === LOST).length).toBeGreaterThan(0);

    const rows = await store.database.run((queries) => queries.selectFrom('lockouts').selectAll().execute());
    expect(rows).toHaveLength(USERS);
    for (const row of rows) expect(row).toMatchObject({ failures: 10, locks: 1, familiar: 0 });
    const again = await start();
    for (const [user, all] of codes) {
      expect(all.filter((code) => code === WRONG).length, user).toBeLessThanOrEqual(10);
      expect(new Set(all), user).toContain(LOCKED);
      // The right one says nothing either: at the one that lived, and at the one that came back.
      expect([await two.signIn(user, password), await again.signIn(user, password)], user).toEqual([LOCKED, LOCKED]);
    }

    for (const process of [two, again]) {
      const reply = await process.token({ grant_type: 'refresh_token', refresh_token: refresh });
      expect(reply.access_token?.split('.')).toHaveLength(3);
      // Each is good for once.
      refresh = reply.refresh_token ?? '';
    }
  });
});
