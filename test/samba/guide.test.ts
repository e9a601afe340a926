/** The administrator's guide, from nothing to a running agent with Samba: its commands, as they stand there. */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocksOf, chapterOf } from '../docs/pages.js';
import { OwnDc } from './own-dc.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'src/agent/README.md'), 'utf8');
const chapter = chapterOf(page, 'From nothing to a running agent, with Samba');
const blocks = blocksOf(chapter).filter(({ language }) => language === 'sh');

let dc: OwnDc;
let folder: string;
beforeAll(async () => {
  dc = await OwnDc.start({ realm: 'PHS.TEST', domain: 'PHS' });
  folder = mkdtempSync(join(tmpdir(), 'phsync-guide-'));
});
afterAll(async () => {
  await dc?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What the guide leaves to the machine it is read on: the domain controller's address and directory, a free port. */
function commands(): string {
  const started = blocks.findIndex(({ text }) => text.includes('test/samba/dc/start'));
  expect(started).toBe(1);
  const [, , ...rest] = blocks.map(({ text }) => text);
  const text = rest
    .join('\n')
    // The tests' own account of that name is there already.
    .replaceAll('phs.sync', 'phs.guide')
    .replaceAll('/root/phsync-trial', join(folder, 'trial'))
    .replaceAll('127.0.0.2', dc.facts.host)
    .replaceAll('127.0.0.1:8443', `${dc.facts.host}:8443`)
    .replaceAll('host: 127.0.0.1', `host: ${dc.facts.host}`);
  const [, alias] = blocks[0]!.text.split('\n');
  // Set-up and working directory are the test run's; a script has no aliases unless it asks for them.
  return `set -e\nshopt -s expand_aliases\ncd '${root}'\n${alias}\nexport SMB_CONF_PATH=${join(dc.directory, 'smb.conf')}\n${text}\n`;
}

test('runs to its end', { timeout: 620_000 }, async () => {
  const file = join(folder, 'guide.sh');
  writeFileSync(file, commands());
  // A process group of its own: where a command fails, tenant and agent are still there.
  const shell = spawn('bash', [file], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  try {
    const status = await Promise.race([
      new Promise((resolve) => shell.once('close', resolve)),
      new Promise((resolve) => setTimeout(resolve, 600_000, 'too slow').unref()),
    ]);
    expect(status, output).toBe(0);
  } finally {
    try {
      process.kill(-shell.pid!, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  }
  expect(output).toMatch(/Logon: phs\.guide \(negotiate\)/);
  expect(output).toMatch(/phs\.test: 1 user in scope looked at, 1 password sent/);
  expect(output).toMatch(/"token_type":"Bearer"/);
  expect(output).not.toMatch(/First\.Passw0rd|Second\.Passw0rd|Third\.Passw0rd/);
});
