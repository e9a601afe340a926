/** The tenant's guide for administrators: its commands as they stand there, and its tables beside the code. */

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '#bench/free-port.js';
import { postgresMissing } from '#bench/postgres.js';
import { parseConfig } from '#src/config/load-config.js';
import { packageVersion } from '#src/config/version.js';
import { MAX_MESSAGE_BYTES } from '#src/provisioning/soap.js';
import { tenantSchema } from '#src/tenant/config.js';
import { LIST_TOP } from '#src/tenant/graph/odata/page.js';
import { synchronizationFlags } from '#src/tenant/graph/organization/synchronization-features.js';
import { graphRoutes } from '#src/tenant/graph/routes.js';
import { Metrics } from '#src/tenant/monitor/metrics.js';
import { describeAadsts, isAadstsCode } from '#src/tenant/oidc/oauth-error.js';
import { SigningKeys } from '#src/tenant/oidc/signing-keys.js';
import { DEFAULT_VALIDITY_DAYS } from '#src/tenant/policies/domains.js';
import { MAX_ITERATIONS, MIN_ITERATIONS, limits as provisioning } from '#src/tenant/provisioning/limits.js';
import { createPool } from '#src/tenant/store/postgres-database.js';
import { blocksOf, chapterOf } from '../docs/pages.js';
import { describeWithTools } from '../native/tools.js';
import { describePostgres } from '../postgres.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher } from './harness.js';
import { addPerson, PASSWORD } from './oidc/people.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'src/tenant/README.md'), 'utf8');
const TRIAL = '/root/phsync-tenant-trial';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'phsync-tenant-guide-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [start, ...blocks] = blocksOf(page).filter(({ language }) => language === 'sh');
const alias = `set -e\nshopt -s expand_aliases\ncd '${root}'\n${start!.text.split('\n')[1]}\n`;

/** Bash's output on both streams, where the script ends well within `seconds`. */
async function run(script: string, seconds: number): Promise<string> {
  const file = join(folder, 'guide.sh');
  writeFileSync(file, script);
  // A process group of its own: where a command fails, the tenant is still there.
  const shell = spawn('bash', [file], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  const killAll = () => {
    try {
      process.kill(-shell.pid!, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  };
  // The tenant holds the shell's output open.
  shell.once('exit', (status) => status === 0 || killAll());
  try {
    const status = await Promise.race([
      new Promise((resolve) => shell.once('close', resolve)),
      new Promise((resolve) => setTimeout(resolve, seconds * 1000, 'too slow').unref()),
    ]);
    expect(status, output).toBe(0);
    return output;
  } finally {
    killAll();
  }
}

const certificates = mkdtempSync(join(tmpdir(), 'phsync-guide-tls-'));
const key = join(certificates, 'key.pem');
const cert = join(certificates, 'cert.pem');
const other = join(certificates, 'other.pem');
afterAll(() => rmSync(certificates, { recursive: true, force: true }));

/** Two that sign themselves; `key` is that of `cert`, and PostgreSQL's user may read it. */
function makeCertificates(): void {
  for (const file of [other, cert]) {
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', file],
      ],
      { stdio: 'ignore' },
    );
  }
  if (process.getuid?.() === 0 && postgresMissing === undefined)
    execFileSync('chown', ['-R', 'postgres:', certificates]);
}

describeWithTools('the guide', { curl: 'curl', openssl: 'openssl' }, () => {
  it('the commands of the trial and of the chapters behind it run to their end', { timeout: 620_000 }, async () => {
    const [port, monitor] = [await freePort(), await freePort()];
    const last = ({ text }: { text: string }) => text.includes(`rm -r ${TRIAL}`);
    const ofTrial = blocks.filter((block) => block.heading !== 'PostgreSQL');
    expect(ofTrial.filter(last)).toHaveLength(1);
    const script = [...ofTrial.filter((block) => !last(block)), ...ofTrial.filter(last)]
      .map(({ text }) => text)
      .join('\n');
    const output = await run(
      alias +
        script
          .replaceAll(TRIAL, join(folder, 'trial'))
          .replaceAll('8443', String(port))
          .replaceAll('9465', String(monitor))
          // What the last command takes away, and the test wants to see.
          .replace(
            'wait $TENANT',
            `wait $TENANT\ncp tenant.log agent.log phsync-tenant.service openapi.json admin-password '${folder}'`,
          ),
      600,
    );
    expect(output).toMatch(/^tenant [0-9a-f-]{36} at https:.*\n(.*\n)* {2}trust .*\/tenant-state\/ca\.pem$/m);
    expect(output).toMatch(/^Bearer\ncurl: \(22\).*400\nAADSTS50126: /m);
    expect(output).toMatch(/^lab\.test: 25 users in scope looked at, 25 passwords sent/m);
    expect(output).toMatch(/"id":"lab\.test","passwordValidityPeriodInDays":180/);
    expect(output).toMatch(/"userPrincipalName":"u0000002@lab\.test","passwordPolicies":"DisablePasswordExpiration"/);
    expect(output).toMatch(/^AADSTS50055: /m);
    expect(output).toMatch(/^Federated\n\nBearer$/m);
    expect(output).toMatch(/"objectType":"group"\}\}\nBearer$/m);
    expect(output).toMatch(/^1 user newly at high risk/m);
    expect(output).toMatch(/"riskLevel":"high","riskState":"dismissed"/);
    expect(output).toMatch(/"activityDisplayName":"Update domain"/);
    expect(output).toMatch(/^phsync_tenant_sign_ins_total\{flow="password",code="0"\} 4$/m);
    expect(output).toMatch(/^restored from .*26 users, 26 passwords$/m);
    expect(output).toMatch(/^RS256 {2}[\w-]+\nES256 {2}[\w-]+\nThey are published now and sign in 24 hours/m);
    const of = (name: string) => readFileSync(join(folder, name), 'utf8');
    expect(of('phsync-tenant.service')).toContain('\nDescription=Tenant of password hash synchronization');
    expect(JSON.parse(of('openapi.json')).openapi).toBe('3.1.0');
    for (const secret of [of('admin-password'), 'Olive-4vvb7d.1', 'Gr33n-Harbour-Lamp', 'u0000002', 'eyJ']) {
      expect(of('tenant.log') + of('agent.log')).not.toContain(secret);
    }
    expect(output).not.toMatch(/Olive-4vvb7d|Gr33n-Harbour|eyJ/);
  });

  beforeAll(makeCertificates);
  describePostgres(
    'the chapter on PostgreSQL',
    (postgres) => {
      let superuser: string;
      beforeAll(async () => {
        const url = new URL(await postgres().createDatabase());
        url.username = 'postgres';
        url.pathname = '/postgres';
        superuser = url.href;
      });

      it('leads to a tenant on it, over TLS', { timeout: 620_000 }, async () => {
        const chapter = blocksOf(chapterOf(page, 'PostgreSQL'));
        const sql = chapter.find(({ language }) => language === 'sql')!.text;
        const client = new pg.Client({ connectionString: superuser });
        await client.connect();
        // The server of the tests has a role of that name.
        for (const statement of sql.replaceAll('phsync', 'guide').split('\n')) await client.query(statement);
        const port = await freePort();
        const base = `stateDir: ./postgres-state\nlisten: { port: ${port} }\ndomains: [{ name: contoso.com }]\n`;
        writeFileSync(join(folder, 'tenant.yaml'), base);
        const { host } = new URL(superuser);
        const { text } = chapter.find(({ language }) => language === 'sh')!;
        const script = text
          .replace('db.contoso.com:5432', host)
          .replaceAll('//phsync:', '//guide:')
          .replace('/phsync?', '/guide?')
          .replace('/etc/phsync-tenant/db-ca.pem', cert)
          .replace(
            /^phsync tenant .*$/m,
            '$& > out 2> log & PID=$!\nuntil grep -q trust out || ! kill -0 $PID; do sleep 0.2; done\ncat out log',
          );
        const output = await run(`${alias}cd '${folder}'\n${script}\nkill -TERM $PID\nwait $PID\n`, 600);
        expect(output).toMatch(/^tenant [0-9a-f-]{36} at https:/m);
        expect(output).not.toContain('SECURITY WARNING');
        const { rows } = await client.query(
          "SELECT datname FROM pg_database JOIN pg_roles r ON datdba = r.oid WHERE rolname = 'guide'",
        );
        expect(rows).toEqual([{ datname: 'guide' }]);
        await client.end();
      });

      it.each([
        ['?sslmode=verify-full', 'cert', 'TLS'],
        ['?sslmode=verify-full', 'other', 'refused'],
        ['?sslmode=require', 'other', 'refused'],
        ['?sslmode=prefer', 'other', 'refused'],
        ['?sslmode=verify-ca', 'other', 'refused'],
        ['?sslmode=no-verify', 'other', 'TLS'],
        ['?sslmode=disable', undefined, 'no TLS'],
        ['', undefined, 'no TLS'],
      ] as const)('%s with the authority %s: %s', async (mode, authority, expected) => {
        const files = { cert, other };
        const more = authority === undefined ? '' : `&sslrootcert=${files[authority]}`;
        const pool = createPool({ url: `${superuser}${mode}${more}`, maxConnections: 1 });
        try {
          const found = await pool
            .query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
            .then(({ rows: [{ ssl }] }) => (ssl ? 'TLS' : 'no TLS'))
            .catch((error: Error) => (/certificate/.test(error.message) ? 'refused' : error.message));
          expect(found).toBe(expected);
        } finally {
          await pool.end();
        }
      });
    },
    { settings: { ssl: 'on', ssl_cert_file: `'${cert}'`, ssl_key_file: `'${key}'` } },
  );
});

/** The rows of the chapter's tables, by their columns. */
const rowsOf = (title: string) =>
  chapterOf(page, title)
    .split('\n')
    .filter((line) => /^\| (?!---)/.test(line))
    .map((line) => line.slice(2, -2).split(' | '));

describe('the tables', () => {
  it('have the limits and defaults that are in force', () => {
    const yaml = 'stateDir: ./s\nlisten: { port: 0 }\ndomains: [{ name: contoso.com }]\n';
    const { rateLimit, signIn, retention, passwordWriteback } = parseConfig(yaml, '/etc/tenant.yaml', tenantSchema);
    const limits = chapterOf(page, 'Limits');
    expect(limits).toContain(
      `| ${rateLimit.token} for tokens, ${rateLimit.graph} to Graph, ${rateLimit.pages} for everything else`,
    );
    expect(limits).toContain(
      `in an agent's request | ${provisioning.objectsPerBatch} each, ${MAX_MESSAGE_BYTES / 2 ** 20} MiB |`,
    );
    expect(provisioning.credentialsPerBatch).toBe(provisioning.objectsPerBatch);
    expect(limits).toContain(`| ${MIN_ITERATIONS} to ${MAX_ITERATIONS.toLocaleString('en')} |`);
    expect(limits).toContain(`| ${LIST_TOP.byDefault} unless \`$top\` says otherwise, at most ${LIST_TOP.most} |`);
    const rules = rowsOf('Rules, and where each is switched');
    const of = (words: string) => rules.find(([rule]) => rule!.includes(words))![2];
    expect(of('smart lockout')).toBe(`${signIn.lockoutThreshold}, ${signIn.lockoutSeconds}`);
    expect(of('days until')).toBe(String(DEFAULT_VALIDITY_DAYS));
    expect([retention.signIns, retention.audit, retention.deletedUsers]).toEqual([30, 30, 30]);
    expect(chapterOf(page, 'Behind a proxy')).toContain(
      `passwordWriteback.timeoutSeconds\` (${passwordWriteback.timeoutSeconds})`,
    );
  });

  it('have every AADSTS number that the tenant says, and no other', async () => {
    const told = rowsOf('What people see').flatMap(([codes]) => codes!.match(/\d+/g) ?? []);
    for (const code of told) expect(isAadstsCode(Number(code)), code).toBe(true);
    const source = readFileSync(join(root, 'src/tenant/oidc/oauth-error.ts'), 'utf8');
    const known = [...source.matchAll(/^ {2}(\d{5,7}): \{/gm)].map(([, code]) => code!);
    expect(known.length).toBeGreaterThan(20);
    expect([...told].sort()).toEqual(known.sort());
    expect(describeAadsts(50126)).toContain('AADSTS50126');
  });

  it('have every metric, in its own words', async () => {
    const metrics = new Metrics({
      version: packageVersion(),
      hasher: { backend: 'native', kernel: 'avx2', threads: 1 } as never,
    });
    const { body } = await metrics.exposition();
    const known = [...body.matchAll(/^# HELP (phsync_\S+) (.*)\n# TYPE \S+ (\S+)$/gm)].map(([, name, help, type]) => [
      name,
      type,
      help,
    ]);
    const rows = rowsOf('Monitoring').filter(([name]) => name!.startsWith('phsync_'));
    expect(rows.map(([name, type, , what]) => [name, type, what]).sort()).toEqual(known.sort());
    // What alerts ask for is there, and each label that they choose by is one of the metric's.
    const alerts = blocksOf(chapterOf(page, 'Monitoring')).find(({ text }) => text.startsWith('groups:'))!.text;
    const asked = [...alerts.matchAll(/(phsync_\w+?)(_bucket)?(?:\{(\w+)[=!])/g)];
    expect(asked.length).toBeGreaterThan(6);
    for (const [, name, , label] of asked) {
      expect(rows.find(([known]) => known === name)?.[2]?.split(', '), `${name} ${label}`).toContain(label);
    }
  });

  it('name features, and permissions that open what is said', () => {
    const flags = rowsOf('Rules, and where each is switched').flatMap(([, where]) =>
      [...where!.matchAll(/feature `(\w+)`/g)].map(([, name]) => name!),
    );
    expect(flags).toHaveLength(4);
    for (const flag of flags) expect(synchronizationFlags).toContain(flag);
    const opening = (permission: string, kind: 'delegated' | 'application') =>
      graphRoutes.some(({ permissions }) => permissions[kind].includes(permission));
    // The last two open no call by themselves.
    const rows = rowsOf('Administrators and permissions').slice(1, -2);
    expect(rows.length).toBeGreaterThan(8);
    for (const [, permission, person, application] of rows) {
      expect([opening(permission!, 'delegated'), opening(permission!, 'application')], permission).toEqual([
        person === 'yes',
        application === 'yes',
      ]);
    }
  });
});

it('"sessions and refresh tokens stay good, since none of these keys signs them"', async () => {
  const hasher = testHasher();
  const directory = await temporaryDirectory();
  const config = {
    applications: [{ clientId: 'app', delegated: ['User.Read'] }],
    listen: { port: await freePort() },
  };
  const open = () => startTestTenant({ stateDir: directory.path, hasher, config });
  const statusOf = async ({ url, dispatcher }: TestTenant, token: string) => {
    const { statusCode, body } = await request(`${url}/v1.0/me`, {
      dispatcher,
      headers: { authorization: `Bearer ${token}` },
    });
    await body.dump();
    return statusCode;
  };
  let tenant = await open();
  try {
    await addPerson(tenant, 'alice');
    const scope = 'openid offline_access https://graph.microsoft.com/User.Read';
    const { json: before } = await tenant.signIn('alice@phs.test', PASSWORD, { scope });
    expect(await statusOf(tenant, before.access_token)).toBe(200);
    const formerFile = join(directory.path, 'none');
    const keys = await SigningKeys.open({ database: tenant.store.database, now: () => new Date(), formerFile });
    await keys.rotate({ atOnce: true });
    // In place of the minute after which it looks.
    await tenant.close();
    tenant = await open();
    expect(await statusOf(tenant, before.access_token)).toBe(401);
    const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token: before.refresh_token, scope };
    const { json: after } = await tenant.token(form);
    expect(await statusOf(tenant, after.access_token)).toBe(200);
  } finally {
    await tenant.close();
    await directory.remove();
    await hasher.close();
  }
});
