/** Gives the tests a Samba AD DC of their own: started before the first of them, stopped and deleted after the last. */

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { reserveAddress } from './address.js';
import { untilReady } from './ready.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The DC's directory, which holds facts.json and users.jsonl; undefined: no DC can run here. */
    sambaDirectory: string | undefined;
    /** Why there is none, and whether that is to fail the tests instead of skipping them. */
    sambaMissing: { readonly why: string; readonly isFailure: boolean } | undefined;
  }
}

const here = dirname(fileURLToPath(import.meta.url));
const USERS = 2000;

const say = (text: string) => process.stderr.write(`samba: ${text}\n`);

/** What a DC needs and this machine lacks, or undefined. */
function missing(): string | undefined {
  if (process.platform !== 'linux') return `Samba's DC runs on Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'a DC listens on ports below 1024 and so needs root';
  const need = [
    '/usr/sbin/samba',
    '/usr/bin/samba-tool',
    '/usr/share/samba/setup',
    '/usr/bin/setsid',
    '/usr/bin/flock',
  ];
  const lacking = need.filter((path) => !existsSync(path));
  try {
    execFileSync('/usr/bin/python3', ['-c', 'import samba.samdb'], { stdio: 'ignore' });
  } catch {
    lacking.push('the Python module samba.samdb');
  }
  return lacking.length > 0 ? `${lacking.join(', ')} missing: run test/samba/dc/install` : undefined;
}

export default async function setUp(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  // A DC that `dc/start` and `dc/add-users` made, to try one test again and again without waiting for a new one.
  const running = process.env.PHSYNC_TEST_SAMBA_DIR;
  if (running) {
    if (!existsSync(join(running, 'facts.json'))) throw new Error(`PHSYNC_TEST_SAMBA_DIR: no DC runs in ${running}`);
    project.provide('sambaDirectory', running);
    project.provide('sambaMissing', undefined);
    return undefined;
  }

  const without = (why: string, isFailure: boolean) => {
    const files = readdirSync(here).filter((name) => name.endsWith('.test.ts'));
    const outcome = isFailure ? 'failing' : 'skipped';
    say(`no domain controller (${why}); ${outcome}: ${files.map((name) => `test/samba/${name}`).join(', ')}`);
    project.provide('sambaDirectory', undefined);
    project.provide('sambaMissing', { why, isFailure });
    return undefined;
  };
  const lacking = missing();
  if (lacking !== undefined) return without(lacking, process.env.CI === 'true');

  const directory = mkdtempSync(join(tmpdir(), 'phsync-samba.'));
  const { address, release } = await reserveAddress(20);
  const began = Date.now();
  say(`starting a domain controller on ${address} and adding ${USERS} users (about a minute)`);
  // Its own session: a Ctrl-C ends it by the end of its standard input, after the tests.
  const server = spawn(join(here, 'dc', 'serve'), [directory, address, String(USERS), '--no-dns'], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  const stop = async () => {
    server.stdin!.end();
    await ended;
    release();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await untilReady(server, say);
  } catch (error) {
    await stop();
    return without((error as Error).message, true);
  }
  say(`ready after ${((Date.now() - began) / 1000).toFixed(0)} s`);
  project.provide('sambaMissing', undefined);
  project.provide('sambaDirectory', directory);
  return stop;
}
