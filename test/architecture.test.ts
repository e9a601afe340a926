/** Holds the direction of imports true: every room of src imports only what lies below it. */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const src = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');

const protocolRooms = ['drsr', 'epm', 'samr', 'nbfx', 'rpc', 'ssp', 'ndr', 'dtyp', 'errors.ts'].map(
  (name) => `protocol/${name}`,
);
const belowPrograms = ['provisioning', ...protocolRooms, 'hasher', 'crypto', 'config', 'state', 'monitor', 'log'];

/** Room → what it may import: rooms, or single files of them. A room's own files go without saying. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'index.ts': ['hasher', 'agent', 'tenant', 'domain-services', 'provisioning', ...protocolRooms],
  cli: ['agent', 'tenant', 'domain-services', ...belowPrograms],
  agent: belowPrograms,
  tenant: belowPrograms,
  'domain-services': belowPrograms,
  provisioning: [...protocolRooms, 'hasher', 'crypto'],
  'protocol/drsr': ['protocol/rpc', 'protocol/ndr', 'protocol/dtyp', 'protocol/errors.ts', 'crypto'],
  'protocol/epm': ['protocol/rpc', 'protocol/ndr', 'protocol/dtyp', 'protocol/errors.ts'],
  'protocol/samr': ['protocol/rpc', 'protocol/ndr', 'protocol/dtyp', 'protocol/errors.ts', 'crypto'],
  'protocol/nbfx': ['protocol/dtyp', 'protocol/errors.ts'],
  // Security is one interface to it, which it owns; NTLM, SPNEGO and Kerberos implement that and are never seen.
  'protocol/rpc': ['protocol/ndr', 'protocol/dtyp', 'protocol/errors.ts'],
  'protocol/ssp': ['protocol/rpc/security-context.ts', 'protocol/ndr', 'protocol/dtyp', 'protocol/errors.ts', 'crypto'],
  'protocol/ndr': ['protocol/dtyp', 'protocol/errors.ts'],
  'protocol/dtyp': ['protocol/errors.ts'],
  'protocol/errors.ts': [],
  hasher: ['crypto'],
  config: ['hasher/errors.ts'],
  state: ['hasher/errors.ts'],
  monitor: ['hasher/errors.ts'],
  log: [],
  crypto: [],
};

/** The one way out of src: `phsync bench` loads the benchmarks at run time, where there are any. */
const loadedWherePresent: Readonly<Record<string, string>> = { 'cli/bench.ts': 'bench/main.ts' };

/** `agent`, `protocol/drsr`, or a file that stands alone: `index.ts`, `protocol/errors.ts`. */
function roomOf(path: string): string {
  const parts = path.split('/');
  return (parts[0] === 'protocol' ? parts.slice(0, 2) : parts.slice(0, 1)).join('/');
}

/** The specifiers of every import, re-export, dynamic import and worker URL. */
function specifiers(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const patterns = [
    /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*(['"])(?<path>.+?)\1/g,
    /\bimport\s*(['"])(?<path>.+?)\1/g,
    /\bimport\s*\(\s*(['"`])(?<path>.+?)\1/g,
    /\bnew\s+URL\s*\(\s*(['"`])(?<path>.+?)\1\s*,\s*import\.meta\.url/g,
    /\brequire\s*\(\s*(['"`])(?<path>.+?)\1/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match.groups!.path!));
}

/** The files below src (or outside of it, with `../`) that a file imports, packages left out. */
const targets = (path: string, source: string): string[] =>
  specifiers(source)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts'))
    .filter((target) => target !== loadedWherePresent[path]);

const isOutside = (target: string): boolean => target === '..' || target.startsWith('../');

/** Everything in the files (path below src → text) that goes against the table. */
function violations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [path, source] of files) {
    const room = roomOf(path);
    const allowed = mayImport[room];
    if (allowed === undefined) {
      found.push(`${path}: the room ${room} is not in the table`);
      continue;
    }
    for (const specifier of specifiers(source)) {
      if (specifier.startsWith('#')) found.push(`${path} imports ${specifier}: inside src, paths are relative`);
    }
    for (const target of targets(path, source)) {
      if (isOutside(target)) {
        // package.json and the addon are read, not imported.
        if (target.endsWith('.ts')) found.push(`${path} imports ${target}, which lies outside src`);
      } else if (roomOf(target) !== room && !allowed.includes(roomOf(target)) && !allowed.includes(target)) {
        found.push(`${path} imports ${target}: ${room} may not import ${roomOf(target)}`);
      }
    }
  }
  return found;
}

/** A way round through places (rooms, or single files) that comes back to where it began, or undefined. */
function cycle(files: ReadonlyMap<string, string>, placeOf: (path: string) => string): string[] | undefined {
  const edges = new Map<string, Set<string>>();
  for (const [path, source] of files) {
    const place = placeOf(path);
    for (const target of targets(path, source)) {
      if (isOutside(target) || placeOf(target) === place) continue;
      if (!edges.has(place)) edges.set(place, new Set());
      edges.get(place)!.add(placeOf(target));
    }
  }
  const done = new Set<string>();
  const walk = (place: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(place)) return [...way.slice(way.indexOf(place)), place];
    if (done.has(place)) return undefined;
    for (const next of edges.get(place) ?? []) {
      const round = walk(next, [...way, place]);
      if (round !== undefined) return round;
    }
    done.add(place);
    return undefined;
  };
  for (const place of edges.keys()) {
    const round = walk(place, []);
    if (round !== undefined) return round;
  }
  return undefined;
}

const files = new Map(
  readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.m?ts$/.test(path))
    .map((path) => [path.split(sep).join('/'), readFileSync(join(src, path), 'utf8')]),
);

const planted = (path: string, source: string): string[] => violations(new Map([[path, source]]));

describe('the direction of imports', () => {
  it('is down, in every file of src', () => {
    expect(files.size).toBeGreaterThan(10);
    expect(violations(files)).toEqual([]);
  });

  it('makes no round between rooms', () => {
    expect(cycle(files, roomOf)).toBeUndefined();
  });

  it('makes no round between files, types included', () => {
    expect(cycle(files, (path) => path)).toBeUndefined();
  });

  it('gives index.ts nothing but re-exports', () => {
    const code = files
      .get('index.ts')!
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/^\s*\/\/.*$/gm, '');
    const rest = code.replace(/export\s+(type\s+)?\{[^}]*\}\s+from\s+'[^']+';/g, '').trim();
    expect(rest).toBe('');
  });
});

describe('the check itself', () => {
  it.each([
    ['agent/cycle.ts', "import { Store } from '../tenant/store/store.js';"],
    ['tenant/server.ts', "import type { Cookie } from '../agent/source.js';"],
    ['domain-services/writer.ts', "export * from '../tenant/server.js';"],
    ['hasher/facade.ts', "import { NdrReader } from '../protocol/ndr/ndr-reader.js';"],
    ['protocol/drsr/client.ts', "import { PhsyncError } from '../../hasher/errors.js';"],
    ['protocol/rpc/client.ts', "import {\n  NtlmContext,\n} from '../ssp/ntlm/context.js';"],
    ['protocol/ssp/ntlm/context.ts', "import { RpcClient } from '../../rpc/client.js';"],
    ['protocol/ndr/ndr-reader.ts', "const late = await import('../rpc/client.js');"],
    ['provisioning/client.ts', "import '../agent/cycle.js';"],
    ['config/load.ts', "new Worker(new URL('../agent/worker.js', import.meta.url));"],
    ['crypto/md4.ts', "import { x } from '#src/hasher/types.js';"],
    ['agent/cycle.ts', "import { describe } from '../../test/helper.js';"],
    ['agent/cycle.ts', "import { runSuite } from '../bench/main.js';"],
    ['somewhere/new.ts', ''],
  ])('refuses %s with %s', (path, source) => {
    expect(planted(path, source)).toHaveLength(1);
  });

  it('lets pass what the table allows, and what comments and packages say', () => {
    expect(
      planted(
        'agent/cycle.ts',
        "import { z } from 'zod';\n// import x from '../tenant/server.js';\nimport { a } from '../hasher/types.js';\n" +
          "import type { SyncCredentialsChangeItem } from '../provisioning/types.js';\n/* from '../tenant/x.js' */",
      ),
    ).toEqual([]);
    expect(
      planted('protocol/ssp/ntlm/context.ts', "import type { SecurityContext } from '../../rpc/security-context.js';"),
    ).toEqual([]);
  });

  it('finds a round through rooms', () => {
    const round = cycle(
      new Map([
        ['agent/a.ts', "import '../provisioning/b.js';"],
        ['provisioning/b.ts', "import '../hasher/c.js';"],
        ['hasher/c.ts', "import '../agent/a.js';"],
      ]),
      roomOf,
    );
    expect(round).toEqual(['agent', 'provisioning', 'hasher', 'agent']);
  });

  it('finds a round through files', () => {
    const round = cycle(
      new Map([
        ['agent/a.ts', "import './b.js';"],
        ['agent/b.ts', "import type { A } from './a.js';"],
      ]),
      (path) => path,
    );
    expect(round).toEqual(['agent/a.ts', 'agent/b.ts', 'agent/a.ts']);
  });
});
