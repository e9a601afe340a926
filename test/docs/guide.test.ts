/** The pages for administrators: their configurations are taken, their commands are there, their links lead somewhere. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { agentConfigSchema } from '#src/agent/config.js';
import { wholeProgram } from '#src/cli/commands.js';
import { describeProgram } from '#src/cli/describe-commands.js';
import { parseConfig } from '#src/config/load-config.js';
import { tenantSchema } from '#src/tenant/config.js';
import { blocksOf } from './pages.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pagesOf = (room: string) =>
  readdirSync(join(root, room))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${room}/${name}`);
const PAGES = ['README.md', 'test/samba/README.md', ...pagesOf('src/agent'), ...pagesOf('src/tenant')];

type Mapping = Record<string, unknown>;

const BASE = parse(`
stateDir: ./agent-state
tenant:
  url: https://tenant.example/provisioningservice.svc
  auth: { clientId: agent-1, clientSecret: { env: S } }
connectors:
  - name: phs.test
    directory: { type: drs, domain: phs.test, auth: { user: u, password: { env: P } } }
`);

/** A part of agent.yaml as a whole one; undefined: it is something else. */
function whole(part: Mapping): Mapping | undefined {
  const [connector] = BASE.connectors;
  if ('connectors' in part || 'tenant' in part || 'monitor' in part || 'domainServices' in part)
    return { ...BASE, ...part };
  if ('directory' in part || 'scope' in part) return { ...BASE, connectors: [{ ...connector, ...part }] };
  if (!('auth' in part)) return undefined;
  return { ...BASE, connectors: [{ ...connector, directory: { ...connector.directory, ...part } }] };
}

/** What is wrong with the text of a block; undefined: nothing, or it is no configuration of phsync's. */
function complaint(text: string): string | undefined {
  const part: Mapping = parse(text);
  try {
    if ('listen' in part) {
      parseConfig(text, '/etc/phsync/tenant.yaml', tenantSchema);
      return undefined;
    }
    const config = whole(part);
    if (config === undefined) return 'groups' in part ? undefined : `nobody knows what this is: ${Object.keys(part)}`;
    parseConfig(stringify(config), '/etc/phsync/agent.yaml', agentConfigSchema);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const configurations = PAGES.flatMap((page) =>
  blocksOf(read(page))
    .filter(({ language }) => language === 'yaml')
    .map(({ text, line }) => ({ name: `${page}:${line}`, text })),
);

describe('configurations', () => {
  it('are there', () => expect(configurations.length).toBeGreaterThan(12));

  it.each(configurations)('$name is taken', ({ text }) => {
    expect(complaint(text)).toBeUndefined();
  });

  it('would be found wrong', () => {
    expect(complaint('auth: { mechanism: kerberos, user: u }')).toContain('password');
    expect(complaint('scope: { inclde: [] }')).toContain('did you mean include?');
    expect(complaint('scoop: {}')).toContain('nobody knows');
  });
});

const program = describeProgram(await wholeProgram());

/** Every `phsync …` of a page with the options behind it, up to what ends a command. */
function callsOf(page: string): string[] {
  const joined = page.replaceAll(/ \\\n\s*/g, ' ');
  const code = [...joined.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
  for (const { language, text } of blocksOf(joined))
    if (['sh', '', 'bat'].includes(language)) code.push(...text.split('\n'));
  return code.flatMap((text) =>
    [...text.matchAll(/(?:^|[\s(])(?:phsync|node \S*dist\/cli\/main\.js) ([^|;&>#]*)/g)].map(([, call]) =>
      call!.trim(),
    ),
  );
}

/** Words of `call` that no command knows. */
function unknownIn(call: string): string[] {
  const [name = '', ...words] = call.split(/\s+/);
  // `phsync --help`, and what stands for any command: `phsync …`, `phsync <command>`.
  if (name.startsWith('-') || /^[…<'"]/.test(name) || name === 'help') return [];
  const command = program.commands.find((each) => each.name === name);
  if (command === undefined) return [name];
  const known = command.options.flatMap(({ long, short }) => [long, short]);
  return words
    .map((word) => word.replace(/^\[/, '').replace(/[\]=].*$/, ''))
    .filter((word) => /^--?[a-z]/.test(word) && !known.includes(word));
}

describe('commands', () => {
  it.each(PAGES)('of %s are there, with their options', (page) => {
    expect(callsOf(read(page)).flatMap((call) => unknownIn(call).map((word) => `${call}: ${word}`))).toEqual([]);
  });

  it('are found', () => {
    expect(callsOf(read('src/agent/README.md')).length).toBeGreaterThan(20);
    expect(callsOf('so `phsync agnet --config x`')).toEqual(['agnet --config x']);
    expect(unknownIn('agnet --config x')).toEqual(['agnet']);
    expect(unknownIn('agent --onse --config x')).toEqual(['--onse']);
    expect(unknownIn('agent --config FILE [--onse]')).toEqual(['--onse']);
  });

  it('stand in the table of the README, every one', () => {
    const table = read('README.md').match(/^## Commands$[\s\S]*?(?=^## )/m)![0];
    const missing = program.commands.filter(({ name }) => !table.includes(`| \`phsync ${name}`));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});

/** GitHub's anchor of a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');

const anchorsOf = (page: string) =>
  [...page.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!));

describe('links', () => {
  it.each(PAGES)('of %s lead somewhere', (page) => {
    const broken = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].filter(([, target, anchor]) => {
      const file = target === '' ? page : posix.join(posix.dirname(page), target!);
      try {
        return anchor !== undefined && !anchorsOf(read(file)).includes(anchor);
      } catch (error) {
        // A folder has no anchors.
        return (error as NodeJS.ErrnoException).code !== 'EISDIR' || anchor !== undefined;
      }
    });
    expect(broken.map(([link]) => link)).toEqual([]);
  });
});
