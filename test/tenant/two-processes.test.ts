/** Two tenant processes on one PostgreSQL under load, one killed: what was acknowledged stays, and order holds. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials } from '#src/provisioning/client-credentials.js';
import { describePostgres } from '../postgres.js';
import { AGENT, credentialText, temporaryDirectory, vectors } from './harness.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const USERS = 300;
const BATCH = 60;
const BEGIN = Date.UTC(2026, 0, 1);

interface Ready {
  readonly ca: string;
  readonly provisioningUrl: string;
  readonly tokenUrl: string;
}

describePostgres('two tenant processes on one PostgreSQL, one killed under load', (postgres) => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let url: string;
  let ends: (() => unknown)[];
  beforeEach(async () => {
    directory = await temporaryDirectory();
    url = await postgres().createDatabase();
    ends = [];
    writeFileSync(
      join(directory.path, 'tenant.yaml'),
      `stateDir: ./state
listen: { host: 127.0.0.1, port: 0 }
domains: [{ name: phs.test }]
agents: [{ clientId: ${AGENT.clientId}, clientSecret: { env: PHSYNC_AGENT_SECRET } }]
store: { type: postgres, url: { env: PHSYNC_DATABASE_URL } }
logLevel: warn
`,
    );
  });
  afterEach(async () => {
    for (const end of ends.reverse()) await end();
    await directory.remove();
  });

  async function start() {
    const env = { ...process.env, PHSYNC_AGENT_SECRET: AGENT.secret, PHSYNC_DATABASE_URL: url };
    const args = [main, 'tenant', '--config', join(directory.path, 'tenant.yaml'), '--json'];
    const child: ChildProcess = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    ends.push(() => child.kill('SIGKILL'));
    let text = '';
    child.stdout!.on('data', (chunk) => (text += chunk));
    while (!text.includes('\n')) await once(child.stdout!, 'data');
    const ready = JSON.parse(text) as Ready;
    const ca = readFileSync(ready.ca);
    const { tokenUrl } = ready;
    const tokens = createClientCredentials({ tokenUrl, clientId: AGENT.clientId, clientSecret: AGENT.secret, ca });
    const client = createProvisioningClient({ url: ready.provisioningUrl, ca, token: (force) => tokens.token(force) });
    ends.push(() => Promise.all([client.close(), tokens.close()]));
    return { child, ready, client };
  }

  const anchor = (i: number) => `user-${i}`;
  /** Ten bytes that say whose password of which time it is. */
  const saltOf = (user: string, date: number) =>
    createHash('sha256').update(`${user} ${date}`).digest().subarray(0, 10);
  const change = (user: string, date: number) => ({
    changeDate: new Date(date),
    cloudAnchor: undefined,
    credentialData: `v1;PPH1_MD4,${saltOf(user, date).toString('hex')},1000,${'5a'.repeat(32)};`,
    forcePasswordChangeOnLogon: false,
    sourceAnchor: user,
    windowsLegacyCredentials: undefined,
    windowsSupplementalCredentials: undefined,
  });

  async function signIn({ tokenUrl, ca }: Ready, username: string, password: string): Promise<number> {
    const dispatcher = new Agent({ connect: { ca: readFileSync(ca) } });
    const { statusCode, body } = await request(tokenUrl, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: 'password', client_id: 'app', username, password }).toString(),
    });
    await body.dump();
    await dispatcher.close();
    return statusCode;
  }

  it('no acknowledged credential lost, no older password accepted', { timeout: 120_000 }, async () => {
    const [one, two] = [await start(), await start()];
    await one.client.provisionAzureADSyncObjects(
      Array.from({ length: USERS }, (_, i) => ({
        syncObjectType: 'User',
        syncOperation: 'Set' as const,
        propertyValues: new Map([
          ['SourceAnchor', anchor(i)],
          ['userPrincipalName', `${anchor(i)}@phs.test`],
        ]),
      })),
    );
    /** The newest that was acknowledged as stored. */
    const acknowledged = new Map<string, number>();
    let clock = 0;
    let answered = 0;
    let refused = 0;
    /** Batches over users of all, in an order of its own, each with a date of its own, the newest or one from behind. */
    const load = async ({ client }: typeof one, step: number, until: () => boolean) => {
      for (let batch = 0; !until(); batch++) {
        const date = BEGIN + ++clock * 1000 - (batch % 3 === 2 ? 4000 : 0) + step;
        const users = Array.from({ length: BATCH }, (_, i) => anchor((batch * 7 + i * step) % USERS));
        const results = await client.provisionCredentials(users.map((user) => change(user, date)));
        for (const [i, { result }] of results.entries()) {
          if (result === 0) acknowledged.set(users[i]!, Math.max(acknowledged.get(users[i]!) ?? 0, date));
          else refused++;
        }
        answered++;
        // In the midst of the next one.
        if (answered === 60) setTimeout(() => one.child.kill('SIGKILL'), 3);
      }
    };
    const [killed, survivor] = await Promise.allSettled([
      load(one, 7, () => false),
      load(two, 11, () => answered >= 140),
    ]);
    expect(killed).toMatchObject({ status: 'rejected', reason: { code: 'provisioning-unreachable' } });
    expect(survivor.status).toBe('fulfilled');
    expect(refused).toBeGreaterThan(0);
    expect(acknowledged.size).toBe(USERS);

    const client = new pg.Client(url);
    await client.connect();
    ends.push(() => client.end());
    const { rows } = await client.query<{ source_anchor: string; change_date: string; salt: Buffer }>(
      'SELECT source_anchor, change_date, salt FROM users JOIN credentials ON user_id = users.id',
    );
    expect(rows).toHaveLength(USERS);
    for (const { source_anchor: user, change_date: date, salt } of rows) {
      expect(Number(date), user).toBeGreaterThanOrEqual(acknowledged.get(user)!);
      expect(salt.equals(saltOf(user, Number(date))), user).toBe(true);
    }
    // Each user's log of changes never goes back in time: no older one was taken behind a newer one.
    const { rows: backward } = await client.query(
      `SELECT 1 FROM (SELECT change_date, lag(change_date) OVER (PARTITION BY user_id ORDER BY id) AS former
        FROM credential_history) AS h WHERE former > change_date`,
    );
    expect(backward).toEqual([]);

    // The one that died comes back beside the other; a password of before is refused at both, a newer one signs in at both.
    const again = await start();
    for (const { client: each } of [again, two]) {
      const [old] = await each.provisionCredentials([change(anchor(0), acknowledged.get(anchor(0))! - 1)]);
      expect(old?.result).not.toBe(0);
    }
    const { password } = vectors[0]!;
    const last = { ...change(anchor(0), BEGIN + 1e9), credentialData: credentialText(vectors[0]!) };
    expect((await two.client.provisionCredentials([last]))[0]?.result).toBe(0);
    for (const { ready } of [again, two]) expect(await signIn(ready, `${anchor(0)}@phs.test`, password)).toBe(200);
  });
});
