/** The domain controller of the fault runs: its users, the passwords that they have had, and changes to them. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { md4 } from '#src/crypto/md4.js';
import type { DcFacts, DcUser } from '../samba/dc.js';
import type { Random } from './random.js';

const scripts = join(dirname(fileURLToPath(import.meta.url)), '..', 'samba', 'dc');

export interface DcControl {
  readonly directory: string;
  readonly facts: DcFacts;
  readonly users: readonly DcUser[];
  stop(): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** One user of the runs, with every NT hash that the password has had, oldest first. */
export interface Person {
  readonly dn: string;
  /** 16 bytes of objectGUID as on the wire, in hex. */
  readonly guid: string;
  readonly sourceAnchor: string;
  readonly hashes: string[];
}

const wireGuid = (text: string): Buffer => {
  const hex = text.replaceAll('-', '');
  const at = (from: number, to: number) => Buffer.from(hex.slice(2 * from, 2 * to), 'hex');
  return Buffer.concat([at(0, 4).reverse(), at(4, 6).reverse(), at(6, 8).reverse(), at(8, 16)]);
};

export const ntHashOf = (password: string): string =>
  Buffer.from(md4(Buffer.from(password, 'utf16le'))).toString('hex');

export class Directory {
  readonly dc: DcControl;
  readonly people: readonly Person[];
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;
  #serial = 0;

  constructor(dc: DcControl) {
    this.dc = dc;
    this.people = dc.users
      .filter(({ kind, ntHash }) => kind === 'bulk' && ntHash !== null)
      .map(({ dn, objectGUID, ntHash }) => {
        const guid = wireGuid(objectGUID);
        return { dn, guid: guid.toString('hex'), sourceAnchor: guid.toString('base64'), hashes: [ntHash!] };
      });
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', join(scripts, 'passwords.py'), dc.directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#ended = once(this.#child, 'exit').then(([code]) => Promise.reject(new Error(`passwords.py ended: ${code}`)));
    // Its end is what `close` brings about, too.
    this.#ended.catch(() => undefined);
  }

  /** Only the newest password of each counts from now on. */
  async forgetHistory(): Promise<void> {
    const now = await this.currentHashes();
    for (const person of this.people) person.hashes.splice(0, Number.POSITIVE_INFINITY, now.get(person.guid)!);
  }

  /** NT hashes as they stand in the DC's database, by GUID. */
  async currentHashes(): Promise<ReadonlyMap<string, string>> {
    const { hashes } = (await this.#ask({ hashes: `OU=Bulk,${this.dc.facts.baseDn}` })) as {
      hashes: Record<string, string>;
    };
    return new Map(Object.entries(hashes));
  }

  /**
   * New passwords for `count` users drawn at random, of whom some are drawn again and again: one of them may change twice
   * within a second. `ldap`: as an administrator's tool does it, else in the database. A DC that is down takes a part or
   * nothing, which is found out.
   */
  async change(count: number, random: Random, ldap: boolean): Promise<void> {
    const hot = this.people.slice(0, Math.ceil(this.people.length / 20));
    const changes = Array.from({ length: count }, () => {
      const person = random.pick(random.chance(0.5) ? hot : this.people);
      const password = `Pw-${++this.#serial}-${random.int(0, 2 ** 31)}`;
      return { person, password, ntHash: ntHashOf(password) };
    });
    const failed = ldap ? await this.#byLdap(changes) : await this.#inDatabase(changes);
    if (!failed) {
      for (const { person, ntHash } of changes) person.hashes.push(ntHash);
      return;
    }
    const now = await this.currentHashes();
    for (const person of new Set(changes.map((change) => change.person))) {
      // In order: of one who was drawn again and again, all that stand before the current one were taken, too.
      const drawn = changes.filter((change) => change.person === person).map(({ ntHash }) => ntHash);
      person.hashes.push(...drawn.slice(0, drawn.lastIndexOf(now.get(person.guid)!) + 1));
    }
  }

  async #inDatabase(changes: readonly { readonly person: Person; readonly ntHash: string }[]): Promise<boolean> {
    const answer = await this.#ask({ set: changes.map(({ person, ntHash }) => ({ dn: person.dn, ntHash })) });
    return answer.error !== undefined;
  }

  #byLdap(changes: readonly { readonly person: Person; readonly password: string }[]): Promise<boolean> {
    const ldif = changes
      .map(({ person, password }) => {
        const value = Buffer.from(`"${password}"`, 'utf16le').toString('base64');
        return `dn: ${person.dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${value}\n-\n\n`;
      })
      .join('');
    return new Promise((resolve) => {
      const child = execFile(join(scripts, 'modify.py'), [this.dc.directory], { timeout: 30_000 }, (error) =>
        resolve(error !== null),
      );
      child.stdin!.on('error', () => undefined);
      child.stdin!.end(ldif);
    });
  }

  async #ask(request: unknown): Promise<Record<string, unknown>> {
    const answer = once(this.#lines, 'line');
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    const [line] = (await Promise.race([answer, this.#ended])) as [string];
    return JSON.parse(line) as Record<string, unknown>;
  }

  close(): void {
    this.#child.kill();
  }
}
