/**
 * The simulated lab directory: made-up people, computed from a seed when they are asked for and never kept, with
 * passwords that change by the clock or by hand. Among every 250 ordinary users stands one object that is not.
 */

import { guidFromText } from '../../../protocol/dtyp/guid.js';
import { dateToFiletime } from '../../../protocol/dtyp/time.js';
import type { DirectoryObject } from '../../source.js';
import type { EnvelopeSealer } from './envelope.js';
import { type ChangeKind, Journal } from './journal.js';
import { supplementalCredentialsOf } from './kerberos-keys.js';
import { nameOf, passwordFor } from './names.js';
import { draw32, mix32, Rotation } from './random.js';

export interface LabOptions {
  /** Ordinary users: enabled, with a password, in scope. The special objects come on top. */
  readonly users: number;
  readonly seed?: number;
  readonly domain?: string;
  /** Ordinary users whose password changes on its own. */
  readonly changesPerMinute?: number;
  /** Where changes by hand are kept. */
  readonly journal?: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** The kinds of special objects: the first three by turns of their own, then the others over and over. */
const SYSTEM_KINDS = ['administrator', 'guest', 'krbtgt'] as const;
const OTHER_KINDS = [
  'inetOrgPerson',
  'computer',
  'mustChange',
  'noPassword',
  'disabled',
  'tombstone',
  'contact',
  'group',
  'syncAccount',
] as const;
export type LabKind = 'user' | (typeof SYSTEM_KINDS)[number] | (typeof OTHER_KINDS)[number];

/** One special object stands before each so many ordinary users. */
const USERS_A_BLOCK = 250;
const BLOCK = USERS_A_BLOCK + 1;
const SYSTEM_RIDS = new Map<LabKind, number>([
  ['administrator', 500],
  ['guest', 501],
  ['krbtgt', 502],
]);
const FIRST_RID = 1100;
/** Passwords that change by the clock have been doing so since 2026-01-01. */
const EPOCH = Date.UTC(2026, 0, 1);
const NEVER = 0x7fff_ffff_ffff_ffffn;

// userAccountControl, MS-ADTS 2.2.16
const UF_ACCOUNTDISABLE = 0x2;
const UF_PASSWD_NOTREQD = 0x20;
const UF_NORMAL_ACCOUNT = 0x200;
const UF_WORKSTATION_TRUST_ACCOUNT = 0x1000;

/** Which attributes a page carries: all of an object, or those that a change has touched. */
export type Extent = 'whole' | ReadonlySet<ChangeKind>;

export class LabDirectory {
  readonly users: number;
  readonly seed: number;
  readonly domain: string;
  readonly netbiosName: string;
  /** Objects in the directory, special ones included: their indexes are 0 to `objects` − 1. */
  readonly objects: number;
  readonly journal: Journal;
  readonly now: () => number;
  readonly #changesPerMs: number;
  readonly #rotation: Rotation;
  readonly #baseDn: string;
  readonly #domainSid: string;
  readonly #guidMask: number;
  readonly #guidTail: string;

  constructor(options: LabOptions) {
    const { users, seed = 1, domain = 'lab.test', changesPerMinute = 0, journal, now = Date.now } = options;
    this.users = users;
    this.seed = seed;
    this.domain = domain;
    this.netbiosName = domain.split('.')[0]!.toUpperCase().slice(0, 15);
    this.objects = users + Math.ceil(users / USERS_A_BLOCK);
    this.journal = new Journal(journal);
    this.now = now;
    this.#changesPerMs = changesPerMinute / 60_000;
    this.#rotation = new Rotation(users, seed);
    this.#baseDn = domain
      .split('.')
      .map((label) => `DC=${label}`)
      .join(',');
    this.#domainSid = `S-1-5-21-${draw32(seed, 11)}-${draw32(seed, 12)}-${draw32(seed, 13)}`;
    this.#guidMask = draw32(seed, 14);
    const tail = [15, 16, 17].map((stream) => draw32(seed, stream).toString(16).padStart(8, '0')).join('');
    this.#guidTail = `-${tail.slice(0, 4)}-4${tail.slice(5, 8)}-8${tail.slice(9, 12)}-${tail.slice(12, 24)}`;
  }

  /** The index of the n-th ordinary user, n from 0. */
  userIndex(n: number): number {
    if (!Number.isInteger(n) || n < 0 || n >= this.users) {
      throw new RangeError(`the lab directory has the users 0 to ${this.users - 1}, not ${n}`);
    }
    return Math.floor(n / USERS_A_BLOCK) * BLOCK + 1 + (n % USERS_A_BLOCK);
  }

  kindOf(index: number): LabKind {
    if (index % BLOCK !== 0) return 'user';
    const special = index / BLOCK;
    return SYSTEM_KINDS[special] ?? OTHER_KINDS[(special - SYSTEM_KINDS.length) % OTHER_KINDS.length]!;
  }

  /** The indexes of all special objects of a kind. */
  *indexesOf(kind: Exclude<LabKind, 'user'>): Generator<number> {
    for (let index = 0; index < this.objects; index += BLOCK) {
      if (this.kindOf(index) === kind) yield index;
    }
  }

  sAMAccountNameOf(index: number): string {
    switch (this.kindOf(index)) {
      case 'administrator':
        return 'Administrator';
      case 'guest':
        return 'Guest';
      case 'krbtgt':
        return 'krbtgt';
      case 'computer':
        return `LAB${index}$`;
      case 'syncAccount':
        return `MSOL_${draw32(this.seed, index).toString(16).padStart(8, '0')}`;
      default:
        return `u${String(index).padStart(7, '0')}`;
    }
  }

  userPrincipalNameOf(index: number): string {
    return `${this.sAMAccountNameOf(index)}@${this.domain}`;
  }

  /** The password as it is now. */
  passwordOf(index: number): string {
    return passwordFor(this.seed, index, this.#passwordState(index).version);
  }

  /** The one before; undefined where there was none. */
  previousPasswordOf(index: number): string | undefined {
    const { version } = this.#passwordState(index);
    return version > 1 ? passwordFor(this.seed, index, version - 1) : undefined;
  }

  /** Gives the object its next password, and returns it. */
  changePassword(index: number): string {
    this.change('password', index);
    return this.passwordOf(index);
  }

  change(kind: ChangeKind, index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.objects) {
      throw new RangeError(`the lab directory has the objects 0 to ${this.objects - 1}, not ${index}`);
    }
    this.journal.add({ kind, index, at: this.now() });
  }

  guidOf(index: number): string {
    return (
      mix32(index ^ this.#guidMask)
        .toString(16)
        .padStart(8, '0') + this.#guidTail
    );
  }

  /** The index of an object's GUID; undefined where there is none such. */
  indexOfGuid(guid: string): number | undefined {
    if (!guid.endsWith(this.#guidTail)) return undefined;
    const index = (unmix32(Number.parseInt(guid.slice(0, 8), 16)) ^ this.#guidMask) >>> 0;
    return index < this.objects ? index : undefined;
  }

  guidBytesOf(index: number): Uint8Array {
    return guidFromText(this.guidOf(index));
  }

  /** Passwords that have changed by the clock until now: a position in the stream of such changes. */
  get clockChanges(): number {
    return Math.max(0, Math.floor((this.now() - EPOCH) * this.#changesPerMs));
  }

  /** Whose password the k-th change by the clock was, k from 0. */
  clockChangeAt(k: number): number {
    return this.userIndex(this.#rotation.at(k));
  }

  /**
   * The object as replication shows it. `salt` returns 16 fresh random bytes for each envelope; `keys`: with
   * supplementalCredentials.
   */
  describe(
    index: number,
    extent: Extent,
    sealer: EnvelopeSealer,
    salt: () => Uint8Array,
    keys: boolean,
  ): DirectoryObject {
    const kind = this.kindOf(index);
    const overlay = this.journal.overlay(index);
    const deleted = kind === 'tombstone' || overlay?.deleted === true;
    const whole = extent === 'whole';
    const { given, family } = nameOf(this.seed, index);
    const guid = this.guidOf(index);
    const commonName = `${given} ${family} ${index}`;
    const place = (overlay?.moves ?? 0) % 2 === 1 ? 'OU=Moved' : `OU=Unit ${index % 10},OU=Lab`;
    const systemRid = kind === 'user' ? undefined : SYSTEM_RIDS.get(kind);
    const rid = kind === 'contact' ? 0 : (systemRid ?? FIRST_RID + index);
    const hasAccount = kind !== 'contact' && kind !== 'group';
    const showsPassword = !deleted && hasAccount && (whole || extent.has('password') || extent.has('reset'));
    const password = showsPassword ? this.#passwordState(index) : undefined;
    const mustChange = overlay?.mustChange ?? kind === 'mustChange';
    const showsKeys = keys && password !== undefined && !hasNoPassword(kind);
    const person = whole && !deleted && hasAccount && kind !== 'computer';
    return {
      guid,
      dn: deleted
        ? `CN=${commonName}\\0ADEL:${guid},CN=Deleted Objects,${this.#baseDn}`
        : `CN=${commonName},${place},${this.#baseDn}`,
      sid: rid === 0 ? undefined : `${this.#domainSid}-${rid}`,
      rid,
      deleted,
      objectClass: whole && !deleted ? classOf(kind) : undefined,
      sAMAccountName: (whole || deleted) && kind !== 'contact' ? this.sAMAccountNameOf(index) : undefined,
      userPrincipalName: person && systemRid === undefined ? this.userPrincipalNameOf(index) : undefined,
      displayName:
        extent === 'whole' || extent.has('rename')
          ? `${given} ${family}${'*'.repeat(overlay?.renames ?? 0)}`
          : undefined,
      givenName: person ? given : undefined,
      sn: person ? family : undefined,
      mail: person ? `${this.sAMAccountNameOf(index)}@${this.domain}` : undefined,
      userAccountControl:
        !deleted && hasAccount && (extent === 'whole' || extent.has('disable') || extent.has('enable'))
          ? accountControl(kind, overlay?.disabled)
          : undefined,
      pwdLastSet:
        !deleted && hasAccount && (showsPassword || (extent !== 'whole' && extent.has('release')))
          ? mustChange
            ? 0n
            : dateToFiletime(new Date(this.#passwordState(index).changed))
          : undefined,
      accountExpires: person ? NEVER : undefined,
      unicodePwd: this.#envelope(index, kind, rid, password?.version, sealer, salt),
      passwordVersion: password?.version,
      passwordChanged: password === undefined ? undefined : new Date(password.changed),
      supplementalCredentials: showsKeys ? this.#keys(index, kind, password.version, sealer, salt) : undefined,
      supplementalVersion: showsKeys ? password.version : undefined,
    };
  }

  #keys(index: number, kind: LabKind, version: number, sealer: EnvelopeSealer, salt: () => Uint8Array): Uint8Array {
    const plain = supplementalCredentialsOf(passwordFor(this.seed, index, version), {
      domain: this.domain,
      sAMAccountName: this.sAMAccountNameOf(index),
      isComputer: kind === 'computer',
    });
    try {
      return sealer.sealPlain(plain, salt());
    } finally {
      plain.fill(0);
    }
  }

  #envelope(
    index: number,
    kind: LabKind,
    rid: number,
    version: number | undefined,
    sealer: EnvelopeSealer,
    salt: () => Uint8Array,
  ): Uint8Array | undefined {
    if (version === undefined) return undefined;
    if (hasNoPassword(kind)) return new Uint8Array(0);
    return sealer.seal(passwordFor(this.seed, index, version), rid, salt());
  }

  /** The DC's version of unicodePwd and the time of the change in milliseconds, cut to seconds as the DC's is. */
  #passwordState(index: number): { readonly version: number; readonly changed: number } {
    const overlay = this.journal.overlay(index);
    let version = 1 + (overlay?.passwords ?? 0);
    let changed = Math.max(EPOCH - (this.objects - index) * 1000, overlay?.passwordAt ?? 0);
    if (this.#changesPerMs > 0 && index % BLOCK !== 0) {
      const user = Math.floor(index / BLOCK) * USERS_A_BLOCK + (index % BLOCK) - 1;
      const { count, last } = this.#rotation.turnsOf(user, this.clockChanges);
      version += count;
      if (last !== undefined) changed = Math.max(changed, EPOCH + (last + 1) / this.#changesPerMs);
    }
    return { version, changed: Math.floor(changed / 1000) * 1000 };
  }
}

const hasNoPassword = (kind: LabKind): boolean => kind === 'noPassword' || kind === 'guest';

function classOf(kind: LabKind): string {
  return kind === 'inetOrgPerson' || kind === 'computer' || kind === 'contact' || kind === 'group' ? kind : 'user';
}

function accountControl(kind: LabKind, disabled: boolean | undefined): number {
  let control = kind === 'computer' ? UF_WORKSTATION_TRUST_ACCOUNT : UF_NORMAL_ACCOUNT;
  if (kind === 'noPassword') control |= UF_PASSWD_NOTREQD;
  if (disabled ?? (kind === 'disabled' || kind === 'guest' || kind === 'krbtgt')) control |= UF_ACCOUNTDISABLE;
  return control;
}

/** What `mix32` makes of x, back to x: each of its steps can be undone. */
function unmix32(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x7ed1b41d);
  x ^= (x >>> 13) ^ (x >>> 26);
  x = Math.imul(x, 0xa5cb9243);
  return (x ^ (x >>> 16)) >>> 0;
}
