/** agent.yaml as text: what was answered, and every other key as a comment with its default or an example. */

import { stringify } from 'yaml';
import type { DescribedKey, DescribedNode } from '../../config/describe-schema.js';
import { type Draft, described } from './draft.js';
import { leavesOutOwnAccount } from './own-account.js';

const HEAD = [
  'agent.yaml: what `phsync agent` reads. Relative paths count from this file.',
  'Lines such as #key: value are settings at their defaults, or examples: take the # away to set them.',
  'A secret never stands in here: { env: NAME }, { file: PATH }, or { credential: NAME } in a service of systemd.',
];

/** What keys without a default may look like. */
const EXAMPLES: Readonly<Record<string, unknown>> = {
  monitor: { port: 9464 },
  domainServices: { send: 'auto', certificates: './domain-services.pem' },
  passwordWriteback: { enabled: true },
  'connectors.passwordWriteback': { tls: 'ldaps', ca: './contoso-ca.pem' },
  'tenant.ca': './tenant-ca.pem',
  'tenant.proxy': { url: 'http://proxy.contoso.com:3128' },
  'connectors.directory.server': 'dc1.contoso.com',
  'connectors.directory.address': '192.0.2.10',
  'connectors.directory.servers': ['dc1.contoso.com', { server: 'dc2.contoso.com', address: '192.0.2.11' }],
  'connectors.directory.preferredServers': ['dc1.contoso.com'],
  'connectors.directory.site': 'Berlin',
  'connectors.directory.dnsServers': ['192.0.2.10'],
  'connectors.directory.pageSize': 1000,
  'connectors.directory.timeoutSeconds': 60,
  'connectors.directory.auth.user': 'phs.sync',
  'connectors.directory.auth.password': { env: 'PHSYNC_AD_PASSWORD' },
  'connectors.directory.auth.keytab': './phs.sync.keytab',
  'connectors.directory.auth.credentialCache': 'FILE:/run/phsync/krb5cc',
  'connectors.directory.auth.realm': 'CONTOSO.COM',
};

/** Mappings that take lines of their own; all others stand on one. */
const BLOCKS: ReadonlySet<string> = new Set([
  'tenant',
  'connectors',
  'connectors.directory',
  'connectors.directory.auth',
  'connectors.scope',
]);

const OWN_ACCOUNT = '# Written by phsync init: leaves out the account above, which may read every password hash.';

const WIDTH = 110;

const inline = (value: unknown) => stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();

function comment(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= WIDTH) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

const indented = (lines: readonly string[], by: string) => lines.map((line) => `${by}${line}`);

function shapeOf(node: DescribedNode, value: unknown): DescribedNode {
  if (node.alternatives.length === 0) return node;
  const { type } = value as { type?: unknown };
  const shape = node.alternatives.find(({ keys }) =>
    keys.some((key) => key.name === 'type' && key.node.values.includes(type)),
  );
  if (shape === undefined) throw new TypeError(`no such kind of directory: ${String(type)}`);
  return shape;
}

function mapping(node: DescribedNode, value: Readonly<Record<string, unknown>>, path: string): string[] {
  return shapeOf(node, value).keys.flatMap((key) =>
    entry(key, value[key.name], path === '' ? key.name : `${path}.${key.name}`),
  );
}

/** For a key that has neither default nor example. */
function exampleOf({ types, values, minimum }: DescribedNode): unknown {
  if (values.length > 0) return values[0];
  if (types.includes('boolean')) return true;
  if (types.includes('number') || types.includes('integer')) return minimum ?? 1;
  return types.includes('string') ? '…' : {};
}

function entry({ name, node }: DescribedKey, value: unknown, path: string): string[] {
  const choice = node.values.length > 1 ? ` One of ${node.values.join(', ')}.` : '';
  const head = [...(path.includes('.') ? [] : ['']), ...comment(`${node.description ?? ''}${choice}`)];
  if (value === undefined) {
    const shown = node.default ?? EXAMPLES[path] ?? exampleOf(node);
    return [...head, `#${name}: ${inline(shown)}`];
  }
  if (!BLOCKS.has(path)) return [...head, `${name}: ${inline(value)}`];
  if (Array.isArray(value)) {
    return [...head, `${name}:`, ...value.flatMap((item) => listItem(connectorLines(node, item, path)))];
  }
  return [...head, `${name}:`, ...indented(mapping(node, value as Record<string, unknown>, path), '  ')];
}

/** The one list of blocks is that of the connectors. */
function connectorLines(node: DescribedNode, connector: Draft, path: string): string[] {
  const lines = mapping(node.items!, connector, path);
  if (!leavesOutOwnAccount(connector)) return lines;
  return lines.flatMap((line) =>
    /^ *cloudFiltered: /.test(line) ? [line.replace(/\S.*/, OWN_ACCOUNT), line] : [line],
  );
}

/** The dash stands before the first key, behind the comments on it. */
function listItem(lines: readonly string[]): string[] {
  const first = lines.findIndex((line) => !line.startsWith('#'));
  return lines.map((line, i) => `${i < first ? '  ' : i === first ? '  - ' : '    '}${line}`);
}

/** The file's text. What is in `draft` is not checked here: read it with the schema before it is written. */
export function renderConfig(draft: Draft): string {
  const lines = [...HEAD.map((line) => `# ${line}`), ...mapping(described, draft, '')];
  return `${lines.join('\n')}\n`;
}
