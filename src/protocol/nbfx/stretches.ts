/** Stretches of records that a message repeats, such as the names around each value: read once, then compared. */

import { NbfxCursor } from './cursor.js';
import { RecordType } from './records.js';

/** Where a stretch begins. */
export interface Mark {
  readonly offset: number;
  readonly elements: number;
  readonly depth: number;
  readonly scope: number;
  readonly arrayTotal: number;
}

/** Records that were read once and may stand again. */
export interface Stretch {
  readonly offset: number;
  readonly length: number;
  /** Elements that it starts, and how many of them it leaves open. */
  readonly elements: number;
  readonly open: number;
  /** The declarations that its prefixes were resolved with. */
  readonly scope: number;
}

/** @throws ProtocolError as NbfxCursor */
export class StretchCursor extends NbfxCursor {
  #view: DataView | undefined;
  readonly #kept = new Map<object, unknown>();

  /** What a reader of contracts keeps for the time of this message, under a key of its own; made at the first time. */
  keep<T extends object>(owner: object, make: () => T): T {
    let kept = this.#kept.get(owner) as T | undefined;
    if (kept === undefined) {
      kept = make();
      this.#kept.set(owner, kept);
    }
    return kept;
  }

  /** Begins a stretch, for `stretchFrom`. */
  mark(): Mark {
    const { pos: offset, elements, depth, scope, arrayTotal } = this;
    return { offset, elements, depth, scope, arrayTotal };
  }

  /**
   * All that was read since the mark. Undefined where it could mean something else the next time: it declares
   * namespaces, has an Array, ends an element that was open before it, or stops in the middle of one record.
   */
  stretchFrom({ offset, elements, depth, scope, arrayTotal }: Mark): Stretch | undefined {
    const open = this.depth - depth;
    const same = scope === this.scope && arrayTotal === this.arrayTotal;
    if (!same || open < 0 || depth === 0 || this.pendingEnd || this.arrayLeft > 0) return undefined;
    return { offset, length: this.pos - offset, elements: this.elements - elements, open, scope };
  }

  /**
   * True where the same records as before stand here in the same scope, and so mean the same: they were passed over.
   * Names and attributes of the last start element are then not set.
   */
  repeats({ offset, length, elements, open, scope }: Stretch): boolean {
    const { buf, pos, limits } = this;
    if (scope !== this.scope || length > this.end - pos || this.pendingEnd || this.arrayLeft > 0) return false;
    this.#view ??= new DataView(buf.buffer, buf.byteOffset, this.end);
    const view = this.#view;
    const words = length & ~3;
    for (let i = 0; i < words; i += 4) {
      if (view.getInt32(pos + i, true) !== view.getInt32(offset + i, true)) return false;
    }
    for (let i = words; i < length; i++) {
      if (buf[pos + i] !== buf[offset + i]) return false;
    }
    // One attribute more, and it is another start tag.
    const next = buf[pos + length] ?? 0;
    if (next >= RecordType.ShortAttribute && next < RecordType.ShortElement) return false;
    // Read record by record, it meets its limits at the right place.
    if (this.depth === 0 || this.depth + open > limits.maxDepth || this.elements + elements > limits.maxElements) {
      return false;
    }
    this.pos = pos + length;
    this.elements += elements;
    this.reopen(open);
    return true;
  }
}
