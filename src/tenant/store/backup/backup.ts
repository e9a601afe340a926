/** Backup of a tenant while it runs, and restore on either database. */

import { randomUUID } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { resolveSecret } from '../../../config/secrets.js';
import { packageVersion } from '../../../config/version.js';
import { PhsyncError } from '../../../hasher/errors.js';
import type { TenantConfig } from '../../config.js';
import { DATABASE_FILE, openStateDir, readIfThere, writePrivate } from '../../state-dir.js';
import { migrationsOf } from '../migrations.js';
import { type Column, FORMAT, type Header, type Part, readBackup, type Value, writeBackup } from './format.js';
import { openPostgresSnapshot, openSqliteSnapshot, type Snapshot } from './source.js';
import { openPostgresTarget, openSqliteTarget, type Target } from './target.js';

/** Of the state directory: what clients trust, and what older versions sign with. The server's certificate is made anew. */
const STATE_FILES = ['ca.pem', 'ca-key.pem', 'token-key.json'];
/** Rows an INSERT. */
const ROWS = 1000;

type Place = Pick<TenantConfig, 'store' | 'stateDir'>;
type Environment = Readonly<NodeJS.ProcessEnv> | undefined;

export interface BackupReport {
  readonly file: string;
  readonly tenantId: string;
  readonly bytes: number;
  /** Rows by table. */
  readonly tables: Readonly<Record<string, number>>;
  /** Files of the state directory. */
  readonly files: readonly string[];
}

/**
 * Writes a backup of the tenant as it is at one moment; the tenant may run meanwhile. The file is there when it is whole,
 * mode 0600. @throws PhsyncError `backup-exists`, `backup-failed`, `config-secret`, `store-open`, `store-busy`.
 */
export async function backUp(place: Place, out: string, env: Environment, signal?: AbortSignal): Promise<BackupReport> {
  if ((await stat(out).catch(() => undefined)) !== undefined) {
    throw new PhsyncError('backup-exists', `${out} is there already: a backup overwrites nothing`, { facts: { out } });
  }
  const snapshot = await openSnapshot(place, env);
  const partial = `${out}.partial`;
  try {
    // Of a backup that was killed.
    await rm(partial, { force: true });
    const handle = await open(partial, 'wx', 0o600).catch((cause: Error) => {
      throw new PhsyncError('backup-failed', `cannot write ${out}: ${cause.message}`, { cause, facts: { out } });
    });
    const files: string[] = [];
    let tables: ReadonlyMap<string, number>;
    let bytes: number;
    try {
      const { migration, tenantId } = snapshot;
      const header = { version: packageVersion(), migration, tenantId, madeAt: new Date().toISOString() };
      tables = await writeBackup(handle, header, partsOf(place, snapshot, files, signal));
      await handle.sync();
      bytes = (await handle.stat()).size;
    } finally {
      await handle.close();
    }
    await rename(partial, out);
    await syncDirectory(dirname(out));
    return { file: out, tenantId: snapshot.tenantId, bytes, tables: Object.fromEntries(tables), files };
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    await snapshot.close();
  }
}

async function openSnapshot({ store, stateDir }: Place, env: Environment): Promise<Snapshot> {
  if (store.type === 'sqlite') return openSqliteSnapshot(join(stateDir, DATABASE_FILE));
  return openPostgresSnapshot(await resolveSecret(store.url, 'store.url', env));
}

async function* partsOf(
  { stateDir }: Place,
  snapshot: Snapshot,
  files: string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Part> {
  for (const name of STATE_FILES) {
    const text = await readIfThere(join(stateDir, name));
    if (text === undefined) continue;
    files.push(name);
    yield { kind: 'file', name, text };
  }
  for await (const part of snapshot.parts()) {
    if (signal?.aborted) throw new PhsyncError('backup-stopped', 'the backup was stopped; nothing was written');
    yield part;
  }
}

/** The name, too, survives a lost power supply. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export interface RestoreReport extends Omit<BackupReport, 'bytes'> {
  readonly madeAt: string;
  /** Files that were there already and differ; they were left as they are. */
  readonly kept: readonly string[];
}

export interface RestoreOptions {
  /** Drops what the database holds. */
  readonly replace: boolean;
  readonly env?: Environment;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Restores a backup into the database that the configuration names, which no tenant may be using. The whole file is
 * checked first; then all of it is there or nothing. @throws PhsyncError `backup-unreadable`, `backup-invalid`,
 * `backup-version`, `backup-schema`, `store-not-empty`, `store-in-use`, `store-open`, `store-newer`, `store-failed`.
 */
export async function restore(place: Place, file: string, options: RestoreOptions): Promise<RestoreReport> {
  const header = await check(file);
  await openStateDir(place.stateDir);
  const target = await openTarget(place, options);
  try {
    const loaded = await load(target, file, options.signal);
    const kept = await restoreFiles(place.stateDir, loaded.files, options.replace);
    await target.commit();
    return {
      file,
      tenantId: header.tenantId,
      madeAt: header.madeAt,
      tables: Object.fromEntries(loaded.counts),
      files: [...loaded.files.keys()].filter((name) => !kept.includes(name)),
      kept,
    };
  } finally {
    await target.close();
  }
}

/** Reads all of it before anything is touched. */
async function check(file: string): Promise<Header> {
  const { header, parts } = await readBackup(file);
  const migration = migrationsOf('sqlite').at(-1)!.number;
  if (header.phsyncBackup !== FORMAT || header.migration !== migration) {
    throw new PhsyncError(
      'backup-version',
      `${file} was made by phsync ${header.version} (format ${header.phsyncBackup}, migration ${header.migration}), this is ${packageVersion()} (${FORMAT}, ${migration}): restore with the version that made it; a later one then migrates the database when it starts`,
      { facts: { file, migration: header.migration, known: migration } },
    );
  }
  for await (const _ of parts);
  return header;
}

async function openTarget({ store, stateDir }: Place, { replace, env }: RestoreOptions): Promise<Target> {
  if (store.type === 'sqlite') return openSqliteTarget(join(stateDir, DATABASE_FILE), replace);
  return openPostgresTarget(await resolveSecret(store.url, 'store.url', env), replace);
}

async function load(target: Target, file: string, signal: AbortSignal | undefined) {
  const counts = new Map<string, number>();
  const files = new Map<string, string>();
  let table = '';
  let columns: readonly Column[] = [];
  let rows: (readonly Value[])[] = [];
  const flush = async () => {
    if (signal?.aborted) throw new PhsyncError('restore-stopped', 'the restore was stopped; nothing was changed');
    if (rows.length === 0) return;
    await target.insert(table, columns, rows);
    counts.set(table, counts.get(table)! + rows.length);
    rows = [];
  };
  for await (const part of (await readBackup(file)).parts) {
    if (part.kind === 'row') {
      rows.push(table === 'domain_services' ? withNewEpoch(columns, part.values) : part.values);
      if (rows.length === ROWS) await flush();
    } else if (part.kind === 'file') {
      files.set(part.name, part.text);
    } else {
      await flush();
      ({ name: table, columns } = part);
      counts.set(table, 0);
      checkColumns(target, table, columns, file);
    }
  }
  await flush();
  return { counts, files };
}

/** Readers of the feed have seen changes that a backup does not know: their cookies are good no more. */
const withNewEpoch = (columns: readonly Column[], values: readonly Value[]) =>
  values.map((value, i) => (columns[i]!.name === 'epoch' ? randomUUID() : value));

function checkColumns(target: Target, table: string, columns: readonly Column[], file: string): void {
  const here = target.tables.get(table);
  if (here?.length === columns.length && columns.every(({ name }) => here.includes(name))) return;
  throw new PhsyncError(
    'backup-schema',
    `${file} has a table ${table.slice(0, 64)} that this version's database has not`,
    {
      facts: { file },
    },
  );
}

async function restoreFiles(
  directory: string,
  files: ReadonlyMap<string, string>,
  replace: boolean,
): Promise<string[]> {
  const kept: string[] = [];
  for (const [name, text] of files) {
    if (!STATE_FILES.includes(name)) continue;
    const path = join(directory, name);
    const here = await readIfThere(path);
    if (here === text) continue;
    if (here !== undefined && !replace) kept.push(name);
    // Clients are to read what they trust.
    else await writePrivate(path, text, name === 'ca.pem' ? 0o644 : 0o600);
  }
  return kept;
}
