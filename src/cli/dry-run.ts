/** `phsync agent --once --dry-run`: what a cycle would send, user by user; nothing is sent, and no state is changed. */

import type { CycleReport, CycleRequest } from '../agent/agent.js';
import type { AgentConfig } from '../agent/config.js';
import { createAgent } from '../agent/create-agent.js';
import { oneLine } from '../agent/diagnosis/text.js';
import { copyState, type PlannedChange, plannedChange } from '../agent/rehearsal.js';
import { createScope } from '../agent/scope.js';
import { createLog } from '../log/log.js';
import { counted, exitCodes } from './output.js';

/** The document is written as it comes about: a first synchronization has as many entries as there are users. */
export async function dryRun(config: AgentConfig, request: CycleRequest, json: boolean): Promise<void> {
  const copy = copyState(config.stateDir);
  const out = new Lines();
  let users = 0;
  const leftOut = new Map<string, number>();
  const scopes = new Map(config.connectors.map(({ name, scope }) => [name, createScope(scope)]));
  try {
    const created = await createAgent(config, {
      // Warnings and failures alone: events of a cycle that sends something would tell of what does not happen.
      log: createLog('warn'),
      rehearsal: {
        stateDir: copy.stateDir,
        onOutcome: (connector, item, row) => {
          const { name } = connector;
          if (scopes.get(name)?.why(item.object) === 'cloud-filtered') leftOut.set(name, (leftOut.get(name) ?? 0) + 1);
          const change = plannedChange(connector, item, row);
          if (change === undefined) return;
          if (json) out.add(`${users === 0 ? '{"dryRun":true,"users":[\n' : ',\n'}${JSON.stringify(change)}`);
          else out.add(`${inWords(change)}\n`);
          users++;
        },
      },
    });
    try {
      const reports = await created.agent.cycle(request);
      if (reports.some(({ error }) => error !== undefined)) process.exitCode = exitCodes.failed;
      if (json) {
        const head = users === 0 ? '{"dryRun":true,"users":[' : '\n';
        out.add(
          `${head}],"connectors":${JSON.stringify(reports.map((report) => ({ ...summaryOf(report), cloudFiltered: leftOut.get(report.connector) ?? 0 })))}}\n`,
        );
      } else {
        for (const report of reports) out.add(`${summaryInWords(report, leftOut.get(report.connector) ?? 0)}\n`);
      }
    } finally {
      await created.close();
    }
  } finally {
    await out.end();
    copy.dispose();
  }
}

const KEYS: Readonly<Record<PlannedChange['domainServices'], string>> = {
  'not sent': '',
  ntHash: ', with the NT hash for Domain Services',
  'ntHash, kerberos': ', with NT hash and Kerberos keys for Domain Services',
  'ntHash, kerberosMissing': ', with the NT hash for Domain Services (MissingAttribute: there are no Kerberos keys)',
};

function inWords(change: PlannedChange) {
  const { connector, dn, operation, properties, password, forcePasswordChangeOnLogon, domainServices, why } = change;
  const told = Object.entries(properties).map(([name, value]) => `${name}=${value === null ? '(none)' : value}`);
  const mark = forcePasswordChangeOnLogon ? ', to be changed at the next sign-in' : '';
  return [
    `${connector}: ${operation === 'none' ? 'leave' : operation} ${oneLine(dn)}`,
    ...(told.length > 0 ? [`    ${oneLine(told.join('; '))}`] : []),
    `    password ${password}${KEYS[domainServices]}${mark}: ${oneLine(why)}`,
  ].join('\n');
}

function summaryOf({
  connector,
  directory,
  inScope,
  created,
  updated,
  deleted,
  credentialsSent,
  sealed,
  failed,
  error,
}: CycleReport) {
  return {
    connector,
    directory,
    inScope,
    add: created,
    set: updated,
    delete: deleted,
    passwords: credentialsSent,
    keysForDomainServices: sealed,
    failed,
    error,
  };
}

/** `leftOut`: of those that were looked at. */
function summaryInWords(report: CycleReport, leftOut: number): string {
  const { connector, inScope, add, set, delete: deleted, passwords, keysForDomainServices, error } = summaryOf(report);
  if (error !== undefined) return `${connector}: ${error.message}`;
  const keys = keysForDomainServices === 0 ? '' : `, ${keysForDomainServices} of them with keys for Domain Services`;
  return (
    `${connector}: of ${counted(inScope, 'user')} in scope looked at: ${add} would be added, ${set} changed, ` +
    `${deleted} deleted, ${counted(passwords, 'password')} would be sent${keys}; ` +
    `${leftOut} left out by scope.cloudFiltered. Nothing was sent.`
  );
}

/** Standard output, some kilobytes at a time. */
class Lines {
  #text = '';

  add(text: string): void {
    this.#text += text;
    if (this.#text.length < 65_536) return;
    process.stdout.write(this.#text);
    this.#text = '';
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      process.stdout.write(this.#text, () => resolve());
      this.#text = '';
    });
  }
}
