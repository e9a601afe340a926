/** Diagnoses of a site with one thing changed at a time, which is undone after each. */

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse, stringify } from 'yaml';
import type { CheckResult } from '#src/agent/diagnosis/check.js';
import { type CommandRun, Site } from './harness.js';

/** agent.yaml as plain values. */
export interface Config {
  stateDir: string;
  tenant: { url: string; ca?: string; auth: Record<string, unknown>; [key: string]: unknown };
  connectors: { name: string; enabled: boolean; directory: Record<string, unknown>; [key: string]: unknown }[];
  [key: string]: unknown;
}

export interface Diagnosis extends CommandRun {
  readonly checks: readonly CheckResult[];
}

/** A change to the configuration and what stands around it, for one diagnosis. */
export interface Plan {
  readonly config: Config;
  readonly env: Record<string, string>;
  /** A program that runs phsync. */
  before: readonly string[];
  /** A copy of the agent's state, which the configuration names from then on; its path. */
  copyState(): string;
  /** `phsync agent --once` with the configuration as it is. */
  sync(...args: string[]): Promise<CommandRun>;
  /** Undone after the diagnosis. */
  undo(work: () => void | Promise<void>): void;
}

export type Plant = (plan: Plan) => void | Promise<void>;

/** A check that finds something: an error by its id alone. */
export type Found = CheckResult['id'] | `warning:${CheckResult['id']}`;

/** A fault, the only checks that find something, what is to be in the finding, and in the advice. */
export type Fault = readonly [fault: string, checks: readonly Found[], finding: RegExp, advice: RegExp, plant: Plant];

const SECRETS = ['Sync.Passw0rd.1', 'Wrong.Passw0rd', 'agent-secret-of-the-tests', 'not-the-secret-of-this-agent'];

/** What was found wrong, in order. */
export const findings = ({ checks }: Diagnosis): CheckResult[] =>
  checks.filter(({ status }) => status === 'error' || status === 'warning');

export const named = (diagnosis: Diagnosis): string[] =>
  findings(diagnosis).map(({ id, status }) => (status === 'warning' ? `warning:${id}` : id));

export const directoryOf = (config: Config): Record<string, unknown> => config.connectors[0]!.directory;

/** A site, and the one changed thing. */
export class DiagnosisSite {
  readonly site: Site;
  readonly #undo: (() => void | Promise<void>)[] = [];
  #states = 0;

  private constructor(site: Site) {
    this.site = site;
  }

  /** `sync`: its agent has synchronized everything. */
  static async start(sync = true): Promise<DiagnosisSite> {
    const site = await Site.start();
    if (!sync) return new DiagnosisSite(site);
    const first = await site.agentOnce();
    expect([first.code, first.error]).toEqual([0, undefined]);
    return new DiagnosisSite(site);
  }

  stop(): Promise<void> {
    return this.site.stop();
  }

  /** Writes the changed configuration; `undo` takes the changes back. */
  async plant(work: Plant) {
    const { site } = this;
    const undo = this.#undo;
    const config = parse(readFileSync(site.agentConfig(), 'utf8')) as Config;
    const file = join(site.directory, 'diagnosed.yaml');
    const plan: Plan = {
      config,
      env: {},
      before: [],
      copyState: () => {
        config.stateDir = `./state-${++this.#states}`;
        const path = join(site.directory, config.stateDir);
        cpSync(site.agentState, path, { recursive: true });
        undo.push(() => rmSync(path, { recursive: true }));
        return path;
      },
      sync: (...args) => {
        writeFileSync(file, stringify(config));
        return site.run(['agent', '--config', file, '--once', '--json', ...args], plan.env);
      },
      undo: (last) => void undo.push(last),
    };
    await work(plan);
    writeFileSync(file, stringify(config));
    return { file, env: plan.env, before: plan.before };
  }

  async undo(): Promise<void> {
    for (const work of this.#undo.splice(0).reverse()) await work();
  }

  /** `phsync diagnose --json` with the change, which is undone then. */
  async diagnose(work: Plant, ...args: string[]): Promise<Diagnosis> {
    try {
      const { file, env, before } = await this.plant(work);
      const run = await this.site.run(['diagnose', '--config', file, '--json', ...args], env, before);
      const document = JSON.parse(run.stdout) as { checks?: CheckResult[] };
      if (document.checks === undefined) throw new Error(run.stdout);
      return { ...run, checks: document.checks };
    } finally {
      await this.undo();
    }
  }

  /** Exactly the fault's checks find something, with its words, and no secret is told. */
  async expectFault([, expected, finding, advice, work]: Fault, ...args: string[]): Promise<void> {
    const found = await this.diagnose(work, ...args);
    expect(named(found)).toEqual(expected);
    // Where one fault shows twice, the last says it in full.
    const last = findings(found).at(-1)!;
    expect(last.finding).toMatch(finding);
    expect(last.advice).toMatch(advice);
    expect(found.code).toBe(expected.some((id) => !id.startsWith('warning:')) ? 1 : 0);
    for (const secret of SECRETS) expect(`${found.stdout}${found.stderr}`).not.toContain(secret);
  }
}
