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
/** Memory is compared between a fifth and twice the users: a ten times larger directory. */
const MEMORY_SHARES = [0.2, 2] as const;

interface CycleRun {
  /** Credentials acknowledged, and the cycle's own wall-clock seconds. */
  readonly sent: number;
  readonly seconds: number;
  readonly peakRssMiB: number;
  readonly agentCpuMicroseconds: number;
  readonly tenantCpuMicroseconds: number;
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

/** Both programs and the raw pool take the kernel from the environment. */
function kernelEnv(kernel: string | undefined): Record<string, string> {
  return kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
}

async function cycle(users: number, kernel: string | undefined): Promise<CycleRun> {
  const dir = mkdtempSync(join(tmpdir(), 'phsync-bench-'));
  const env = {
    ...process.env,
    PHSYNC_AGENT_SECRET: randomBytes(32).toString('hex'),
    ...kernelEnv(kernel),
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
    const tenantCpu = usage(tenant.pid!)!.cpuSeconds;
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
      return {
        sent,
        seconds,
        peakRssMiB: seen.peakRssMiB,
        agentCpuMicroseconds: (seen.cpuSeconds * 1e6) / sent,
        tenantCpuMicroseconds: ((usage(tenant.pid!)!.cpuSeconds - tenantCpu) * 1e6) / sent,
      };
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
  const { kernel, users, say, seconds } = options;
  // The agent's own number.
  const threads = availableParallelism();
  const pool = { name: `pool:${threads}`, jobs: 16_384, env: kernelEnv(kernel) };
  const { rounds } = options;
  const raw: number[] = [];
  const runs: CycleRun[] = [];
  for (let round = 0; round < rounds; round++) {
    raw.push((await interleave([pool], 1, seconds, () => {})).get(pool.name)![0]!.perSecond);
    const run = await cycle(users, kernel);
    runs.push(run);
    say(
      `round ${round + 1} of ${rounds}: ${run.sent} users in ${run.seconds.toFixed(2)} s, ${Math.round(run.sent / run.seconds)}/s`,
    );
  }
  const rates = runs.map((run) => run.sent / run.seconds);
  const memory: Case[] = [];
  for (const share of MEMORY_SHARES) {
    const many = Math.ceil(users * share);
    const run = await cycle(many, kernel);
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
    { name: `raw ${pool.name}`, kernel, threads, perSecond: median(raw), ratios: {}, samples: raw },
    {
      name: `pipeline ${users} users`,
      kernel,
      threads,
      perSecond: median(rates),
      ratios: { [`raw ${pool.name}`]: median(rates.map((rate, round) => rate / raw[round]!)) },
      samples: rates,
      reference: `raw ${pool.name}`,
      more: {
        agentPeakRssMiB: Math.max(...runs.map((run) => run.peakRssMiB)),
        agentCpuMicrosecondsPerUser: median(runs.map((run) => run.agentCpuMicroseconds)),
        tenantCpuMicrosecondsPerUser: median(runs.map((run) => run.tenantCpuMicroseconds)),
      },
    },
    ...memory,
  ];
}
