/** A byte stream to the peer, handed to the RPC client: it opens no socket itself. */

export interface Transport {
  /** Who is at the other end, for messages: `dc1.phs.test (127.0.0.1:49153)`. */
  readonly peer: string;
  /** Resolves when the bytes are handed to the system. Rejects when the stream is broken or closed. */
  send(bytes: Uint8Array): Promise<void>;
  /** The next bytes, in pieces of any size; `undefined` at the peer's orderly end. Rejects when broken or timed out. */
  receive(): Promise<Uint8Array | undefined>;
  /** Ends both directions at once; a pending `receive` settles. Never throws, may be called again. */
  close(): void;
}
