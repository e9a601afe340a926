/** What `phsync init` gathers: agent.yaml's values as they will be written, and what the schema has against them. */

import { agentConfigSchema } from '../../agent/config.js';
import { type DescribedNode, describeSchema, nodesAt } from '../../config/describe-schema.js';
import { type Finding, findingsOf } from '../../config/load-config.js';
import { configSchemas } from '../../config/schemas.js';

export type Path = readonly (string | number)[];
export type Draft = Record<string, unknown>;

// Where the file will be changes no answer: only whether paths come out absolute.
const schema = agentConfigSchema(configSchemas('/'));
export const described: DescribedNode = describeSchema(schema);

/** The schema's words on the key at `path`. */
export function nodeAt(path: Path): DescribedNode {
  const key = path.at(-1);
  for (const parent of nodesAt(described, path.slice(0, -1))) {
    const found = parent.keys.find(({ name }) => name === key);
    if (found !== undefined) return found.node;
  }
  throw new TypeError(`agent.yaml has no ${path.join('.')}`);
}

/** The keys of the mapping at `path`; of a directory, those of Active Directory. */
export function keysAt(path: Path): readonly string[] {
  const shapes = nodesAt(described, path).map(({ keys }) => keys.map(({ name }) => name));
  return shapes.find((names) => names.includes('server')) ?? shapes[0] ?? [];
}

/** The value at `path`; undefined where there is none. */
export function getAt(draft: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (value as Draft | undefined)?.[key], draft);
}

/** Sets the value at `path`, or takes the key away where it is undefined; mappings on the way are made. */
export function setAt(draft: object, path: Path, value: unknown): void {
  const [first, ...rest] = path;
  if (first === undefined) throw new TypeError('expected a path');
  const parent = draft as Draft;
  if (rest.length > 0) {
    parent[first] ??= {};
    setAt(parent[first] as object, rest, value);
  } else if (value === undefined) {
    delete parent[first];
  } else {
    parent[first] = value;
  }
}

const startsWith = (path: readonly PropertyKey[], start: Path) => start.every((key, i) => path[i] === key);

/** What the schema has against `value` at `path`, whatever else the draft still lacks; undefined where it is well. */
export function complaintAt(draft: Draft, path: Path, value: unknown): string | undefined {
  const trial = structuredClone(draft);
  setAt(trial, path, value);
  return findingsOf(schema, trial).find((finding) => startsWith(finding.path, path))?.message;
}

/** Everything that the schema has against the draft. */
export function complaintsOf(draft: Draft): readonly Finding[] {
  return findingsOf(schema, draft);
}

/** A connector of Active Directory, to begin with. */
export const newConnector = (): Draft => ({
  directory: { type: 'drs', auth: { mechanism: 'negotiate' } },
  scope: { include: [], exclude: [] },
});
