/** Changes that somebody makes in the simulated directory, in order; optionally kept in a file, so that a restart has them. */

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { PhsyncError } from '../../../hasher/errors.js';

const changeKinds = [
  /** A new password. */
  'password',
  /** A new password that must be changed at the next log-on. */
  'reset',
  /** The must-change flag is taken back, the password stays. */
  'release',
  'disable',
  'enable',
  /** Another display name. */
  'rename',
  /** Into another OU; the password stays. */
  'move',
  'delete',
] as const;
export type ChangeKind = (typeof changeKinds)[number];

export interface Change {
  readonly kind: ChangeKind;
  /** The object's index. */
  readonly index: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What the changes so far have made of one object. */
export interface Overlay {
  /** Passwords set by hand. */
  passwords: number;
  passwordAt: number;
  mustChange: boolean | undefined;
  disabled: boolean | undefined;
  renames: number;
  moves: number;
  deleted: boolean;
}

export class Journal {
  readonly #changes: Change[] = [];
  readonly #overlays = new Map<number, Overlay>();
  readonly #file: string | undefined;

  /** Reads the file's changes, where there is one. Throws PhsyncError `lab-journal` when it is not one of ours. */
  constructor(file: string | undefined) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) return;
    for (const [i, line] of readFileSync(file, 'utf8').split('\n').entries()) {
      if (line === '') continue;
      this.#apply(parseChange(line, file, i + 1));
    }
  }

  get length(): number {
    return this.#changes.length;
  }

  at(position: number): Change | undefined {
    return this.#changes[position];
  }

  overlay(index: number): Overlay | undefined {
    return this.#overlays.get(index);
  }

  add(change: Change): void {
    // On disk first: a change that was served must still be there after a restart. No password is written, only that
    // there is a new one.
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(change)}\n`, { mode: 0o600 });
    this.#apply(change);
  }

  #apply(change: Change): void {
    this.#changes.push(change);
    let overlay = this.#overlays.get(change.index);
    if (overlay === undefined) {
      overlay = {
        passwords: 0,
        passwordAt: 0,
        mustChange: undefined,
        disabled: undefined,
        renames: 0,
        moves: 0,
        deleted: false,
      };
      this.#overlays.set(change.index, overlay);
    }
    switch (change.kind) {
      case 'password':
      case 'reset':
        overlay.passwords++;
        overlay.passwordAt = change.at;
        overlay.mustChange = change.kind === 'reset';
        break;
      case 'release':
        overlay.mustChange = false;
        break;
      case 'disable':
      case 'enable':
        overlay.disabled = change.kind === 'disable';
        break;
      case 'rename':
        overlay.renames++;
        break;
      case 'move':
        overlay.moves++;
        break;
      case 'delete':
        overlay.deleted = true;
        break;
    }
  }
}

function parseChange(line: string, file: string, number: number): Change {
  let value: Partial<Change> | null = null;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  const { kind, index, at } = value ?? {};
  if (!changeKinds.includes(kind as ChangeKind) || !Number.isInteger(index) || !Number.isFinite(at)) {
    throw new PhsyncError('lab-journal', `${file}:${number}: not a change of the lab directory's journal`, {
      facts: { file, line: number },
    });
  }
  return { kind: kind!, index: index!, at: at! };
}
