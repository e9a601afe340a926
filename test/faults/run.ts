/** One fault run: a first synchronization and password changes while everything fails, then calm, then the verdict. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import type { Hasher } from '#src/hasher/types.js';
import type { Authority } from '../provisioning/https-server.js';
import { DcProxy } from './dc-proxy.js';
import type { Directory } from './directory.js';
import { FaultyTenant } from './faulty-tenant.js';
import { judge, recordHistory } from './history.js';
import { AgentProcess, TenantProcess } from './programs.js';
import { Random } from './random.js';

export interface RunOptions {
  readonly seed: number;
  readonly directory: Directory;
  readonly authority: Authority;
  readonly hasher: Hasher;
  /** Password changes while everything fails. */
  readonly changes: number;
  /** How long it does. */
  readonly troubleMs: number;
  readonly keep?: boolean;
}

export interface RunResult {
  readonly seed: number;
  readonly wrong: readonly string[];
  /** For the line that is printed. */
  readonly story: Readonly<Record<string, number | string>>;
}

/** Cycles that calm may take: what waits is made due before each. */
const CALM_CYCLES = 8;
const STATE_MIB = 8;
/** Passwords change in so many steps, each when the agent has sent some; on a slow machine that may take three times as long. */
const STEPS = 10;

export async function faultRun(options: RunOptions): Promise<RunResult> {
  const { seed, directory, authority, hasher, troubleMs } = options;
  const began = Date.now();
  const random = new Random(seed);
  const place = mkdtempSync(join(tmpdir(), `phsync-faults-${seed}.`));
  const disk = new SmallDisk(join(place, 'disk'));
  await directory.forgetHistory();
  const { dc } = directory;
  const tenant = await TenantProcess.start(place, dc.facts.dnsDomain);
  recordHistory(tenant.database);
  const proxy = await FaultyTenant.start(await authority.issue(['127.0.0.1']), tenant.url, tenant.ca);
  const network = await DcProxy.start(dc.facts);
  const agent = new AgentProcess({
    directory: place,
    stateDir: join(disk.path, 'state'),
    tenantUrl: proxy.url,
    ca: authority.pem,
    address: network.address,
    dc: dc.facts,
    account: dc.users.find(({ kind }) => kind === 'sync-account')!.name,
    pageSize: random.pick([25, 60, 150, 1000]),
  });
  let failed = true;
  try {
    const begin = [
      new Random(seed ^ 0x5eed),
      random.pick([0.15, 0.3, 0.45]),
      random.pick([undefined, 20, 2000]),
    ] as const;
    // In the first synchronization, or in the changes after it: a DC sends much of the former again of its own accord.
    const fromTheStart = random.chance(0.3);
    if (fromTheStart) proxy.trouble(...begin);
    proxy.onKill = () => agent.kill();
    agent.run();
    if (!fromTheStart) {
      await agent.firstCycle();
      proxy.trouble(...begin);
    }
    const { restarts, fills } = await trouble({ ...options, random, agent, proxy, network, disk, troubleMs });
    network.calm();
    await agent.stop();
    await proxy.calm();
    const cycles = await settle(agent);
    // Nothing of what the DC was asked is left out by mistake of this harness: its own database says what is current.
    const current = await directory.currentHashes();
    const lost = directory.people.filter(({ guid, hashes }) => current.get(guid) !== hashes.at(-1));
    if (lost.length > 0)
      throw new Error(`the harness lost track of ${lost.length} passwords, ${lost[0]!.dn} among them`);
    const { stored, wrong } = await judge(tenant.database, directory.people, hasher);
    failed = wrong.length > 0;
    const faults = [...proxy.struck].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, n]) => `${name} ${n}`);
    return {
      seed,
      wrong,
      story: {
        seconds: ((Date.now() - began) / 1000).toFixed(1),
        cycles: agent.cycles,
        sends: proxy.credentials,
        kills: agent.kills,
        ends: agent.ends,
        restarts,
        cuts: network.cuts,
        fullDisks: disk.isMounted ? fills : 'none: this process may mount no file system',
        requests: proxy.forwarded,
        stored,
        calmCycles: cycles,
        faults: faults.join(', '),
      },
    };
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${agent.said}`, { cause: error });
  } finally {
    await agent.stop().catch(() => undefined);
    network.close();
    await proxy.close();
    await tenant.stop();
    disk.close();
    if ((failed && options.keep) || process.env.PHSYNC_FAULTS_KEEP)
      process.stderr.write(`faults: the logs of seed ${seed} are kept in ${place}\n`);
    else rmSync(place, { recursive: true, force: true });
  }
}

interface Trouble extends RunOptions {
  readonly random: Random;
  readonly agent: AgentProcess;
  readonly proxy: FaultyTenant;
  readonly network: DcProxy;
  readonly disk: SmallDisk;
}

/** Everything that fails besides the tenant's answers, at times that the seed draws. */
async function trouble({ random, directory, agent, proxy, network, disk, changes, troubleMs }: Trouble) {
  const { dc } = directory;
  const plan: { readonly at: number; readonly act: () => Promise<void> | void }[] = [];
  const draw = (times: number, act: () => Promise<void> | void) => {
    for (let i = 0; i < times; i++) plan.push({ at: random.int(0, troubleMs), act });
  };
  let fills = 0;
  // Decided now, so that what the processes do changes nothing of what comes.
  const restarts = random.chance(0.3) ? 1 : 0;
  const byKill = random.chance(0.5);
  const fullFor = random.int(200, 1200);
  const room = random.pick([0, 300_000, 1_300_000]);
  draw(random.int(0, 1), () => agent.kill());
  draw(random.int(1, 4), () => network.cutAfter(random.int(100, 60_000)));
  draw(random.int(0, 2), async () => {
    if (!disk.isMounted) return;
    fills++;
    disk.fill(room);
    await sleep(fullFor);
    disk.empty();
  });
  draw(restarts, async () => {
    await (byKill ? dc.kill() : dc.stop());
    await dc.restart();
    await network.retarget(dc.facts);
  });
  // Apart from the others, one after the other: each user's passwords have an order.
  const steps = Array.from({ length: STEPS }, () => random.int(0, troubleMs)).sort((a, b) => a - b);
  const byLdap = random.int(0, steps.length - 1);
  const changing = new Random(random.int(0, 2 ** 31));
  const began = Date.now();
  const until = (at: number) => sleep(Math.max(0, began + at - Date.now()));
  let changed = false;
  const changer = async () => {
    for (const [i, at] of steps.entries()) {
      await until(at);
      while (proxy.credentials < i && Date.now() < began + 3 * at) await sleep(30);
      const count = Math.floor((changes * (i + 1)) / steps.length) - Math.floor((changes * i) / steps.length);
      await directory.change(count, changing, i === byLdap);
    }
    changed = true;
  };
  const actor = async () => {
    plan.sort((a, b) => a.at - b.at);
    const acts: Promise<void>[] = [];
    for (const { at, act } of plan) {
      await until(at);
      acts.push(Promise.resolve(act()));
    }
    await Promise.all(acts);
  };
  // Hours pass: who waits in the retry queue is tried again and again.
  const clock = async () => {
    while (!changed) {
      await sleep(600);
      makeDue(join(agent.stateDir, 'agent.sqlite'));
    }
  };
  await Promise.all([changer(), actor(), clock(), until(troubleMs)]);
  return { restarts, fills };
}

/** Cycles until nothing waits any more. @throws where that does not come */
async function settle(agent: AgentProcess): Promise<number> {
  for (let cycle = 1; cycle <= CALM_CYCLES; cycle++) {
    makeDue(join(agent.stateDir, 'agent.sqlite'));
    const { code, report, text } = await agent.once();
    if (code === 0 && report?.retryQueue === 0 && report.error === undefined) return cycle;
    if (cycle === CALM_CYCLES) throw new Error(`after calm a cycle ends with ${code}: ${text}`);
  }
  return CALM_CYCLES;
}

/** As if the time of all who wait in the retry queue had come: their next try may be an hour away. */
function makeDue(file: string): void {
  if (!existsSync(file)) return;
  const db = new Database(file, { timeout: 50 });
  try {
    // Killed before its first migration ended, the agent may have left a file without tables.
    if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'retry'").get() !== undefined) {
      db.exec('UPDATE retry SET next_try = 0');
    }
  } catch (error) {
    // The agent writes, or the disk is full: another time.
    if (!(error instanceof Database.SqliteError)) throw error;
  } finally {
    db.close();
  }
}

/** A file system of its own, of a few MiB: its end is quickly reached. Where none may be mounted, no disk gets full. */
class SmallDisk {
  readonly path: string;
  readonly isMounted: boolean;
  readonly #filler: string;

  constructor(path: string) {
    this.path = path;
    this.#filler = join(path, 'letters.txt');
    mkdirSync(path);
    this.isMounted =
      spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${STATE_MIB}m,mode=0700`, 'tmpfs', path]).status === 0;
  }

  /** Leaves so many bytes. */
  fill(room: number): void {
    const { bavail, bsize } = statfsSync(this.path);
    try {
      writeFileSync(this.#filler, Buffer.alloc(Math.max(0, bavail * bsize - room)));
    } catch (error) {
      // The agent wrote meanwhile: as full as can be.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  empty(): void {
    rmSync(this.#filler, { force: true });
  }

  close(): void {
    if (this.isMounted) execFileSync('umount', ['--lazy', this.path]);
  }
}
