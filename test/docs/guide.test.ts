/** The pages for administrators: their configurations are taken, their commands are there, their links lead somewhere. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { agentConfigSchema } from '#src/agent/config.js';
import { wholeProgram } from '#src/cli/commands.js';
import { describeProgram } from '#src/cli/describe-commands.js';
import { type DomainServicesAction, optionsOfActions } from '#src/cli/tenant-domain-services.js';
import { type DescribedNode, describeSchema } from '#src/config/describe-schema.js';
import { parseConfig } from '#src/config/load-config.js';
import { configSchemas } from '#src/config/schemas.js';
import { domainServicesConfigSchema } from '#src/domain-services/config.js';
import { tenantSchema } from '#src/tenant/config.js';
import { blocksOf } from './pages.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pagesOf = (room: string) =>
  readdirSync(join(root, room))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${room}/${name}`);
const PAGES = [
  'README.md',
  'test/samba/README.md',
  ...pagesOf('src/agent'),
  ...pagesOf('src/tenant'),
  ...pagesOf('src/domain-services'),
];

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

const MANAGED = parse(`
stateDir: ./managed-state
tenant: { url: https://tenant.example, auth: { clientId: c, clientSecret: { env: S } } }
keys: [{ certificate: c.pem, privateKey: { file: c.key, passphrase: { env: P } } }]
managedDomain: { type: samba }
`);
/** Of domain-services.yaml: a whole one, or a part that no other configuration has. */
const isManaged = (part: Mapping) => 'managedDomain' in part || 'keys' in part;

const TENANT = parse('stateDir: ./tenant-state\nlisten: { host: 127.0.0.1, port: 443 }\ndomains: [{ name: phs.test }]');
/** Of tenant.yaml, where agent.yaml has a key of the same name. */
const isTenants = ({ domainServices }: Mapping) =>
  typeof domainServices === 'object' && domainServices !== null && 'clients' in domainServices;

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
    if (isTenants(part)) {
      parseConfig(stringify({ ...TENANT, ...part }), '/etc/phsync/tenant.yaml', tenantSchema);
      return undefined;
    }
    if (isManaged(part)) {
      parseConfig(stringify({ ...MANAGED, ...part }), '/etc/phsync/ds.yaml', domainServicesConfigSchema);
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
    expect(complaint('managedDomain: { type: windows }')).toContain('samba');
    expect(complaint('keys: [{ certificate: c.pem }]')).toContain('privateKey');
    expect(complaint('domainServices: { clients: [{ clientID: c }] }')).toContain('clientID');
  });

  it('of trials are taken as their commands write them', () => {
    const written = PAGES.flatMap((page) =>
      blocksOf(read(page)).flatMap(({ text }) =>
        [...text.matchAll(/^cat > (\S+\.yaml) <<'END'\n([\s\S]*?)^END$/gm)].map(
          ([, name, yaml]) => `${name}: ${complaint(yaml!)}`,
        ),
      ),
    );
    expect(written).toEqual(expect.arrayContaining(['tenant.yaml: undefined', 'domain-services.yaml: undefined']));
    expect(written.filter((each) => !each.endsWith(': undefined'))).toEqual([]);
  });
});

describe("the managed side's keys", () => {
  type Leaf = readonly [path: string, fallback: unknown];
  const leaves = ({ items, keys, alternatives, default: fallback }: DescribedNode, path: string): Leaf[] => {
    if (items !== undefined) return leaves(items, `${path}[]`);
    if (keys.length > 0) return keys.flatMap(({ name, node }) => leaves(node, path === '' ? name : `${path}.${name}`));
    const names = alternatives.flatMap((each) => each.keys.map(({ name }) => name));
    const isSecret = names.every((name) => ['env', 'file', 'credential'].includes(name));
    return isSecret ? [[path, fallback]] : alternatives.flatMap((each) => leaves(each, path));
  };
  const schema = domainServicesConfigSchema(configSchemas('/'));
  const rows = [...read('src/domain-services/README.md').matchAll(/^\| `([\w.[\]]+)` \| (.+?) \| .+ \|$/gm)];

  it('stand in its guide, every one and no other, with what they are otherwise', () => {
    const documented = rows.map(([, key, otherwise]) => [key, /^`(.+)`$/.exec(otherwise!)?.[1]]);
    const paths = { 'managedDomain.smbConf': '/etc/samba/smb.conf', 'managedDomain.python': '/usr/bin/python3' };
    const { managedDomain } = schema.parse(MANAGED);
    expect(paths).toEqual({
      'managedDomain.smbConf': managedDomain.smbConf,
      'managedDomain.python': managedDomain.python,
    });
    const expected = leaves(describeSchema(schema), '').map(([path, fallback]) => {
      const otherwise = fallback ?? paths[path as keyof typeof paths];
      return [path, otherwise === undefined ? undefined : String(otherwise)];
    });
    expect(documented).toEqual(expected);
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

/** What is wrong with the options of `phsync tenant domain-services ACTION …`, each of whose actions takes its own. */
function wrongOfAction(action: string, words: readonly string[]): string[] {
  const own = optionsOfActions[action as DomainServicesAction];
  if (own === undefined) return action === '' || /^[…<'"[-]/.test(action) ? [] : [action];
  const given = words.filter((word) => word.startsWith('--'));
  const known = ['--config', '--json', ...own.map((name) => `--${name.replace('!', '')}`)];
  const needed = own.flatMap((name) => (name.endsWith('!') ? [`--${name.slice(0, -1)}`] : []));
  // A command that is only named takes nothing.
  const missing = given.length === 0 ? [] : needed.filter((name) => !given.includes(name)).map((name) => `no ${name}`);
  return [...given.filter((word) => !known.includes(word)), ...missing];
}

/** Words of `call` that no command knows. */
function unknownIn(call: string): string[] {
  const [name = '', ...words] = call.split(/\s+/);
  // `phsync --help`, and what stands for any command: `phsync …`, `phsync <command>`.
  if (name.startsWith('-') || /^[…<'"]/.test(name) || name === 'help') return [];
  const command = program.commands.find((each) => each.name === name);
  if (command === undefined) return [name];
  const [sub, action = '', ...rest] = words;
  if (name === 'tenant' && sub === 'domain-services') return wrongOfAction(action, rest);
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
    expect(unknownIn('tenant domain-services disable --certificate x')).toEqual(['--certificate']);
    expect(unknownIn('tenant domain-services set --config x')).toEqual(['no --setting']);
    expect(unknownIn('tenant domain-services enabel')).toEqual(['enabel']);
    expect(callsOf(read('src/domain-services/README.md')).length).toBeGreaterThan(12);
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
