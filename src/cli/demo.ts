/** `phsync demo`: the main job on embedded defaults, from a simulated directory to people signing in. */

import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { stringify } from 'yaml';
import type { CycleReport } from '../agent/agent.js';
import { systemClock } from '../agent/clock.js';
import { loadAgentConfig } from '../agent/config.js';
import { type CreatedAgent, createAgent } from '../agent/create-agent.js';
import { runEveryTwoMinutes } from '../agent/scheduler.js';
import { LabDirectory, LabSource } from '../agent/sources/lab-source.js';
import { PhsyncError } from '../hasher/errors.js';
import { checkFips } from '../hasher/fips.js';
import { createLog } from '../log/log.js';
import { makeDirectory } from '../state/directory.js';
import { type Progress, showProgress, silentProgress } from './demo/progress.js';
import { SignInClient } from './demo/sign-in.js';
import { startTenantProcess, type TenantProcess } from './demo/tenant-process.js';
import { keepHeapSmall } from './heap.js';
import { count, printJson } from './output.js';
import { allowMd5InFipsOption } from './secret-options.js';
import { stopSignal } from './stop-signal.js';

const DEFAULT_USERS = 20_000;
const MAX_USERS = 1_000_000;
const DOMAIN = 'lab.test';
const SECRET = 'PHSYNC_DEMO_AGENT_SECRET';
/** People who change their password between two cycles while the demo stays up. */
const CHANGES_A_CYCLE = 5;

interface Options {
  readonly users: number;
  readonly stateDir?: string;
  readonly once?: boolean;
  readonly json?: boolean;
  readonly allowMd5InFips?: boolean;
}

interface ShownSignIn {
  readonly who: string;
  readonly userPrincipalName: string;
  readonly expected: string;
  readonly answer: string;
}

interface Demo {
  readonly lab: LabDirectory;
  readonly tenant: TenantProcess;
  readonly created: CreatedAgent;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  progress: Progress;
}

async function run(options: Options): Promise<void> {
  checkFips('the demo', 'MD4, MD5 and RC4', options.allowMd5InFips);
  keepHeapSmall();
  const directory = options.stateDir ?? mkdtempSync(join(tmpdir(), 'phsync-demo-'));
  const removeTemporary = () => {
    if (options.stateDir === undefined) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  let tenantChild: ChildProcess | undefined;
  const stop = stopSignal({
    atOnce: () => {
      // It must not write to the directory any more.
      tenantChild?.kill('SIGKILL');
      removeTemporary();
    },
  });
  const say = options.json ? () => {} : (line: string) => void process.stdout.write(`${line}\n`);
  let tenant: TenantProcess | undefined;
  let created: CreatedAgent | undefined;
  let complete = false;
  try {
    makeDirectory(directory);
    const env = { ...process.env, [SECRET]: randomBytes(32).toString('base64url') };
    const lab = new LabDirectory({ users: options.users, domain: DOMAIN, journal: join(directory, 'lab.jsonl') });
    tenant = await startTenantProcess(writeTenantConfig(directory, options), env, (child) => {
      tenantChild = child;
    });
    say(`tenant      ${tenant.url} (process ${tenant.pid}, SQLite below ${directory})`);
    const config = await loadAgentConfig(writeAgentConfig(directory, tenant, options));
    const log = createLog(config.logLevel);
    created = await createAgent(config, {
      log,
      env,
      openSource: async () => new LabSource(lab),
      onProgress: (_, { inScope, failed }) => demo.progress.update(inScope, Math.max(inScope, lab.users), failed),
    });
    const demo: Demo = { lab, tenant, created, signal: stop.signal, say, progress: silentProgress };
    await show(demo, options);
    complete = true;
    if (!options.once && !stop.signal.aborted) await stayUp(demo);
  } catch (error) {
    // Ctrl-C in the middle of the show is a clean end, too, but not of what was asked for with --once.
    if (!stop.signal.aborted || complete) throw error;
    const before = created?.wasSynchronized(DOMAIN) ? 'the demo' : 'the first synchronization';
    const message = `stopped before ${before} was complete`;
    if (options.once || options.json) throw new PhsyncError('interrupted', message);
    say(`\n${message}`);
  } finally {
    await created?.close();
    await tenant?.stop();
    removeTemporary();
    stop.dispose();
  }
}

async function show(demo: Demo, { json = false }: Options): Promise<void> {
  const { lab, tenant, created, say } = demo;
  const { backend, kernel, threads } = created.hasher;
  say(`directory   simulated lab directory, ${count(lab.users)} users`);
  say(`hasher      ${backend}${kernel === undefined ? '' : `, kernel ${kernel}`}, ${threads} threads`);

  const again = created.wasSynchronized(DOMAIN);
  say(again ? '\nDelta: what changed since the last run' : '\nFirst synchronization: every user and password');
  if (!json) demo.progress = showProgress(process.stderr);
  const first = await cycle(demo).finally(() => {
    demo.progress.stop();
    demo.progress = silentProgress;
  });
  const usersPerSecond = again ? undefined : first.credentialsSent / first.seconds;
  say(
    `  ${count(first.credentialsSent)} passwords in ${first.seconds.toFixed(1)} s: ` +
      `${usersPerSecond === undefined ? '' : `${count(usersPerSecond)} users/s, `}` +
      `${count(first.failed)} failed, ${count(first.filtered)} must change theirs first`,
  );

  const changed = lab.userIndex(Math.min(41, lab.users - 1));
  lab.changePassword(changed);
  say(`\n${lab.userPrincipalNameOf(changed)} changed the password; the next cycle would come within two minutes,`);
  say('here it runs at once');
  const delta = await cycle(demo);
  say(`  ${count(delta.credentialsSent)} password in ${delta.seconds.toFixed(2)} s`);

  say('\nSign-ins');
  const signIns = await signInAll(demo, changed);
  const memory = { agent: memoryOf('self'), tenant: memoryOf(tenant.pid) };
  say('\nSummary');
  if (usersPerSecond !== undefined) {
    say(`  ${kernel ?? backend}, ${threads} threads: ${count(usersPerSecond)} users/s from directory to tenant`);
  }
  say(`  memory (RSS): agent and directory ${memory.agent ?? '?'} MiB, tenant ${memory.tenant ?? '?'} MiB`);
  if (json) {
    printJson({
      tenant: { url: tenant.url, tenantId: tenant.tenantId },
      hasher: created.hasher,
      users: lab.users,
      first,
      // Only a first synchronization has a rate.
      usersPerSecond: usersPerSecond === undefined ? null : Math.round(usersPerSecond),
      delta,
      signIns,
      memoryMiB: memory,
    });
  }
  const wrong = signIns.filter(({ expected, answer }) => expected !== answer);
  if (wrong.length > 0) {
    throw new PhsyncError(
      'demo-sign-in',
      `sign-in of ${wrong[0]!.who}: expected ${wrong[0]!.expected}, got ${wrong[0]!.answer}`,
    );
  }
}

/** One cycle; its only connector's failure is the demo's. */
async function cycle({ created, signal }: Demo): Promise<CycleReport> {
  const [report] = await created.agent.cycle({ signal });
  if (report!.error !== undefined) throw new PhsyncError(report!.error.code, report!.error.message);
  signal.throwIfAborted();
  return report!;
}

const SIGNED_IN = 'signed in';

async function signInAll({ lab, tenant, say }: Demo, changed: number): Promise<ShownSignIn[]> {
  const client = await SignInClient.open(tenant.tokenUrl, tenant.ca);
  const shown: ShownSignIn[] = [];
  async function show(who: string, userPrincipalName: string, password: string, expected: string): Promise<void> {
    const { code } = await client.signIn(userPrincipalName, password);
    const answer = code === undefined ? SIGNED_IN : `AADSTS${code}`;
    shown.push({ who, userPrincipalName, expected, answer });
    const mark = answer === expected ? ' ' : ` (expected: ${expected})`;
    say(`  ${userPrincipalName.padEnd(20)} ${who.padEnd(34)} ${answer}${mark}`.trimEnd());
  }
  const right = (index: number) => [lab.userPrincipalNameOf(index), lab.passwordOf(index)] as const;
  try {
    for (const n of new Set([0, Math.floor(lab.users / 2), lab.users - 1])) {
      const index = lab.userIndex(n);
      if (index === changed) continue;
      await show('right password', ...right(index), SIGNED_IN);
      await show('wrong password', lab.userPrincipalNameOf(index), 'not-the-password', 'AADSTS50126');
    }
    await show('new password', ...right(changed), SIGNED_IN);
    await show('old password', lab.userPrincipalNameOf(changed), lab.previousPasswordOf(changed)!, 'AADSTS50126');
    for (const [kind, who, expected] of [
      ['disabled', 'right password, account disabled', 'AADSTS50057'],
      ['mustChange', 'must change password: not synced', 'AADSTS50126'],
      ['inetOrgPerson', 'an inetOrgPerson: not synced', 'AADSTS50126'],
    ] as const) {
      for (const index of lab.indexesOf(kind)) {
        await show(who, ...right(index), expected);
        break;
      }
    }
  } finally {
    await client.close();
  }
  return shown;
}

async function stayUp(demo: Demo): Promise<void> {
  const { lab, signal, say } = demo;
  say(`\nStaying up with a cycle every two minutes, ${CHANGES_A_CYCLE} people changing their passwords before each.`);
  say('Ctrl-C ends it.');
  let next = 0;
  await runEveryTwoMinutes(
    async () => {
      for (let i = 0; i < CHANGES_A_CYCLE; i++) lab.changePassword(lab.userIndex((next += 7919) % lab.users));
      try {
        const { credentialsSent, failed, seconds } = await cycle(demo);
        if (signal.aborted) return;
        const time = new Date().toISOString().slice(11, 19);
        say(`  ${time}  ${count(credentialsSent)} passwords in ${seconds.toFixed(2)} s, ${count(failed)} failed`);
      } catch (error) {
        if (!signal.aborted) process.stderr.write(`phsync: ${(error as Error).message}\n`);
      }
    },
    systemClock,
    signal,
  );
  say('\nstopped');
}

function writeTenantConfig(directory: string, { allowMd5InFips = false }: Options): string {
  return write(directory, 'tenant.yaml', {
    stateDir: './tenant-state',
    listen: { host: '127.0.0.1', port: 0 },
    domains: [{ name: DOMAIN }],
    agents: [{ clientId: 'demo-agent', clientSecret: { env: SECRET } }],
    logLevel: 'warn',
    allowMd5InFips,
  });
}

function writeAgentConfig(
  directory: string,
  tenant: TenantProcess,
  { users, allowMd5InFips = false }: Options,
): string {
  return write(directory, 'agent.yaml', {
    stateDir: './agent-state',
    logLevel: 'warn',
    allowMd5InFips,
    tenant: {
      url: tenant.provisioningUrl,
      ca: tenant.ca,
      auth: { clientId: 'demo-agent', clientSecret: { env: SECRET } },
    },
    connectors: [{ name: DOMAIN, directory: { type: 'lab', users, domain: DOMAIN } }],
  });
}

function write(directory: string, name: string, value: unknown): string {
  const file = join(directory, name);
  writeFileSync(file, stringify(value), { mode: 0o600 });
  return file;
}

/** Resident memory in MiB, where the system tells. */
function memoryOf(pid: number | 'self'): number | undefined {
  if (pid === 'self') return Math.round(process.memoryUsage.rss() / 2 ** 20);
  if (process.platform !== 'linux') return undefined;
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1024);
}

function usersOption(text: string): number {
  const users = Number(text);
  if (!/^\d+$/.test(text) || users < 1 || users > MAX_USERS) {
    throw new InvalidArgumentError(`expected a number from 1 to ${MAX_USERS}`);
  }
  return users;
}

export function command(): Command {
  return new Command('demo')
    .description('the main job on embedded defaults: simulated directory, agent, tenant, sign-ins')
    .option('--users <n>', 'users of the simulated directory', usersOption, DEFAULT_USERS)
    .option('--state-dir <dir>', 'where the state goes and stays; otherwise a temporary directory that is removed')
    .option('--once', 'end after the summary')
    .option('--json', 'print one JSON document in place of the text')
    .addOption(allowMd5InFipsOption())
    .action(run);
}
