/**
 * Pulling a domain with its secrets from a running Samba DC, beside Samba's own C client (test/samba/dc/ncchanges.py)
 * and impacket's secretsdump, one after the other in the same run. The DC is on the same machine and bounds them all:
 * past its own rate the figure to compare is CPU per user.
 */

import { fork, spawn } from 'node:child_process';
import { pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentRun } from '../agent-process.js';
import type { DrsrPull, DrsrTask } from '../drsr-process.js';
import { type Case, median, type SuiteOptions } from '../result.js';
import { childrenCpu, withTenant } from '../site.js';
import { ACCOUNT, agentEnv, type Dc, dcTools, ended, readDc, syncOnce } from '../whole-sync.js';

const script = fileURLToPath(new URL('../drsr-process.js', import.meta.url));
const IDLE_CYCLES = 11;
/** impacket makes one call a user: at tens of users a second a part of the domain says enough. */
const IMPACKET_SECONDS = 45;

interface Pull {
  readonly users: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function ours(dc: Dc, known: ReadonlyMap<string, string>): Promise<Pull> {
  const task: DrsrTask = { server: dc.dnsHostName, address: dc.host, domain: dc.dnsDomain, ...ACCOUNT };
  const child = fork(script, [JSON.stringify(task)]);
  const end = ended(child, 'the pull');
  const [pull] = (await Promise.race([once(child, 'message'), end.then(() => [])])) as [DrsrPull];
  await end;
  for (const [guid, salt, digest] of pull.digests) {
    const ntHash = known.get(guid);
    if (ntHash === undefined) continue;
    const password = Buffer.from(ntHash.toUpperCase(), 'utf16le');
    if (pbkdf2Sync(password, Buffer.from(salt, 'hex'), 1, 32, 'sha256').toString('hex') !== digest) {
      throw new Error(`the secret of ${guid} is not what users.jsonl says: the DC must be as add-users left it`);
    }
  }
  return pull;
}

/** The whole first synchronization into a tenant on the same machine, and cycles in which nothing has changed. */
const wholeSync = (dc: Dc): Promise<AgentRun> =>
  withTenant(dc.dnsDomain, agentEnv, (site) => syncOnce(dc, site, { idleCycles: IDLE_CYCLES }));

async function sambaClient(dc: Dc): Promise<Pull> {
  const before = childrenCpu();
  const child = spawn(
    '/usr/bin/python3',
    [join(dcTools, 'ncchanges.py'), dc.directory, '--partial', '--max-objects', '1000'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  child.stdout!.on('data', (part: Buffer) => {
    text += part;
  });
  await ended(child, 'ncchanges.py');
  const { usersWithHash, seconds } = JSON.parse(text) as { usersWithHash: number; seconds: number };
  return { users: usersWithHash, seconds, cpuSeconds: childrenCpu() - before };
}

async function impacket(dc: Dc): Promise<Pull> {
  const before = childrenCpu();
  const account = `${dc.netbiosDomain}/${ACCOUNT.user}:${ACCOUNT.password}@${dc.host}`;
  const child = spawn(join(dcTools, 'secretsdump'), ['-just-dc-ntlm', account], {
    // It leaves its resume file in the working directory when it is stopped.
    cwd: dc.directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const began = process.hrtime.bigint();
  const stop = setTimeout(() => child.kill('SIGKILL'), IMPACKET_SECONDS * 1000);
  let users = 0;
  let text = '';
  child.stdout!.on('data', (part: Buffer) => {
    text += part;
    const lines = text.split('\n');
    text = lines.pop()!;
    users += lines.filter((line) => line.endsWith(':::')).length;
  });
  await ended(child, 'secretsdump', [0, null]);
  clearTimeout(stop);
  return { users, seconds: Number(process.hrtime.bigint() - began) / 1e9, cpuSeconds: childrenCpu() - before };
}

export async function drsr({ dc: directory, rounds: wished, say }: SuiteOptions): Promise<Case[]> {
  if (directory === undefined || !existsSync(join(directory, 'facts.json'))) {
    throw new RangeError('--dc: expected the directory of a running Samba DC (test/samba/dc/start), with facts.json');
  }
  const dc = readDc(directory);
  const known = new Map<string, string>();
  for (const line of readFileSync(join(directory, 'users.jsonl'), 'utf8').trim().split('\n')) {
    const { objectGUID, ntHash } = JSON.parse(line) as { objectGUID: string; ntHash: string | null };
    if (ntHash !== null) known.set(objectGUID, ntHash);
  }
  const contenders: Record<string, Pull[]> = { phsync: [], 'samba C client': [], impacket: [] };
  const syncs: AgentRun[] = [];
  const rounds = Math.min(wished, 5);
  for (let round = 0; round < rounds; round++) {
    contenders.phsync!.push(await ours(dc, known));
    contenders['samba C client']!.push(await sambaClient(dc));
    syncs.push(await wholeSync(dc));
    if (round === 0) contenders.impacket!.push(await impacket(dc));
    const figures = Object.entries(contenders).map(([name, pulls]) => {
      const { users, seconds, cpuSeconds } = pulls.at(-1)!;
      return `${name} ${users} users, ${Math.round(users / seconds)}/s, ${((cpuSeconds * 1e6) / users).toFixed(0)} µs CPU a user`;
    });
    const { users, seconds, idleMilliseconds } = syncs.at(-1)!;
    figures.push(`whole sync ${Math.round(users / seconds)}/s, idle cycle ${median(idleMilliseconds).toFixed(1)} ms`);
    say(`round ${round + 1} of ${rounds}: ${figures.join('; ')}`);
  }
  const rate = (pulls: readonly Pull[]) => median(pulls.map(({ users, seconds }) => users / seconds));
  const pulls = Object.entries(contenders).map(([name, pulls]) => ({
    name: `drsr pull ${name}`,
    kernel: undefined,
    threads: 1,
    perSecond: rate(pulls),
    ratios: Object.fromEntries(
      Object.entries(contenders)
        .filter(([other]) => other !== name)
        .map(([other, theirs]) => [other, rate(pulls) / rate(theirs)]),
    ),
    samples: pulls.map(({ users, seconds }) => users / seconds),
    ...(name === 'phsync' ? { reference: 'drsr pull samba C client' } : {}),
    more: {
      users: median(pulls.map(({ users }) => users)),
      cpuMicrosecondsPerUser: median(pulls.map(({ users, cpuSeconds }) => (cpuSeconds * 1e6) / users)),
    },
  }));
  return [...pulls, ...syncCases(syncs, contenders['samba C client']!)];
}

function syncCases(syncs: readonly AgentRun[], theirs: readonly Pull[]): Case[] {
  const rates = syncs.map(({ users, seconds }) => users / seconds);
  const idle = syncs.map(({ idleMilliseconds }) => 1000 / median(idleMilliseconds));
  const reference = 'drsr pull samba C client';
  const common = { kernel: undefined, threads: availableParallelism() };
  return [
    {
      ...common,
      name: 'first synchronization',
      perSecond: median(rates),
      // Of pulling alone, with nothing hashed, sent or stored.
      ratios: { 'samba C client': median(rates.map((rate, i) => rate / (theirs[i]!.users / theirs[i]!.seconds))) },
      samples: rates,
      reference,
      more: {
        users: median(syncs.map(({ users }) => users)),
        agentCpuMicrosecondsPerUser: median(syncs.map(({ cpuSeconds, users }) => (cpuSeconds * 1e6) / users)),
        agentPeakRssMiB: Math.max(...syncs.map(({ peakRssMiB }) => peakRssMiB)),
      },
    },
    {
      ...common,
      name: 'idle cycle',
      perSecond: median(idle),
      ratios: {},
      samples: idle,
      more: {
        milliseconds: median(syncs.flatMap(({ idleMilliseconds }) => idleMilliseconds)),
        cpuMilliseconds: median(syncs.flatMap(({ idleCpuMilliseconds }) => idleCpuMilliseconds)),
        // The first one after a connection was made asks two more: who the server is.
        requestsToTheDirectory: median(syncs.flatMap(({ idleRequests }) => idleRequests)),
      },
    },
  ];
}
