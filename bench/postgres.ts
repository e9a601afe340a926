/** A real PostgreSQL for benchmarks and tests: Debian's own, in a temporary directory, on a loopback port of its own. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.js';

const ROOT = '/usr/lib/postgresql';
const ROLE = 'phsync';
const PORT_TRIES = 5;
const READY = 'database system is ready to accept connections';

/** The newest installed one's programs, or undefined. Debian has a directory for each major version. */
function programs(): string | undefined {
  if (!existsSync(ROOT)) return undefined;
  const versions = readdirSync(ROOT).filter((name) => existsSync(join(ROOT, name, 'bin', 'initdb')));
  const newest = versions.sort((a, b) => Number(a) - Number(b)).at(-1);
  return newest === undefined ? undefined : join(ROOT, newest, 'bin');
}

/** PostgreSQL does not run as root: its own user, which Debian's package makes. */
function unprivileged(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** What is lacking here, or undefined. */
export const postgresMissing: string | undefined =
  programs() === undefined ? `no PostgreSQL below ${ROOT}: install Debian's package postgresql` : undefined;

export interface PostgresOptions {
  /** Lines of postgresql.conf. fsync stays on unless it is named here. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

export class PostgresServer {
  readonly #directory: string;
  readonly #settings: Readonly<Record<string, string | number>>;
  readonly #password: string;
  #port = 0;
  #server: ChildProcess | undefined;
  #log = '';
  #databases = 0;

  private constructor(directory: string, password: string, settings: Readonly<Record<string, string | number>>) {
    this.#directory = directory;
    this.#password = password;
    this.#settings = settings;
  }

  static async start({ settings = {} }: PostgresOptions = {}): Promise<PostgresServer> {
    const directory = mkdtempSync(join(tmpdir(), 'phsync-postgres-'));
    const password = randomBytes(12).toString('hex');
    const postgres = new PostgresServer(directory, password, settings);
    try {
      const passwordFile = join(directory, 'password');
      writeFileSync(passwordFile, password);
      const owner = unprivileged();
      if (owner !== undefined) for (const path of [directory, passwordFile]) chownSync(path, owner.uid, owner.gid);
      const [program, args] = command('initdb', [
        ...['--pgdata', join(directory, 'data'), '--username', 'postgres', '--pwfile', passwordFile, '--no-sync'],
        ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C'],
      ]);
      execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
      await postgres.#startOnFreePort();
      await postgres.#query(`CREATE ROLE ${ROLE} LOGIN PASSWORD '${password}'`);
    } catch (error) {
      await postgres.remove();
      throw error;
    }
    return postgres;
  }

  /** After stop() or crash(): the same data on the same port. Nothing where it runs. */
  async start(): Promise<void> {
    if (this.#runs) return;
    const server = spawnPostgres(['-D', join(this.#directory, 'data')]);
    this.#server = server;
    this.#log = '';
    await new Promise<void>((resolve, reject) => {
      server.stderr!.on('data', (chunk) => {
        this.#log += chunk;
        if (this.#log.includes(READY)) resolve();
      });
      server.once('close', () => reject(new Error(`PostgreSQL did not start: ${this.#log}`)));
      server.once('error', reject);
    });
  }

  /** Ends connections and shuts down in order. */
  stop(): Promise<void> {
    return this.#end('SIGINT');
  }

  /** As a lost power supply would: the next start recovers from the log. */
  crash(): Promise<void> {
    return this.#end('SIGQUIT');
  }

  /** A new, empty database whose owner is no superuser. @returns its URL, with the password. */
  async createDatabase(): Promise<string> {
    const name = `test${++this.#databases}`;
    await this.#query(`CREATE DATABASE ${name} OWNER ${ROLE}`);
    return this.#url(ROLE, name);
  }

  /** Bytes on disk. */
  async databaseSize(url: string): Promise<number> {
    const [row] = await this.#query(`SELECT pg_database_size('${new URL(url).pathname.slice(1)}')::float8 AS size`);
    return row.size;
  }

  async dropDatabase(url: string): Promise<void> {
    await this.#query(`DROP DATABASE IF EXISTS ${new URL(url).pathname.slice(1)} WITH (FORCE)`);
  }

  /** What stands in every URL of this server and must stand in no log. */
  get password(): string {
    return this.#password;
  }

  /** The server's log since its last start. */
  get log(): string {
    return this.#log;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** A port that was free when it was asked for may be taken by the time the server wants it. */
  async #startOnFreePort(): Promise<void> {
    for (let left = PORT_TRIES; ; left--) {
      this.#port = await freePort();
      const lines = Object.entries({
        listen_addresses: "'127.0.0.1'",
        unix_socket_directories: "''",
        port: this.#port,
        ...this.#settings,
      }).map(([name, value]) => `${name} = ${value}\n`);
      writeFileSync(join(this.#directory, 'data', 'postgresql.auto.conf'), lines.join(''));
      try {
        return await this.start();
      } catch (error) {
        if (left === 1 || !this.#log.includes('Address already in use')) throw error;
      }
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#runs) return;
    this.#server!.kill(signal);
    await exited(this.#server!);
  }

  get #runs(): boolean {
    return this.#server !== undefined && this.#server.exitCode === null && this.#server.signalCode === null;
  }

  #url(user: string, database: string): string {
    return `postgres://${user}:${this.#password}@127.0.0.1:${this.#port}/${database}`;
  }

  // biome-ignore lint/suspicious/noExplicitAny: rows are looked at member by member
  async #query(sql: string): Promise<any[]> {
    const client = new pg.Client({ connectionString: this.#url('postgres', 'postgres') });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
}

function command(program: string, args: readonly string[]): [string, string[]] {
  const path = join(programs()!, program);
  if (unprivileged() === undefined) return [path, [...args]];
  // A process that is killed takes the server with it (SIGINT: a fast shutdown).
  const identity = ['--reuid', 'postgres', '--regid', 'postgres', '--init-groups', '--pdeathsig', 'INT'];
  return ['setpriv', [...identity, path, ...args]];
}

function spawnPostgres(args: readonly string[]): ChildProcess {
  return spawn(...command('postgres', args), { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
