/** Reads the body of a provisioning request: what follows its first 64 KiB is kept only where those show an agent's token. */

import type { Readable } from 'node:stream';
import { MAX_MESSAGE_BYTES } from '../../provisioning/server-codec.js';

/** The SOAP header stands first and holds the token: ours has two KiB, one of Entra's in UTF-16 some twenty. */
const HEAD_BYTES = 64 * 1024;

/** With the status that the server's error handler answers with. */
class BodyError extends Error {
  override readonly name = 'BodyError';

  constructor(
    readonly statusCode: 400 | 413,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * The whole body or, where `isAgent` says no to its head, the head alone. The rest is read all the same, so that the
 * sender gets to read the answer. @throws BodyError 413 above MAX_MESSAGE_BYTES, 400 when the sender stops half-way.
 */
export async function readBody(
  payload: Readable,
  contentLength: string | undefined,
  isAgent: (head: Buffer) => Promise<boolean>,
): Promise<Buffer> {
  const tooLarge = () => new BodyError(413, 'Request body is too large');
  if (Number(contentLength) > MAX_MESSAGE_BYTES) throw tooLarge();
  let chunks: Buffer[] = [];
  let whole: Buffer | undefined;
  let size = 0;
  let keep: boolean | undefined;
  try {
    for await (const chunk of payload as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_MESSAGE_BYTES) {
        chunks = [];
        whole = undefined;
        continue;
      }
      if (whole !== undefined) {
        // More than was announced: no HTTP/1.1 server lets that through.
        if (chunk.copy(whole, size - chunk.length) < chunk.length) throw new Error('longer than its Content-Length');
        continue;
      }
      if (keep !== false) chunks.push(chunk);
      if (keep === undefined && size >= HEAD_BYTES) {
        chunks = [Buffer.concat(chunks)];
        keep = await isAgent(chunks[0]!);
        if (keep && Number(contentLength) >= size) {
          // One piece of memory for an agent's megabyte: joined at the end it would take two.
          whole = Buffer.allocUnsafe(Number(contentLength));
          chunks[0]!.copy(whole);
          chunks = [];
        }
      }
    }
  } catch (cause) {
    throw new BodyError(400, 'The request ended before its body did', { cause });
  }
  if (size > MAX_MESSAGE_BYTES) throw tooLarge();
  if (whole !== undefined && size < whole.length) throw new BodyError(400, 'The request ended before its body did');
  return whole ?? Buffer.concat(chunks);
}
