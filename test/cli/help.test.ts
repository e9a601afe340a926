/** What `--help` says: every command has one, and the configurations that it shows are taken. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { agentConfigSchema } from '#src/agent/config.js';
import { parseConfig } from '#src/config/load-config.js';
import { tenantSchema } from '#src/tenant/config.js';

const main = join(fileURLToPath(new URL('../..', import.meta.url)), 'dist/cli/main.js');

function help(...command: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...command, '--help'], {
    encoding: 'utf8',
    timeout: 100_000,
  });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

/** The configuration, of which every line is indented by two. */
const yamlIn = (text: string) => /^ {2}stateDir:[\s\S]*?(?=\n\n)/m.exec(text)![0].replaceAll(/^ {2}/gm, '');

describe('phsync --help', () => {
  it('names every command, the exit codes and the environment', { timeout: 240_000 }, () => {
    const text = help();
    for (const command of [
      'demo',
      'agent',
      'tenant',
      'diagnose',
      'sync-object',
      'events',
      'permissions',
      'hash',
      'verify',
      'info',
      'bench',
    ]) {
      expect(text).toMatch(new RegExp(`^ {2}${command} `, 'm'));
      expect(help(command)).toMatch(new RegExp(`^Usage: phsync ${command} .*--json`, 's'));
    }
    expect(text).toMatch(/0 done, 1 .*, 2 .*, 3 /);
    expect(text).toMatch(/PHSYNC_BACKEND[\s\S]*PHSYNC_KERNEL/);
  });

  it('shows configurations that are taken', { timeout: 240_000 }, () => {
    const tenant = parseConfig(yamlIn(help('tenant')), '/etc/phsync/tenant.yaml', tenantSchema);
    const agent = parseConfig(yamlIn(help('agent')), '/etc/phsync/agent.yaml', agentConfigSchema);
    expect(agent.tenant.url).toBe(`https://${tenant.listen.host}:${tenant.listen.port}/provisioningservice.svc`);
    expect(agent.tenant.ca).toBe(join(tenant.stateDir, 'ca.pem'));
    expect(agent.tenant.auth).toEqual(tenant.agents[0]);
  });

  it.each([[['agnet']], [['help', 'agnet']]])('answers a mistyped command with the nearest: %j', (args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
      encoding: 'utf8',
      timeout: 100_000,
    });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^phsync: unknown command 'agnet'; did you mean agent\? expected one of demo, init, /);
  });
});
