/** A domain controller of a test's own: to be stopped, killed, started again and changed; it dies with the test run. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { reserveAddress } from './address.js';
import { type DcFacts, type DcUser, modify, setPasswords, users } from './dc.js';
import { untilReady } from './ready.js';

const scripts = join(dirname(fileURLToPath(import.meta.url)), 'dc');
const run = promisify(execFile);

export interface OwnDcOptions {
  /** Default `OWN.TEST`; the DNS domain is the same in small letters. */
  readonly realm?: string;
  /** NetBIOS name of the domain. Default: the realm's first label. */
  readonly domain?: string;
  /** Default `dc1`. */
  readonly host?: string;
  /** Lines of smb.conf's [global], e.g. `ntlm auth = disabled`. */
  readonly smbConf?: readonly string[];
  /** Serve DNS on port 53 of the address. Default: no. */
  readonly dns?: boolean;
  /** Simple binds without TLS, a Windows DC's default. */
  readonly plainLdap?: boolean;
  /** A further DC of the domain of this one, which must serve DNS; most of the above is as it is there. */
  readonly join?: OwnDc;
  /** Bulk users besides the special accounts. Default 0. */
  readonly users?: number;
  /** Bulk users without Kerberos keys, which are made ten times faster. */
  readonly ntOnly?: boolean;
}

/** Five to fifteen seconds each: one for a file, not one for a test. `await using`, or `close` in afterAll. */
export class OwnDc {
  readonly directory: string;
  /** As `dc/start` printed them at the first start; the RPC ports may be others after a restart: see `facts`. */
  #facts: DcFacts;
  readonly #server: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #release: () => void;

  private constructor(directory: string, server: ChildProcess, ended: Promise<void>, release: () => void) {
    this.directory = directory;
    this.#server = server;
    this.#ended = ended;
    this.#release = release;
    this.#facts = readFacts(directory);
  }

  static async start(options: OwnDcOptions = {}): Promise<OwnDc> {
    const { realm = 'OWN.TEST', host = 'dc1', smbConf = [], dns = false, users: count = 0 } = options;
    const { domain = realm.split('.')[0]! } = options;
    const { address, release } = await reserveAddress(120, dns);
    const directory = mkdtempSync(join(tmpdir(), 'phsync-own-dc.'));
    const args = [directory, address, String(count)];
    if (options.ntOnly) args.push('--nt-only');
    args.push('--host', host);
    if (options.join !== undefined) args.push('--join', options.join.directory);
    else args.push('--realm', realm, '--domain', domain);
    if (!dns) args.push('--no-dns');
    if (options.plainLdap) args.push('--plain-ldap');
    for (const line of smbConf) args.push('--option', line);
    // Ends, with the DC, at the end of its standard input, which comes however this process ends.
    const server = spawn(join(scripts, 'serve'), args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
    try {
      await untilReady(server);
      return new OwnDc(directory, server, ended, release);
    } catch (error) {
      server.stdin!.end();
      await ended;
      release();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get facts(): DcFacts {
    return this.#facts;
  }

  get users(): DcUser[] {
    return users(this.directory);
  }

  /** The account of a special kind, see `special` in dc.ts. */
  special(kind: string): DcUser {
    const user = this.users.find((each) => each.kind === kind);
    if (user === undefined) throw new Error(`no account of the kind ${kind}`);
    return user;
  }

  /** Stops samba; the directory stays, and `restart` goes on in it. */
  async stop(): Promise<void> {
    await run(join(scripts, 'stop'), [this.directory]);
  }

  /** Ends samba with SIGKILL, as a power cut would. */
  async kill(): Promise<void> {
    await run(join(scripts, 'stop'), [this.directory, '--kill']);
  }

  /** Starts samba again at the same address, after `stop` or `kill`: about two seconds. */
  async restart(): Promise<void> {
    await run(join(scripts, 'start'), [this.directory]);
    this.#facts = readFacts(this.directory);
  }

  /** Between `stop` and `restart`: the directory as it is now, to go back to with `restore`. */
  async backUp(): Promise<void> {
    // Node's own cp refuses the sockets in it.
    await run('cp', ['-a', join(this.directory, 'private'), join(this.directory, 'backup')]);
  }

  /** Between `stop` and `restart`: as it was at `backUp`, with a new invocation id, as a restored DC has. */
  async restore(): Promise<void> {
    await rm(join(this.directory, 'private'), { recursive: true });
    await rename(join(this.directory, 'backup'), join(this.directory, 'private'));
    await run(join(scripts, 'new_invocation_id.py'), [this.directory]);
  }

  /** Pulls what the other DC of the domain has, now; DCs of themselves take minutes until they have found one another. */
  async replicateFrom(other: OwnDc): Promise<void> {
    const { host, adminUser, adminPassword, baseDn } = this.#facts;
    const login = ['-s', join(this.directory, 'smb.conf'), '-U', `${adminUser}%${adminPassword}`];
    const pull = () => run('samba-tool', ['drs', 'replicate', host, other.facts.dnsHostName, baseDn, ...login]);
    try {
      // Who has joined the domain by the other one knows it since then, and its KCC may refuse to be asked.
      await pull();
    } catch {
      await run('samba-tool', ['drs', 'kcc', host, ...login]);
      await pull();
    }
  }

  modify(ldif: string): void {
    modify(ldif, this.directory);
  }

  setPasswords(changes: Iterable<{ readonly dn: string; readonly password: string }>): void {
    setPasswords(changes, this.directory);
  }

  /** Stops the DC and deletes its directory. */
  async close(): Promise<void> {
    this.#server.stdin!.end();
    await this.#ended;
    this.#release();
    rmSync(this.directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const readFacts = (directory: string): DcFacts => JSON.parse(readFileSync(join(directory, 'facts.json'), 'utf8'));
