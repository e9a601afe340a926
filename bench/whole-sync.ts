/** A whole synchronization of a running Samba DC into a tenant on the same machine, by an agent in a process of its own. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentRun, AgentTask } from './agent-process.js';
import type { Site } from './site.js';

const agentScript = fileURLToPath(new URL('./agent-process.js', import.meta.url));

/** The scripts that make the domain controllers. */
export const dcTools = fileURLToPath(new URL('../../test/samba/dc/', import.meta.url));

/** Of facts.json. */
export interface Dc {
  readonly directory: string;
  readonly host: string;
  readonly dnsHostName: string;
  readonly dnsDomain: string;
  readonly netbiosDomain: string;
}

/** The account that every DC of these scripts has for an agent. */
export const ACCOUNT = { user: 'phs.sync', password: 'Sync.Passw0rd.1' };
/** What `agentConfigOf` wants in the environment of tenant and agent. */
export const agentEnv = { PHSYNC_AD_PASSWORD: ACCOUNT.password };

export const readDc = (directory: string): Dc => JSON.parse(readFileSync(join(directory, 'facts.json'), 'utf8')) as Dc;

/** Resolves when the process has ended with one of the allowed exit codes. */
export async function ended(
  child: ChildProcess,
  what: string,
  allowed: readonly (number | null)[] = [0],
): Promise<void> {
  const [code] = await once(child, 'close');
  if (!allowed.includes(code as number | null)) {
    throw new Error(`${what} ended with exit code ${code}; its error stands above`);
  }
}

/** One cycle, which is the whole first synchronization where the agent's state is new or `full` is set, and `idleCycles` more. */
export async function syncOnce(
  dc: Dc,
  { env, agentConfig }: Site,
  more: { readonly idleCycles?: number; readonly full?: boolean } = {},
): Promise<AgentRun> {
  const directory =
    `type: drs, server: ${dc.dnsHostName}, address: ${dc.host}, domain: ${dc.dnsDomain}, ` +
    `auth: { mechanism: ntlm, user: ${ACCOUNT.user}, password: { env: PHSYNC_AD_PASSWORD } }`;
  const config = agentConfig(`[{ name: ${dc.dnsDomain}, directory: { ${directory} } }]`);
  const task: AgentTask = { config, idleCycles: 0, ...more };
  const child = fork(agentScript, [JSON.stringify(task)], { env });
  const end = ended(child, 'the agent');
  const [run] = (await Promise.race([once(child, 'message'), end.then(() => [])])) as [AgentRun];
  await end;
  return run;
}
