/** What stands in a domain controller's database, by Samba's own library: for tests that must not take our word for it. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export interface StoredSecrets {
  readonly name: string;
  /** Hexadecimal; null: there is none. */
  readonly ntHash: string | null;
  readonly supplementalCredentials: string | null;
  /** FILETIME. */
  readonly pwdLastSet: string;
  readonly keyVersion: number;
}

/** One process a domain controller; it ends with `close`, or with the tests. */
export class Look {
  readonly #directory: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;

  constructor(directory: string) {
    this.#directory = directory;
    const program = join(dirname(fileURLToPath(import.meta.url)), 'dc', 'look.py');
    this.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`look.py ended with ${code}`);
    });
    // It may end when nobody asks; who asks then is told.
    this.#ended.catch(() => {});
  }

  async #ask<T>(request: object): Promise<T> {
    const answer = Promise.race([once(this.#lines, 'line'), this.#ended]);
    this.#child.stdin.write(`${JSON.stringify({ dc: this.#directory, ...request })}\n`);
    const [line] = (await answer) as [string];
    return JSON.parse(line) as T;
  }

  /** By sAMAccountName. */
  async secrets(names: readonly string[]): Promise<ReadonlyMap<string, StoredSecrets>> {
    const rows = await this.#ask<StoredSecrets[]>({ secrets: names });
    return new Map(rows.map((row) => [row.name, row]));
  }

  /** All entries of the domain that an LDAP filter fits, by their names: the database has no order. */
  async find(filter: string, ...attributes: string[]): Promise<Record<string, string[]>[]> {
    const request = { find: filter, attributes: attributes.length === 0 ? ['cn'] : attributes };
    const entries = await this.#ask<Record<string, string[]>[]>(request);
    const nameOf = ({ dn }: Record<string, string[]>) => dn?.[0] ?? '';
    return entries.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  close(): void {
    this.#child.stdin.end();
  }
}
