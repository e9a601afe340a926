/**
 * The whole way of a password: lab directory → agent → provisioning wire over TLS → tenant with its SQLite store, the
 * tenant in a process of its own, beside the raw rate of the hasher's pool on the same threads.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { interleave } from '../interleave.js';
import { type Case, median, type SuiteOptions } from '../result.js';

const phsync = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
/** Memory is compared at a first and at a ten times larger directory. */
const MEMORY_USERS = [20_000, 200_000] as const;

interface CycleRun {
  /** Credentials acknowledged, and the cycle's own wall-clock seconds. */
  readonly sent: number;
  readonly seconds: number;
  readonly peakRssMiB: number;
  readonly cpuMicrosecondsPerUser: number;
}

async function text(child: ChildProcess): Promise<string> {
  const parts: Buffer[] = [];
  child.stdout!.on('data', (part: Buffer) => parts.push(part));
  const [code] = await once(child, 'close');
  const all = Buffer.concat(parts).toString();
  if (code !== 0) {
    throw new Error(
      `\`phsync ${child.spawnargs.slice(2).join(' ')}\` ended with exit code ${code}: ${all.slice(0, 500)}`,
    );
  }
  return all;
}

/** Peak resident set in MiB and CPU seconds so far, as long as the process is there. */
function usage(pid: number): { peakRssMiB: number; cpuSeconds: number } | undefined {
  try {
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    // utime and stime in clock ticks, which Linux fixes at 100 a second for user space.
    return { peakRssMiB: Number(peak ?? 0) / 1024, cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100 };
  } catch {
    // The process has ended.
    return undefined;
  }
}

async function cycle(users: number, threads: number, kernel: string | undefined): Promise<CycleRun> {
  const dir = mkdtempSync(join(tmpdir(), 'phsync-bench-'));
  const env = {
    ...process.env,
    PHSYNC_AGENT_SECRET: randomBytes(32).toString('hex'),
    PHSYNC_THREADS: String(threads),
    ...(kernel === undefined ? {} : { PHSYNC_KERNEL: kernel }),
  };
  writeFileSync(
    join(dir, 'tenant.yaml'),
    `stateDir: ./tenant-state
listen: { host: 127.0.0.1, port: 0 }
tls: auto
store: { type: sqlite }
domains: [{ name: lab.test, authenticationType: Managed }]
agents: [{ clientId: agent-1, clientSecret: { env: PHSYNC_AGENT_SECRET } }]
logLevel: warn
`,
  );
  const tenant = spawn(process.execPath, [phsync, 'tenant', '--config', join(dir, 'tenant.yaml'), '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(tenant.stdout!, 'data')) as [Buffer];
    const { url } = JSON.parse(line.toString()) as { url: string };
    writeFileSync(
      join(dir, 'agent.yaml'),
      `stateDir: ./agent-state
tenant:
  url: ${new URL('/provisioningservice.svc', url).href}
  ca: ./tenant-state/ca.pem
  auth: { clientId: agent-1, clientSecret: { env: PHSYNC_AGENT_SECRET } }
connectors: [{ name: lab.test, directory: { type: lab, users: ${users} } }]
logLevel: warn
`,
    );
    const agent = spawn(process.execPath, [phsync, 'agent', '--config', join(dir, 'agent.yaml'), '--once', '--json'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seen = { peakRssMiB: 0, cpuSeconds: 0 };
    const watch = setInterval(() => {
      const now = usage(agent.pid!);
      // A process that is ending has no memory left to report.
      if (now !== undefined) seen = { ...now, peakRssMiB: Math.max(now.peakRssMiB, seen.peakRssMiB) };
    }, 50);
    try {
      const { connectors } = JSON.parse(await text(agent)) as {
        connectors: readonly { credentialsSent: number; seconds: number }[];
      };
      const { credentialsSent: sent, seconds } = connectors[0]!;
      return { sent, seconds, peakRssMiB: seen.peakRssMiB, cpuMicrosecondsPerUser: (seen.cpuSeconds * 1e6) / sent };
    } finally {
      clearInterval(watch);
    }
  } finally {
    tenant.kill('SIGTERM');
    await once(tenant, 'close');
    rmSync(dir, { recursive: true, force: true });
  }
}

export async function pipeline(options: SuiteOptions): Promise<Case[]> {
  const { kernel, threads = availableParallelism(), users, say, seconds } = options;
  const rounds = Math.min(options.rounds, 5);
  const raw: number[] = [];
  const runs: CycleRun[] = [];
  for (let round = 0; round < rounds; round++) {
    raw.push(
      ...(await interleave([{ name: `pool:${threads}`, jobs: 16_384 }], 1, seconds, say)).get(`pool:${threads}`)!,
    );
    const run = await cycle(users, threads, kernel);
    runs.push(run);
    say(
      `round ${round + 1} of ${rounds}: ${run.sent} users in ${run.seconds.toFixed(2)} s, ${Math.round(run.sent / run.seconds)}/s`,
    );
  }
  const rates = runs.map((run) => run.sent / run.seconds);
  const memory: Case[] = [];
  for (const many of MEMORY_USERS) {
    const run = await cycle(many, threads, kernel);
    const rate = run.sent / run.seconds;
    memory.push({
      name: `pipeline ${many} users, memory`,
      kernel,
      threads,
      perSecond: rate,
      ratios: {},
      samples: [rate],
      more: { peakRssMiB: run.peakRssMiB },
    });
    say(`${many} users: peak ${run.peakRssMiB.toFixed(0)} MiB`);
  }
  return [
    { name: `raw pool:${threads}`, kernel, threads, perSecond: median(raw), ratios: {}, samples: raw },
    {
      name: `pipeline ${users} users`,
      kernel,
      threads,
      perSecond: median(rates),
      ratios: { [`raw pool:${threads}`]: median(rates.map((rate, round) => rate / raw[round]!)) },
      samples: rates,
      more: {
        agentPeakRssMiB: Math.max(...runs.map((run) => run.peakRssMiB)),
        agentCpuMicrosecondsPerUser: median(runs.map((run) => run.cpuMicrosecondsPerUser)),
      },
    },
    ...memory,
  ];
}
