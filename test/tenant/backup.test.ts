/** Backup and restore by the command, on both databases and from one to the other. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseCredential } from '#src/hasher/credential.js';
import type { Hasher } from '#src/hasher/types.js';
import { recipientOf } from '#src/provisioning/ad-auth-info.js';
import { backUp, restore } from '#src/tenant/store/backup/backup.js';
import { openStore } from '#src/tenant/store/open-store.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { describePostgres } from '../postgres.js';
import { createCertificate } from '../provisioning/certificates.js';
import { ADMIN, serviceOf, windowsOf } from './domain-services/site.js';
import { credentialText, startTestTenant, temporaryDirectory, testHasher, vectors } from './harness.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
type Kind = 'sqlite' | 'postgres';
/** Until one comes to be killed in the middle. */
const MOST_TRIES = 30;

describePostgres(
  'backup and restore',
  (postgres) => {
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    let places = 0;
    beforeAll(async () => {
      directory = await temporaryDirectory();
    });
    afterAll(() => directory.remove());

    /** An empty database and state directory, and the configuration that names them. */
    async function newPlace(kind: Kind) {
      const root = join(directory.path, `${++places}`);
      await mkdir(root);
      const url = kind === 'postgres' ? await postgres().createDatabase() : undefined;
      const env = { DATABASE_URL: url };
      const file = join(root, 'tenant.yaml');
      const store = kind === 'sqlite' ? '{ type: sqlite }' : '{ type: postgres, url: { env: DATABASE_URL } }';
      writeFileSync(
        file,
        `stateDir: ./state\nlisten: { host: 127.0.0.1, port: 0 }\ndomains: [{ name: phs.test }]\nstore: ${store}\n`,
      );
      const stateDir = join(root, 'state');
      await mkdir(stateDir, { mode: 0o700 });
      const config =
        kind === 'sqlite'
          ? { stateDir, store: { type: 'sqlite' as const } }
          : { stateDir, store: { type: 'postgres' as const, url: { env: 'DATABASE_URL' }, maxConnections: 3 } };
      const open = () => openStore(config, { initialFeatures: 1, now: () => new Date(), env });
      return { root, url, env, file, stateDir, config, open };
    }
    type Place = Awaited<ReturnType<typeof newPlace>>;

    async function withStore<T>(place: Place, work: (store: TenantStore) => Promise<T>): Promise<T> {
      const store = await place.open();
      try {
        return await work(store);
      } finally {
        await store.close();
      }
    }

    const { salt, iterations, hash } = parseCredential(credentialText(vectors[0]!));
    const anchors = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `u${from + i}`);
    async function addUsers(store: TenantStore, from: number, to: number) {
      await store.applyUsers(
        anchors(from, to).map((sourceAnchor) => ({
          kind: 'upsert',
          sourceAnchor,
          attributes: {
            ...{ userPrincipalName: `${sourceAnchor}@phs.test`, displayName: `Jürgen \u2028\n"'\\ 🐎 ${sourceAnchor}` },
            ...{ onPremisesSecurityIdentifier: randomBytes(28), lastPasswordChange: new Date(-1) },
          },
        })),
      );
      await store.applyCredentials(
        anchors(from, to).map((sourceAnchor) => ({
          ...{ sourceAnchor, objectId: undefined, changeDate: new Date(from), salt, iterations, hash },
          forcePasswordChangeOnLogon: false,
        })),
        { disableExpiration: true, actor: 'agent-1' },
      );
    }

    /** At least a row in every table. */
    async function fill({ database }: TenantStore) {
      const at = 1_767_000_000_123;
      const [user] = await database.run((db) => db.selectFrom('users').select(['id', 'object_id']).limit(1).execute());
      const { id: user_id, object_id: user_object_id } = user!;
      await database.transaction(async (db) => {
        await db
          .insertInto('lockouts')
          .values({
            name_digest: randomBytes(16),
            familiar: 1,
            failures: 3,
            locked_until: at,
            locks: 1,
            wrong: randomBytes(12),
            updated_at: at,
          })
          .execute();
        await db
          .insertInto('familiar_places')
          .values({ user_id, place_digest: randomBytes(16), last_used: at })
          .execute();
        await db
          .insertInto('domains')
          .values({
            name: 'phs.test',
            authentication_type: 'Federated',
            federation_url: 'https://idp.test',
            password_hash_fallback: 1,
            password_validity_days: 2_147_483_647,
            password_notification_days: null,
            is_default: 1,
          })
          .execute();
        await db
          .insertInto('groups')
          .values({ group_id: 'g', display_name: 'G', description: null, created_at: at })
          .execute();
        await db.insertInto('group_members').values({ group_id: 'g', user_id }).execute();
        await db
          .insertInto('rollout_policies')
          .values({
            policy_id: 'p',
            display_name: 'P',
            description: 'd',
            feature: 'passwordHashSync',
            is_enabled: 1,
            is_applied_to_organization: 0,
            created_at: at,
          })
          .execute();
        await db.insertInto('rollout_groups').values({ policy_id: 'p', group_id: 'g', added_at: at }).execute();
        await db
          .insertInto('risky_users')
          .values({ user_id, risk_level: 'high', risk_state: 'atRisk', risk_detail: 'none', updated_at: at })
          .execute();
        await db
          .insertInto('risk_events')
          .values({ event_id: 'e', user_id, type: 'leakedCredentials', level: 'high', detected_at: at })
          .execute();
        await db
          .insertInto('sign_ins')
          .values({
            sign_in_id: 's',
            at,
            user_object_id,
            user_principal_name: 'u0@phs.test',
            client_id: 'app',
            flow: 'password',
            address: '::1',
            familiar: 0,
            error_code: 50126,
            correlation_id: 'c',
          })
          .execute();
        await db
          .insertInto('audit_events')
          .values({
            audit_id: 'a',
            at,
            actor_kind: 'app',
            actor_id: 'x',
            activity: 'y',
            category: 'z',
            target_kind: 'user',
            target_id: 't',
            target_name: null,
            result: 'success',
            reason: null,
            details: '{"a":[1]}',
            correlation_id: null,
          })
          .execute();
        await db
          .insertInto('oidc_payloads')
          .values({
            model: 'Session',
            id_digest: 'd',
            payload: '{}',
            grant_id: null,
            user_code: 'ABC',
            uid: null,
            account_id: user_object_id,
            expires_at: at,
            consumed_at: null,
          })
          .execute();
        await db
          .insertInto('writeback_agents')
          .values({ client_id: 'c', instance_id: 'i', public_key: '{}', domains: '[]', seen_at: at })
          .execute();
      });
    }

    /** Switched on as an administrator does it, with changes noted and one numbered. */
    async function enableDomainServices(store: TenantStore) {
      const { der } = await createCertificate(2048);
      await serviceOf(store).enable({ domainName: 'aadds.phs.test', certificate: der }, ADMIN);
      const { thumbprint } = recipientOf(der);
      await store.applyCredentials(
        anchors(0, 2).map((sourceAnchor) => ({
          ...{ sourceAnchor, objectId: undefined, changeDate: new Date(1), salt, iterations, hash },
          forcePasswordChangeOnLogon: false,
          windows: windowsOf(thumbprint, { legacy: randomBytes(356) }),
        })),
        { disableExpiration: true, actor: 'agent-1' },
      );
      await store.database.run((db) =>
        db.insertInto('domain_services_feed').values({ object_id: 'o', sequence: 7, changed_at: 1 }).execute(),
      );
    }

    /** Every row of every table, as the database itself has it. */
    async function contents(place: Place): Promise<Record<string, unknown[]>> {
      return withStore(place, async ({ database }) => {
        const tables = await database.run((db) => db.introspection.getTables());
        const all: Record<string, unknown[]> = {};
        for (const { name } of tables.filter((table) => table.name !== 'migrations')) {
          const rows = await database.run((db) =>
            db
              .selectFrom(name as 'users')
              .selectAll()
              .execute(),
          );
          all[name] = rows.map((row) => JSON.stringify(Object.entries(row).sort())).sort();
        }
        return all;
      });
    }

    const children: ChildProcess[] = [];
    afterEach(() => {
      for (const child of children.splice(0)) child.kill('SIGKILL');
    });
    function phsync(place: Place, ...args: string[]) {
      const env = { ...process.env, DATABASE_URL: place.url ?? '' };
      const child = spawn(process.execPath, [main, 'tenant', ...args, '--config', place.file], { env });
      children.push(child);
      const output = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk) => (output.stdout += chunk));
      child.stderr.on('data', (chunk) => (output.stderr += chunk));
      return { child, ended: once(child, 'close').then(([code, signal]) => ({ code, signal, ...output })) };
    }

    let hasher: Hasher;
    beforeAll(() => {
      hasher = testHasher();
    });
    afterAll(() => hasher.close());

    it.each<[Kind, Kind]>([
      ['sqlite', 'sqlite'],
      ['sqlite', 'postgres'],
      ['postgres', 'sqlite'],
      ['postgres', 'postgres'],
    ])('takes all from %s to %s', { timeout: 240_000 }, async (from, to) => {
      const source = await newPlace(from);
      const serve = (place: Place) =>
        startTestTenant({
          ...{ stateDir: place.stateDir, hasher, config: { domains: [{ name: 'phs.test' }] } },
          ...(place.url === undefined ? {} : { databaseUrl: place.url }),
        });
      // It makes its keys when it starts.
      const first = await serve(source);
      const { keys } = (await first.get('/organizations/discovery/v2.0/keys')).json;
      expect(keys.length).toBeGreaterThan(0);
      await first.store.database.run((db) => db.deleteFrom('domains').execute());
      await first.close();
      await withStore(source, async (store) => {
        await addUsers(store, 0, 1500);
        await store.applyUsers([{ kind: 'delete', sourceAnchor: 'u3' }]);
        await fill(store);
        await enableDomainServices(store);
      });
      const out = join(source.root, 'tenant.backup');
      const backup = await phsync(source, 'backup', '--out', out).ended;
      expect(backup).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(
          /^wrote .*tenant\.backup, [\d,]+ bytes: tenant \S+, 1,500 users, 1,500 passwords$/m,
        ),
      });
      expect(backup.stdout).toMatch(
        /^ {2}also \d+ groups?, \d+ domains?, .*; [\d,]+ rows in all; ca\.pem, ca-key\.pem/m,
      );
      expect(backup.stdout).toContain('every credential and the keys that sign tokens');
      expect(statSync(out).mode & 0o777).toBe(0o600);
      const before = await contents(source);
      expect(Object.entries(before).filter(([, rows]) => rows.length === 0)).toEqual([]);

      const target = await newPlace(to);
      const restored = await phsync(target, 'restore', '--from', out).ended;
      expect(restored).toMatchObject({ code: 0, stderr: '' });
      expect(restored.stdout).toMatch(/^restored from .*: tenant \S+, 1,500 users, 1,500 passwords$/m);
      expect(restored.stdout).toMatch(to === 'sqlite' ? /^ {2}into SQLite, \//m : /^ {2}into PostgreSQL/m);
      const after = await contents(target);
      // But for the epoch of the feed: what readers have seen since the backup is not in it.
      const withoutEpoch = (all: Record<string, unknown[]>) =>
        JSON.stringify(all.domain_services).replace(/(epoch[^\w]+)[0-9a-f-]{36}/, '$1');
      expect(withoutEpoch(after)).toBe(withoutEpoch(before));
      expect(after.domain_services).not.toEqual(before.domain_services);
      expect({ ...after, domain_services: [] }).toEqual({ ...before, domain_services: [] });
      // Changes are noted as before.
      await withStore(target, async (store) => {
        const pending = () =>
          store.database.run((db) => db.selectFrom('domain_services_pending').selectAll().execute());
        const noted = (await pending()).length;
        await store.applyUsers([{ kind: 'delete', sourceAnchor: 'u4' }]);
        expect(await pending()).toHaveLength(noted + 1);
      });
      // In place of what notes changes itself: none of it is a change.
      await restore(target.config, out, { replace: true, env: target.env });
      expect({ ...(await contents(target)), domain_services: [] }).toEqual({ ...before, domain_services: [] });
      // A tenant on it signs in with the restored password, and numbers go on behind the restored ones.
      await withStore(target, (store) => addUsers(store, 1500, 1501));
      const tenant = await serve(target);
      try {
        await tenant.store.database.run((db) =>
          db.updateTable('domains').set({ authentication_type: 'Managed' }).execute(),
        );
        expect((await tenant.get('/organizations/discovery/v2.0/keys')).json.keys).toEqual(keys);
        for (const name of ['u1', 'u1500']) {
          expect((await tenant.signIn(`${name}@phs.test`, vectors[0]!.password)).status).toBe(200);
        }
      } finally {
        await tenant.close();
      }
    });

    describe.each<Kind>(['sqlite', 'postgres'])('of %s', (kind) => {
      it('is of one moment, while batches come in', { timeout: 240_000 }, async () => {
        const source = await newPlace(kind);
        const store = await source.open();
        let batches = 0;
        let writing = true;
        await addUsers(store, 0, 2000);
        const load = (async () => {
          for (batches = 40; writing; batches++) {
            // Both in one transaction: a backup has a batch's users and log, or neither.
            await addUsers(store, batches * 50, batches * 50 + 50);
            await sleep(1);
          }
        })();
        const out = join(source.root, 'tenant.backup');
        while (batches < 43) await sleep(1);
        let first: number;
        do {
          await rm(out, { force: true });
          first = batches;
          await backUp(source.config, out, source.env);
        } while (batches === first);
        writing = false;
        await load;
        await store.close();
        const target = await newPlace('sqlite');
        await restore(target.config, out, { replace: false, env: target.env });
        await withStore(target, async (restored) => {
          const { users, credentials } = await restored.counts();
          expect(users % 50).toBe(0);
          // The users of a batch are stored before its credentials.
          expect([0, 50]).toContain(users - credentials);
          expect(users).toBeGreaterThanOrEqual(first * 50);
          const history = await restored.database.run((db) =>
            db.selectFrom('credential_history').select('id').execute(),
          );
          expect(history).toHaveLength(credentials);
          // No batch is there without those before it.
          expect(await restored.findSignInUser(`u${users - 1}@phs.test`)).toBeDefined();
        });
      });

      it('killed in the middle leaves no backup, and the next one is whole', { timeout: 240_000 }, async () => {
        const source = await newPlace(kind);
        await withStore(source, async (store) => {
          for (let i = 0; i < 5; i++) await addUsers(store, i * 2000, i * 2000 + 2000);
        });
        const out = join(source.root, 'tenant.backup');
        const partial = `${out}.partial`;
        // On a busy machine it may have come to its end before the signal does.
        const killedIn = async (): Promise<unknown> => {
          const { child, ended } = phsync(source, 'backup', '--out', out);
          await until(() => (statSync(partial, { throwIfNoEntry: false })?.size ?? 0) > 0, child);
          child.kill('SIGKILL');
          const { signal } = await ended;
          const isThere = existsSync(out);
          await rm(out, { force: true });
          return isThere ? 'done' : signal;
        };
        let end = await killedIn();
        for (let tries = 1; end === 'done' && tries < MOST_TRIES; tries++) end = await killedIn();
        expect(end).toBe('SIGKILL');
        expect(statSync(partial).mode & 0o777).toBe(0o600);
        expect(await phsync(source, 'backup', '--out', out).ended).toMatchObject({ code: 0 });
        expect(await readdir(source.root)).not.toContain('tenant.backup.partial');

        // The restore, too: nothing or all.
        const killed = async (): Promise<{ target: Place; rows: number }> => {
          const target = await newPlace(kind);
          const restoring = phsync(target, 'restore', '--from', out);
          await untilLoading(target, restoring.child);
          restoring.child.kill('SIGKILL');
          await restoring.ended;
          await untilAlone(target);
          const rows = (await rowsIn(target)) as number;
          expect([0, 10_000]).toContain(rows);
          return { target, rows };
        };
        let left = await killed();
        for (let tries = 1; left.rows > 0 && tries < MOST_TRIES; tries++) left = await killed();
        expect(left.rows).toBe(0);
        expect(await phsync(left.target, 'restore', '--from', out).ended).toMatchObject({ code: 0, stderr: '' });
        expect(await rowsIn(left.target)).toBe(10_000);
      });

      it('is refused where a tenant is, or runs', { timeout: 240_000 }, async () => {
        const source = await newPlace(kind);
        await withStore(source, (store) => addUsers(store, 0, 10));
        const out = join(source.root, 'tenant.backup');
        await backUp(source.config, out, source.env);
        await expect(backUp(source.config, out, source.env)).rejects.toMatchObject({ code: 'backup-exists' });
        await withStore(source, (store) => addUsers(store, 10, 20));
        const again = (replace: boolean) => restore(source.config, out, { replace, env: source.env });
        await expect(again(false)).rejects.toMatchObject({
          code: 'store-not-empty',
          message: expect.stringContaining('--replace'),
        });
        await withStore(source, async (store) => {
          await expect(again(true)).rejects.toMatchObject({ code: 'store-in-use' });
          expect((await store.counts()).users).toBe(20);
        });
        expect((await again(true)).tables).toMatchObject({ users: 10, credentials: 10, credential_history: 10 });
        await withStore(source, async (store) => expect((await store.counts()).users).toBe(10));
      });

      it('has nothing to take where no tenant is', async () => {
        const place = await newPlace(kind);
        const out = join(place.root, 'tenant.backup');
        await expect(backUp(place.config, out, place.env)).rejects.toMatchObject({ code: 'store-open' });
        expect(existsSync(out)).toBe(false);
      });
    });

    /** Until it is so, or the process has ended. */
    async function until(what: () => boolean | Promise<boolean>, child: ChildProcess) {
      while (child.exitCode === null && !(await what())) await sleep(1);
    }

    /** Rows of the restore are on their way. */
    async function untilLoading({ stateDir, url }: Place, child: ChildProcess) {
      if (url === undefined) {
        const wal = join(stateDir, 'tenant.sqlite-wal');
        return until(() => (statSync(wal, { throwIfNoEntry: false })?.size ?? 0) >= 2_000_000, child);
      }
      const client = new pg.Client({ connectionString: url, application_name: 'watch' });
      await client.connect();
      const inserting = 'SELECT 1 FROM pg_stat_activity WHERE query LIKE \'INSERT INTO "credentials"%\'';
      await until(async () => (await client.query(inserting)).rowCount !== 0, child);
      await client.end();
    }

    /** The server notices the death of a client when it writes to it. */
    async function untilAlone({ url }: Place) {
      if (url === undefined) return;
      const client = new pg.Client({ connectionString: url, application_name: 'watch' });
      await client.connect();
      const others =
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'phsync tenant' AND datname = current_database()";
      while ((await client.query(others)).rowCount !== 0) await sleep(5);
      await client.end();
    }

    const rowsIn = async (place: Place) => {
      if (place.url === undefined) {
        const { default: Database } = await import('better-sqlite3');
        const database = new Database(join(place.stateDir, 'tenant.sqlite'));
        const users = database.prepare('SELECT count(*) FROM users').pluck().get();
        const tenants = database.prepare('SELECT count(*) FROM tenant').pluck().get();
        database.close();
        expect(tenants).toBe(users === 0 ? 0 : 1);
        return users;
      }
      const client = new pg.Client(place.url);
      await client.connect();
      const { rows } = await client.query(
        'SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM tenant) AS tenants',
      );
      await client.end();
      expect(Number(rows[0].tenants)).toBe(rows[0].users === '0' ? 0 : 1);
      return Number(rows[0].users);
    };

    describe('a file that is not whole', () => {
      let out: string;
      let target: Place;
      beforeAll(async () => {
        const source = await newPlace('sqlite');
        await withStore(source, (store) => addUsers(store, 0, 50));
        writeFileSync(join(source.stateDir, 'ca.pem'), 'not looked at');
        out = join(source.root, 'tenant.backup');
        await backUp(source.config, out, source.env);
        target = await newPlace('sqlite');
      });
      const changed = (change: (text: string) => string) => (whole: Buffer) =>
        gzipSync(change(gunzipSync(whole).toString('utf8')));
      const refused = async (name: string, code: string, words: string, make: (whole: Buffer) => Buffer) => {
        const file = join(target.root, name);
        writeFileSync(file, make(readFileSync(out)));
        await expect(restore(target.config, file, { replace: true })).rejects.toMatchObject({
          code,
          message: expect.stringContaining(words),
        });
        // Looked at before anything is opened.
        expect(await readdir(target.stateDir)).toEqual([]);
      };
      it.each<[string, string, string, (whole: Buffer) => Buffer]>([
        ['cut off', 'backup-invalid', 'cut off', (whole) => whole.subarray(0, whole.length - 20)],
        ['without its end', 'backup-invalid', 'cut off', changed((text) => text.replace(/\n[^\n]+\n$/, '\n'))],
        ['with half a line', 'backup-invalid', 'cut off', changed((text) => text.slice(0, -10))],
        ['without a row', 'backup-invalid', 'digest', changed((text) => text.replace(/\n\[[^\n]+\n/, '\n'))],
        ['with another name', 'backup-invalid', 'digest', changed((text) => text.replaceAll('u7@', 'u8@'))],
        ['with a longer row', 'backup-invalid', 'does not fit', changed((text) => text.replace('\n[', '\n[1,'))],
        [
          'with text for a number',
          'backup-invalid',
          'does not fit',
          changed((text) => text.replace('\n[1,', '\n["1",')),
        ],
        ['with a broken line', 'backup-invalid', 'not JSON', changed((text) => text.replace('\n[', '\n['.repeat(2)))],
        [
          'with a file from elsewhere',
          'backup-invalid',
          'does not know',
          changed((text) => text.replace('"ca.pem"', '"../x.pem"')),
        ],
        ['with more behind it', 'backup-invalid', 'more behind', changed((text) => `${text}[]\n`)],
        [
          'with a flipped bit',
          'backup-invalid',
          'gzip',
          (whole) => {
            const copy = Buffer.from(whole);
            copy[copy.length >> 1]! ^= 4;
            return copy;
          },
        ],
        ['of another kind', 'backup-invalid', 'gzip', () => Buffer.from('SQLite format 3\0')],
        ['of another program', 'backup-invalid', 'does not begin', () => gzipSync('{"a":1}\n')],
        ['of nothing', 'backup-invalid', 'cut off', () => Buffer.alloc(0)],
        [
          'of a later version',
          'backup-version',
          'restore with the version that made it',
          changed((text) => text.replace(/"migration":(\d+)/, (_, number) => `"migration":${Number(number) + 1}`)),
        ],
      ])('is refused: %s', (name, code, words, make) => refused(name, code, words, make));

      it('is refused: not there, or a directory', async () => {
        for (const file of [join(target.root, 'nowhere'), target.root]) {
          await expect(restore(target.config, file, { replace: true })).rejects.toMatchObject({
            code: 'backup-unreadable',
          });
        }
      });

      it('keeps files of the state directory that differ, unless told', async () => {
        writeFileSync(join(target.stateDir, 'ca.pem'), 'another');
        const copy = join(target.root, 'copy');
        copyFileSync(out, copy);
        expect(await restore(target.config, copy, { replace: false })).toMatchObject({ kept: ['ca.pem'], files: [] });
        expect(await restore(target.config, copy, { replace: true })).toMatchObject({ kept: [], files: ['ca.pem'] });
        expect(readFileSync(join(target.stateDir, 'ca.pem'), 'utf8')).toBe('not looked at');
      });
    });
  },
  { settings: { fsync: 'off' } },
);
