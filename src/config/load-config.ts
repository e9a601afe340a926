/** phsync's configuration files: one YAML 1.2 document per program, checked by a zod schema, refused with place and expectation. */

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { PhsyncError } from '../hasher/errors.js';
import { describeSchema, nodesAt } from './describe-schema.js';
import { fileErrorText } from './file-error.js';
import { type ConfigSchemas, configSchemas } from './schemas.js';
import { similar } from './similar.js';

/** Far above any real file; keeps a wrong path (a disk image, a log) from being parsed. */
const MAX_FILE_SIZE = 1024 * 1024;

/**
 * Reads `file`, checks it and returns the schema's output. `schemaOf` builds the schema from the pieces that know the
 * file's directory (`path`, `secret`), so relative paths come out absolute, counted from the file.
 *
 * Throws PhsyncError `config-unreadable`, `config-syntax` (with line and column) or `config-invalid` (with every
 * finding: line, key path, what was expected). No value of the file is ever repeated.
 *
 * @example
 * const config = await loadConfig('tenant.yaml', ({ path }) => z.strictObject({ stateDir: path }));
 */
export async function loadConfig<S extends z.ZodType>(
  file: string,
  schemaOf: (schemas: ConfigSchemas) => S,
): Promise<z.output<S>> {
  const absolute = resolve(file);
  return parseConfig(await read(absolute), absolute, schemaOf);
}

/** `loadConfig` for text at hand; `file` names it in errors, and its directory is where relative paths start. */
export function parseConfig<S extends z.ZodType>(
  text: string,
  file: string,
  schemaOf: (schemas: ConfigSchemas) => S,
): z.output<S> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    // The parser's message may quote a token of the file; its code says the same without.
    throw new PhsyncError('config-syntax', `${file}:${line}:${col}: not valid YAML: ${words(error.code)}`, {
      facts: { file, line, column: col },
    });
  }
  const schema = schemaOf(configSchemas(dirname(file)));
  const parsed = schema.safeParse(toValue(document, file));
  if (parsed.success) return parsed.data;
  const findings = flatten(parsed.error.issues, schema).map(({ path, message }) => {
    const line = lineOf(document, path, lines);
    const where = path.length === 0 ? 'the document' : pathText(path);
    return { where, text: `${line === undefined ? '' : `line ${line}: `}${where}: ${message}` };
  });
  const list = findings.map(({ text }) => text).join('; ');
  throw new PhsyncError('config-invalid', `${file}: ${list}`, { facts: { file, path: findings[0]?.where } });
}

async function read(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new PhsyncError('config-unreadable', `cannot read the configuration ${file}: ${fileErrorText(cause)}`, {
      cause,
      facts: { file },
    });
  }
  if (bytes.length > MAX_FILE_SIZE) {
    throw new PhsyncError(
      'config-unreadable',
      `${file} has ${bytes.length} bytes; a configuration has at most ${MAX_FILE_SIZE}`,
      { facts: { file, size: bytes.length } },
    );
  }
  return bytes.toString('utf8');
}

/** The document as plain values; an empty one as {}, so that the schema names the keys that are missing. */
function toValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (cause) {
    throw new PhsyncError('config-syntax', `${file}: not valid YAML: an alias that cannot be resolved`, {
      cause,
      facts: { file },
    });
  }
}

export interface Finding {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** What `schema` has against `value`, in the words of `loadConfig`; empty where it is taken. */
export function findingsOf(schema: z.ZodType, value: unknown): readonly Finding[] {
  const parsed = schema.safeParse(value);
  return parsed.success ? [] : flatten(parsed.error.issues, schema);
}

/** One finding per unknown key, each at its own path, with the key that may have been meant; the rest as zod reports it. */
function flatten(issues: readonly z.core.$ZodIssue[], schema: z.ZodType): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    if (issue.code === 'unrecognized_keys') {
      const known = nodesAt(describeSchema(schema), issue.path).flatMap(({ keys }) => keys.map(({ name }) => name));
      return issue.keys.map((key) => {
        const meant = similar(key, known);
        const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
        return { path: [...issue.path, key], message: `unknown key${hint}` };
      });
    }
    const meant = issue.code === 'invalid_union' ? meantOf(issue.errors) : undefined;
    if (meant !== undefined) {
      return flatten(
        meant.map((each) => ({ ...each, path: [...issue.path, ...each.path] })),
        schema,
      );
    }
    const message = issue.message
      .replace(/^(Invalid input|Invalid option|Invalid string|Too small|Too big): /, '')
      .replace(/, received undefined$/, ', but it is missing')
      .replace(/^Invalid discriminator value\. Expected (.+)$/, (_, options: string) => {
        return `expected ${options.replaceAll("'", '').replaceAll(' | ', ' or ')}`;
      });
    return [{ path: issue.path, message }];
  });
}

/** What is wrong within the one shape of several that has the keys which are there, so that it is told at its own place. */
function meantOf(shapes: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined {
  const fitting = shapes.filter((issues) => issues.every(({ path }) => path.length > 0));
  return fitting.length === 1 ? fitting[0] : undefined;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

/** The line of the key at `path`, or of the nearest parent that is there. */
function lineOf(document: Document, path: readonly PropertyKey[], lines: LineCounter): number | undefined {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    const last = path[depth - 1];
    const key = isMap(parent)
      ? parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === last)?.key
      : document.getIn(path.slice(0, depth), true);
    const start = isNode(key) ? (key as Node).range?.[0] : undefined;
    if (start !== undefined) return lines.linePos(start).line;
  }
  return undefined;
}

const words = (code: string) => code.toLowerCase().replaceAll('_', ' ');
