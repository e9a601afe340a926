/** The manual pages: what mandoc and groff say of them, and that they tell of everything there is. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { agentConfigSchema } from '#src/agent/config.js';
import { wholeProgram } from '#src/cli/commands.js';
import { describeProgram } from '#src/cli/describe-commands.js';
import { type DescribedNode, describeSchema } from '#src/config/describe-schema.js';
import { configSchemas } from '#src/config/schemas.js';
import { domainServicesConfigSchema } from '#src/domain-services/config.js';
import { tenantSchema } from '#src/tenant/config.js';
import { describeWithTools } from '../native/tools.js';

const main = join(fileURLToPath(new URL('../..', import.meta.url)), 'dist/cli/main.js');

function run(command: string, args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    input,
    env: { PATH: process.env.PATH, MANWIDTH: '100', LC_ALL: 'C.UTF-8', SOURCE_DATE_EPOCH: '1767225600' },
  });
  return { status, stdout, stderr };
}

function page(...which: string[]): string {
  const { status, stdout, stderr } = run(process.execPath, [main, 'man', ...which]);
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}
const pages = {
  'phsync(1)': page(),
  'agent.yaml(5)': page('agent.yaml'),
  'tenant.yaml(5)': page('tenant.yaml'),
  'domain-services.yaml(5)': page('domain-services.yaml'),
};

describe('the manual pages', () => {
  it('have the date that they are told', () => {
    for (const text of Object.values(pages)) expect(text).toMatch(/^\.TH "[^"]+" "[15]" "2026-01-01" "phsync \d/);
  });
});

const names = Object.keys(pages) as (keyof typeof pages)[];

describeWithTools('mandoc', { mandoc: 'mandoc' }, () => {
  it.each(names)('finds nothing wrong with %s', (name) => {
    expect(run('mandoc', ['-Tlint', '-Wstyle'], pages[name])).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('would find what is wrong', () => {
    expect(run('mandoc', ['-Tlint'], `${pages['phsync(1)']}.SX x\n`).stdout).toContain('SX');
  });

  /** As a terminal shows it: overstriking makes bold and underlined text. */
  function shown(name: keyof typeof pages): string {
    const parts = run('mandoc', ['-Tutf8', '-Owidth=100'], pages[name]).stdout.split('\b');
    return parts.map((part, i) => (i + 1 < parts.length ? part.slice(0, -1) : part)).join('');
  }

  it('shows every command with every option', async () => {
    const text = shown('phsync(1)');
    for (const command of describeProgram(await wholeProgram()).commands) {
      const [, behind] = text.split(`\n   phsync ${command.name}\n`);
      expect(behind, command.name).toBeDefined();
      const [section] = behind!.split('\n   phsync ');
      for (const { long } of command.options) expect(section).toContain(long);
    }
  });

  it.each([
    ['agent.yaml(5)', agentConfigSchema],
    ['tenant.yaml(5)', tenantSchema],
    ['domain-services.yaml(5)', domainServicesConfigSchema],
  ] as const)('shows every key of %s, with its words', (name, schemaOf) => {
    const flat = shown(name).replaceAll(/\s+/g, ' ');
    const walk = (node: DescribedNode, path: string): string[] =>
      [node, ...node.alternatives].flatMap(({ keys, items }) => [
        ...keys.flatMap((key) => [`${path}${key.name}`, ...walk(key.node, `${path}${key.name}.`)]),
        ...(items === undefined ? [] : walk(items, path.replace(/\.$/, '[].'))),
      ]);
    const keys = walk(describeSchema(schemaOf(configSchemas('/'))), '');
    expect(keys.length).toBeGreaterThan(40);
    const secrets = /\.(env|file|credential)$/;
    expect(keys.filter((key) => !secrets.test(key) && !flat.includes(` ${key} `))).toEqual([]);
  });
});

describeWithTools('man', { man: 'man-db' }, () => {
  it.each(names)('shows %s without warnings', (name) => {
    const { status, stderr } = run('man', ['--warnings', '-E', 'UTF-8', '-Tutf8', '-Z', '-l', '-'], pages[name]);
    expect([status, stderr]).toEqual([0, '']);
  });
});
