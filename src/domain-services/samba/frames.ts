/**
 * The frames between phsync and samba_writer, whose frames.py has the whole protocol: a length, a JSON document, and then the
 * secrets that it announces.
 */

import { PhsyncError } from '../../hasher/errors.js';

const LENGTH_BYTES = 4;
/** As in samba_writer/frames.py. */
const MAX_DOCUMENT = 32 * 1024 * 1024;

/** One buffer of its own for the whole frame, to be wiped after it was written. */
export function frame(document: unknown, secrets: readonly Uint8Array[] = []): Buffer {
  const text = Buffer.from(JSON.stringify(document));
  if (text.length > MAX_DOCUMENT) throw new RangeError(`a document of ${text.length} bytes, at most ${MAX_DOCUMENT}`);
  const size = secrets.reduce((sum, secret) => sum + secret.length, LENGTH_BYTES + text.length);
  // Not from the pool, which other buffers share.
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32BE(text.length);
  let at = LENGTH_BYTES + text.copy(bytes, LENGTH_BYTES);
  for (const secret of secrets) {
    bytes.set(secret, at);
    at += secret.length;
  }
  return bytes;
}

/** Puts documents together from the pieces that arrive. */
export class DocumentReader {
  #pieces: Buffer[] = [];
  #size = 0;

  /** The documents that are complete with this piece. @throws PhsyncError `managed-domain-helper` */
  push(piece: Buffer): unknown[] {
    this.#pieces.push(piece);
    this.#size += piece.length;
    const documents: unknown[] = [];
    for (let next = this.#next(); next !== undefined; next = this.#next()) documents.push(next);
    return documents;
  }

  #next(): unknown {
    if (this.#size < LENGTH_BYTES) return undefined;
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#size);
    this.#pieces = [bytes];
    const length = bytes.readUInt32BE();
    if (length > MAX_DOCUMENT) throw malformed(`a document of ${length} bytes`);
    const end = LENGTH_BYTES + length;
    if (bytes.length < end) return undefined;
    this.#pieces = [bytes.subarray(end)];
    this.#size = bytes.length - end;
    try {
      return JSON.parse(bytes.toString('utf8', LENGTH_BYTES, end));
    } catch (cause) {
      throw malformed('what is no JSON', cause);
    }
  }
}

const malformed = (what: string, cause?: unknown) =>
  new PhsyncError('managed-domain-helper', `the helper on the domain controller answers with ${what}`, { cause });
