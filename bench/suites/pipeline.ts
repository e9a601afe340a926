/**
 * The whole way of a password: lab directory → agent → provisioning wire over TLS → tenant with its SQLite store, the
 * tenant in a process of its own, beside the raw rate of the hasher's pool on the same threads.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { interleave } from '../interleave.js';
import { type Case, median, type SuiteOptions } from '../result.js';
import { phsync, usage, withTenant } from '../site.js';

/** Memory and time a user are compared between a fifth and twice the users: a ten times larger directory. */
const SIZES = [0.2, 2] as const;

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

/** Both programs and the raw pool take the kernel from the environment. */
function kernelEnv(kernel: string | undefined): Record<string, string> {
  return kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
}

function cycle(users: number, kernel: string | undefined): Promise<CycleRun> {
  return withTenant('lab.test', kernelEnv(kernel), async ({ pid, env, agentConfig }) => {
    const config = agentConfig(`[{ name: lab.test, directory: { type: lab, users: ${users} } }]`);
    const agent = spawn(process.execPath, [phsync, 'agent', '--config', config, '--once', '--json'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const tenantCpu = usage(pid)!.cpuSeconds;
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
        tenantCpuMicroseconds: ((usage(pid)!.cpuSeconds - tenantCpu) * 1e6) / sent,
      };
    } finally {
      clearInterval(watch);
    }
  });
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
  const sizes: Case[] = [];
  for (const share of SIZES) {
    const many = Math.ceil(users * share);
    const run = await cycle(many, kernel);
    const rate = run.sent / run.seconds;
    const smaller = sizes.at(-1)?.perSecond;
    sizes.push({
      name: `pipeline ${many} users, memory`,
      kernel,
      threads,
      perSecond: rate,
      ratios: {},
      samples: [rate],
      more: {
        peakRssMiB: run.peakRssMiB,
        agentCpuMicrosecondsPerUser: run.agentCpuMicroseconds,
        tenantCpuMicrosecondsPerUser: run.tenantCpuMicroseconds,
        ...(smaller === undefined ? {} : { timePerUserToTheSmaller: smaller / rate }),
      },
    });
    const cpu = `${run.agentCpuMicroseconds.toFixed(0)} + ${run.tenantCpuMicroseconds.toFixed(0)} µs CPU a user`;
    say(`${many} users: ${Math.round(rate)}/s, ${cpu}, peak ${run.peakRssMiB.toFixed(0)} MiB`);
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
        // Of the agent's: what the workers take at their raw rate.
        hashingMicrosecondsPerUser: (threads * 1e6) / median(raw),
        tenantCpuMicrosecondsPerUser: median(runs.map((run) => run.tenantCpuMicroseconds)),
      },
    },
    ...sizes,
  ];
}
