/** `phsync leaks import`, beside a tenant that runs. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AGENT,
  credentialText,
  startTestTenant,
  type TestTenant,
  temporaryDirectory,
  testHasher,
  vectors,
  writeText,
} from '../tenant/harness.js';

const main = join(fileURLToPath(new URL('../..', import.meta.url)), 'dist/cli/main.js');
const vector = vectors.find(({ password }) => password === 'Pa$$w0rd')!;

describe('phsync leaks import', () => {
  const hasher = testHasher();
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let tenant: TestTenant;
  let config: string;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    tenant = await startTestTenant({ stateDir: join(directory.path, 'state'), hasher });
    config = await writeText(
      directory.path,
      'tenant.yaml',
      `stateDir: ./state\nlisten: { port: 0 }\ndomains: [{ name: phs.test }]\nlogLevel: silent\n`,
    );
    await tenant.store.applyUsers(
      ['a', 'b'].map((name) => ({
        kind: 'upsert',
        sourceAnchor: name,
        attributes: { userPrincipalName: `${name}@phs.test`, accountEnabled: true },
      })),
    );
    const [, salt, iterations, hash] = credentialText(vector).slice(3, -1).split(',');
    await tenant.store.applyCredentials(
      ['a', 'b'].map((sourceAnchor) => ({
        sourceAnchor,
        objectId: undefined,
        changeDate: new Date(),
        salt: Buffer.from(salt!, 'hex'),
        iterations: Number(iterations),
        hash: Buffer.from(hash!, 'hex'),
        forcePasswordChangeOnLogon: false,
      })),
      { disableExpiration: true, actor: AGENT.clientId },
    );
  });
  afterAll(async () => {
    await tenant.close();
    await hasher.close();
    await directory.remove();
  });
  const run = (args: readonly string[], input = '') => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'leaks', 'import', ...args], {
      encoding: 'utf8',
      input,
    });
    return { status, stdout, stderr };
  };

  it('tells how many pairs are valid, by line what was none, and nothing of the file', async () => {
    const text = `user,password\na@phs.test,${vector.password}\nb@phs.test,other-secret\nonly-a-name\nc@phs.test,x\n`;
    const file = await writeText(directory.path, 'pairs.csv', text);
    const { status, stdout, stderr } = run([file, '--config', config]);
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        '3 pairs read',
        '2 pairs of names known here, each tried on its credential',
        '1 pair matched: the password is good now',
        '1 user newly at high risk, until the password changes',
        '1 pair skipped: no user with a password has the name',
        '1 line skipped: no pair of name and password',
        '',
      ].join('\n'),
    );
    expect(stderr).toContain('line 4: passed over');
    expect(stdout + stderr).not.toMatch(/secret|Pa\$\$|only-a-name/);
    const { length } = await tenant.store.database.run((queries) =>
      queries.selectFrom('risky_users').where('risk_state', '=', 'atRisk').selectAll().execute(),
    );
    expect(length).toBe(1);
    const audited = await tenant.store.database.run((queries) =>
      queries.selectFrom('audit_events').selectAll().execute(),
    );
    expect(audited.filter(({ category }) => category === 'Risk')).toMatchObject([{ target_name: 'a@phs.test' }]);
  });

  it('takes JSON lines from standard input, and answers in JSON', () => {
    const { status, stdout } = run(
      ['-', '--format', 'jsonl', '--config', config, '--json'],
      `{"name":"B@PHS.test","password":"${vector.password}"}\n`,
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pairs: 1, checked: 1, matched: 1, atRisk: 1 });
  });

  it.each([
    ['a file that is not there', ['nowhere.csv'], 2, /cannot read nowhere.csv/],
    ['an unknown delimiter', ['-', '--delimiter', 'ab'], 2, /one character, or tab/],
  ])('refuses %s', (_, args, code, message) => {
    const { status, stderr } = run([...args, '--config', config]);
    expect(status).toBe(code);
    expect(stderr).toMatch(message);
  });

  it('does not make a tenant where none has run', async () => {
    const other = await writeText(
      directory.path,
      'other.yaml',
      `stateDir: ./elsewhere\nlisten: { port: 0 }\ndomains: [{ name: phs.test }]\n`,
    );
    const { status, stderr } = run(['-', '--config', other]);
    expect([status, stderr]).toEqual([3, expect.stringContaining('no tenant has run with the stateDir')]);
  });
});
