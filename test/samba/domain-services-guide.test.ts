/** The trial of Domain Services' guide: two domains, tenant, agent and managed side, by its commands as they stand there. */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocksOf } from '../docs/pages.js';
import { OwnDc } from './own-dc.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'src/domain-services/README.md'), 'utf8');
const blocks = blocksOf(page).filter(({ heading }) => heading === 'A trial on one machine');

let first: OwnDc;
let managed: OwnDc;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'phsync-ds-guide-'));
  const domains = [
    OwnDc.start({ realm: 'PHS.TEST', domain: 'PHS' }),
    OwnDc.start({ realm: 'AADDS.PHS.TEST', domain: 'AADDS', host: 'aadds1' }),
  ] as const;
  // Each is closed below, also where the other one did not start.
  const [one, other] = await Promise.allSettled(domains);
  if (one.status === 'fulfilled') first = one.value;
  if (other.status === 'fulfilled') managed = other.value;
  await Promise.all(domains);
}, 120_000);
afterAll(async () => {
  await Promise.all([first?.close(), managed?.close()]);
  rmSync(folder, { recursive: true, force: true });
});

/** The test run's part: it has set the checkout up, and starts and stops domain controllers at free addresses. */
const OURS = /^(?:node src\/cli\/set-up\.mjs|test\/samba\/dc\/(?:install|start .*)|\$DC_TOOLS\/stop \S+ --delete)$/;

function commands(): string {
  expect(blocks.map(({ language }) => language)).toEqual(['sh', 'sh']);
  const lines = blocks.flatMap(({ text }) => text.split('\n'));
  expect(lines.filter((line) => OURS.test(line))).toHaveLength(6);
  const text = lines
    .filter((line) => !OURS.test(line))
    .join('\n')
    // The tests' own account of that name is there already.
    .replaceAll('phs.sync', 'phs.guide')
    .replaceAll('/root/phsync-ds-trial', join(folder, 'trial'))
    .replaceAll('/tmp/aadds', managed.directory)
    .replaceAll('/tmp/dc', first.directory)
    .replaceAll('127.0.0.2', first.facts.host)
    .replaceAll('127.0.0.1:8443', `${first.facts.host}:8443`)
    .replaceAll('host: 127.0.0.1', `host: ${first.facts.host}`);
  // A script has no aliases unless it asks for them.
  return `set -e\nshopt -s expand_aliases\ncd '${root}'\n${text}\n`;
}

test('runs to its end, with a ticket of the managed domain by the password of the first', {
  timeout: 620_000,
}, async () => {
  const file = join(folder, 'guide.sh');
  writeFileSync(file, commands());
  // A process group of its own: where a command fails, the tenant is still there.
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
  expect(output).toMatch(/^aadds\.phs\.test: [\d,]+ users made, .* passwords written, .* 0 failed$/m);
  expect(output).toMatch(/Default principal: alice@AADDS\.PHS\.TEST[\s\S]+krbtgt\/AADDS\.PHS\.TEST@AADDS\.PHS\.TEST/);
  expect(output).not.toMatch(/^\{.*"event":"(?:key-missing|secret-file-open|feed-without-digests)"/m);
  expect(output.replaceAll(/^.*samba-tool user create.*$/gm, '')).not.toContain('First.Passw0rd');
});
