/** The simulated lab directory behind the source interface: real envelopes, cookies and deltas, made-up people. */

import { randomBytes } from 'node:crypto';
import { PhsyncError } from '../../hasher/errors.js';
import type { Cookie, DirectoryObject, DirectoryPage, DirectorySource, ReadOptions } from '../source.js';
import { EnvelopeSealer } from './lab/envelope.js';
import type { ChangeKind } from './lab/journal.js';
import type { LabDirectory } from './lab/lab-directory.js';

export { LabDirectory, type LabOptions } from './lab/lab-directory.js';

/** As a DC cuts its pages. */
const PAGE_SIZE = 1000;
const SALT_SIZE = 16;
const SESSION_KEY_SIZE = 16;

/** Where a reader of the directory stands. */
interface Position {
  /** The next object of the first pass; the number of all objects once that is done. */
  readonly object: number;
  /** Changes by the clock, and by hand, that were served or (in the first pass) are contained in what was. */
  readonly clock: number;
  readonly journal: number;
}

const MAGIC = 0x4c414231;
const COOKIE_SIZE = 32;

export class LabSource implements DirectorySource {
  readonly kind = 'lab';
  readonly description: string;
  readonly domain: DirectorySource['domain'];
  readonly #lab: LabDirectory;
  readonly #pageSize: number;
  readonly #sessionKey = randomBytes(SESSION_KEY_SIZE);
  readonly #sealer = new EnvelopeSealer(this.#sessionKey);
  /** Salts of the envelopes to come, drawn many at a time. */
  #salts: Uint8Array = new Uint8Array(0);
  #salt = 0;

  constructor(lab: LabDirectory, pageSize: number = PAGE_SIZE) {
    this.#lab = lab;
    this.#pageSize = pageSize;
    this.description = `simulated lab directory, ${lab.users.toLocaleString('en-US')} users`;
    this.domain = { dnsName: lab.domain, netbiosName: lab.netbiosName };
  }

  async *pages(
    cookie: Cookie | undefined,
    signal?: AbortSignal,
    { supplementalCredentials: keys = false }: ReadOptions = {},
  ): AsyncGenerator<DirectoryPage> {
    const lab = this.#lab;
    const end = { clock: lab.clockChanges, journal: lab.journal.length };
    let position = this.#decode(cookie) ?? { object: 0, ...end };
    let more: boolean;
    do {
      if (signal?.aborted) return;
      const objects: DirectoryObject[] = [];
      position =
        position.object < lab.objects
          ? this.#firstPass(position, keys, objects)
          : this.#changes(position, end, keys, objects);
      more = position.object < lab.objects || position.clock < end.clock || position.journal < end.journal;
      yield {
        objects,
        sessionKeys: [this.#sessionKey],
        cookie: this.#encode(position),
        more,
        total: lab.objects,
      };
    } while (more);
  }

  async object(
    reference: { readonly guid: string } | { readonly dn: string },
    _signal?: AbortSignal,
    { supplementalCredentials: keys = false }: ReadOptions = {},
  ): Promise<DirectoryPage> {
    const index =
      'guid' in reference
        ? this.#lab.indexOfGuid(reference.guid)
        : // The common name ends with the index.
          Number(/^CN=[^,]* (\d+),/.exec(reference.dn)?.[1] ?? Number.NaN);
    const objects: DirectoryObject[] = [];
    if (index !== undefined && index < this.#lab.objects) {
      const object = this.#lab.describe(index, 'whole', this.#sealer, this.#nextSalt, keys);
      if (!('dn' in reference) || object.dn.toLowerCase() === reference.dn.toLowerCase()) objects.push(object);
    }
    return {
      objects,
      sessionKeys: [this.#sessionKey],
      cookie: new Uint8Array(0),
      more: false,
      total: undefined,
    };
  }

  async close(): Promise<void> {}

  #firstPass(position: Position, keys: boolean, objects: DirectoryObject[]): Position {
    const to = Math.min(position.object + this.#pageSize, this.#lab.objects);
    for (let index = position.object; index < to; index++) {
      objects.push(this.#lab.describe(index, 'whole', this.#sealer, this.#nextSalt, keys));
    }
    return { ...position, object: to };
  }

  /** As a DC does, shows each changed object once a page, as it is now, with the attributes that changed. */
  #changes(position: Position, end: Omit<Position, 'object'>, keys: boolean, objects: DirectoryObject[]): Position {
    let { clock, journal } = position;
    const touched = new Map<number, Set<ChangeKind>>();
    const touch = (index: number, kind: ChangeKind) => {
      const kinds = touched.get(index);
      if (kinds === undefined) touched.set(index, new Set([kind]));
      else kinds.add(kind);
    };
    while (journal < end.journal && touched.size < this.#pageSize) {
      const { index, kind } = this.#lab.journal.at(journal++)!;
      touch(index, kind);
    }
    while (clock < end.clock && touched.size < this.#pageSize) {
      touch(this.#lab.clockChangeAt(clock++), 'password');
    }
    for (const [index, kinds] of touched) {
      objects.push(this.#lab.describe(index, kinds, this.#sealer, this.#nextSalt, keys));
    }
    return { object: position.object, clock, journal };
  }

  readonly #nextSalt = (): Uint8Array => {
    if (this.#salt + SALT_SIZE > this.#salts.length) {
      this.#salts = randomBytes(SALT_SIZE * 1024);
      this.#salt = 0;
    }
    this.#salt += SALT_SIZE;
    return this.#salts.subarray(this.#salt - SALT_SIZE, this.#salt);
  };

  #encode({ object, clock, journal }: Position): Cookie {
    const view = new DataView(new ArrayBuffer(COOKIE_SIZE));
    view.setUint32(0, MAGIC);
    view.setUint32(4, this.#lab.seed);
    view.setUint32(8, this.#lab.users);
    view.setUint32(12, object);
    view.setFloat64(16, clock);
    view.setFloat64(24, journal);
    return new Uint8Array(view.buffer);
  }

  /** Undefined: another directory's, as a DC starts over for a cookie of another invocation. */
  #decode(cookie: Cookie | undefined): Position | undefined {
    if (cookie === undefined) return undefined;
    const view = new DataView(cookie.buffer, cookie.byteOffset, cookie.byteLength);
    if (cookie.length !== COOKIE_SIZE || view.getUint32(0) !== MAGIC) {
      throw new PhsyncError('lab-cookie', `not a cookie of a lab directory: ${cookie.length} bytes`, {
        facts: { size: cookie.length },
      });
    }
    if (view.getUint32(4) !== this.#lab.seed || view.getUint32(8) !== this.#lab.users) return undefined;
    return { object: view.getUint32(12), clock: view.getFloat64(16), journal: view.getFloat64(24) };
  }
}
