/** An agent in a process of its own: a first synchronization, then cycles in which nothing has changed. */

import { Socket } from 'node:net';
import { pino } from 'pino';
import { loadAgentConfig } from '#src/agent/config.js';
import { createAgent } from '#src/agent/create-agent.js';
import { keepHeapSmall } from '#src/cli/heap.js';

/** What the parent gives as the only argument, as JSON. */
export interface AgentTask {
  readonly config: string;
  readonly idleCycles: number;
  /** The first cycle reads and sends everything, whatever the state says. */
  readonly full?: boolean;
}

export interface AgentRun {
  /** Credentials acknowledged in the first synchronization. */
  readonly users: number;
  readonly seconds: number;
  /** All threads, from before the agent was made. */
  readonly cpuSeconds: number;
  readonly peakRssMiB: number;
  /** Of each cycle after it, by the clock and by the CPU. */
  readonly idleMilliseconds: readonly number[];
  readonly idleCpuMilliseconds: readonly number[];
  /** Requests to the domain controller in each of them: each is one PDU, so one write. */
  readonly idleRequests: readonly number[];
}

let requests = 0;
const { write } = Socket.prototype;
Socket.prototype.write = function (this: Socket, ...args: Parameters<typeof write>) {
  // The tenant's connections are TLS.
  if (!('encrypted' in this)) requests++;
  return write.apply(this, args);
} as typeof write;

const { config, idleCycles, full: whole = false } = JSON.parse(process.argv[2]!) as AgentTask;
keepHeapSmall();
const { signal } = new AbortController();
const cpuBefore = process.cpuUsage();
const created = await createAgent(await loadAgentConfig(config), { log: pino({ level: 'warn' }, process.stderr) });

async function cycle(full = false) {
  const requestsBefore = requests;
  const before = process.cpuUsage();
  const began = process.hrtime.bigint();
  const [report] = await created.agent.cycle({ signal, full });
  const milliseconds = Number(process.hrtime.bigint() - began) / 1e6;
  const { user, system } = process.cpuUsage(before);
  if (report!.error !== undefined) throw new Error(`${report!.error.code}: ${report!.error.message}`);
  return {
    report: report!,
    milliseconds,
    cpuMilliseconds: (user + system) / 1000,
    requests: requests - requestsBefore,
  };
}

const first = await cycle(whole);
const { user, system } = process.cpuUsage(cpuBefore);
const idle = [];
for (let i = 0; i < idleCycles; i++) idle.push(await cycle());
if (idle.some(({ report }) => report.credentialsSent > 0))
  throw new Error('the directory changed: cycles were not idle');
process.send!({
  users: first.report.credentialsSent,
  seconds: first.milliseconds / 1000,
  cpuSeconds: (user + system) / 1e6,
  peakRssMiB: process.resourceUsage().maxRSS / 1024,
  idleMilliseconds: idle.map(({ milliseconds }) => milliseconds),
  idleRequests: idle.map((one) => one.requests),
  idleCpuMilliseconds: idle.map(({ cpuMilliseconds }) => cpuMilliseconds),
} satisfies AgentRun);
await created.close();
process.disconnect();
