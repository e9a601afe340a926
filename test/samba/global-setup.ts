/** Gives the tests a Samba AD DC of their own: started before the first of them, stopped and deleted after the last. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

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
// All but DNS, which is not served, and the RPC ports, which the endpoint mapper names.
const PORTS = [88, 135, 389, 445, 464, 636, 3268, 3269];
const ENOUGH_SECONDS = 600;

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

const canListen = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });

/** A loopback address on which all of a DC's ports are free. */
async function freeAddress(): Promise<string> {
  for (let last = 20; last < 250; last += 1) {
    const address = `127.0.0.${last}`;
    const free = await Promise.all(PORTS.map((port) => canListen(address, port)));
    if (free.every(Boolean)) return address;
  }
  throw new Error(`no address from 127.0.0.20 to 127.0.0.249 has the ports ${PORTS.join(', ')} free`);
}

/** Resolves when `serve` says that the accounts are there; rejects with its last lines when it ends before. */
function untilReady(server: ChildProcess): Promise<void> {
  const errors: string[] = [];
  createInterface({ input: server.stderr! }).on('line', (line) => {
    errors.push(line);
    if (/^\d+\/\d+ |^added /.test(line)) say(line);
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the DC did not come up within ${ENOUGH_SECONDS} s:\n${errors.slice(-20).join('\n')}`)),
      ENOUGH_SECONDS * 1000,
    );
    createInterface({ input: server.stdout! }).once('line', () => {
      clearTimeout(timer);
      resolve();
    });
    server.once('error', reject);
    server.once('close', (code) => {
      clearTimeout(timer);
      reject(new Error(`the DC did not come up (exit ${code}):\n${errors.slice(-20).join('\n')}`));
    });
  });
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
  const address = await freeAddress();
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
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await untilReady(server);
  } catch (error) {
    await stop();
    return without((error as Error).message, true);
  }
  say(`ready after ${((Date.now() - began) / 1000).toFixed(0)} s`);
  project.provide('sambaMissing', undefined);
  project.provide('sambaDirectory', directory);
  return stop;
}
