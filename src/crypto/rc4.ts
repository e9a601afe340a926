/** RC4 (RFC 6229 has its vectors), as a running stream: OpenSSL 3 keeps it in a provider that is not loaded. */

/** One key stream; each `process` goes on where the last one ended. */
export class Rc4 {
  readonly #state = new Uint8Array(256);
  #i = 0;
  #j = 0;

  /** @throws RangeError unless the key has 1 to 256 bytes. The key stays the caller's. */
  constructor(key: Uint8Array) {
    this.setKey(key);
  }

  /** Starts anew under another key, which spares the allocation. Throws as the constructor does. */
  setKey(key: Uint8Array): this {
    if (key.length < 1 || key.length > 256) {
      throw new RangeError(`an RC4 key has 1 to 256 bytes, not ${key.length}`);
    }
    const s = this.#state;
    for (let i = 0; i < 256; i++) {
      s[i] = i;
    }
    for (let i = 0, j = 0, k = 0; i < 256; i++) {
      const x = s[i]!;
      j = (j + x + key[k]!) & 255;
      s[i] = s[j]!;
      s[j] = x;
      // A remainder costs half as much again as all the rest.
      if (++k === key.length) k = 0;
    }
    this.#i = 0;
    this.#j = 0;
    return this;
  }

  /** Encrypts or decrypts `bytes[from, to)` in place. */
  process(bytes: Uint8Array, from = 0, to = bytes.length): void {
    const s = this.#state;
    let i = this.#i;
    let j = this.#j;
    for (let at = from; at < to; at++) {
      i = (i + 1) & 255;
      const x = s[i]!;
      j = (j + x) & 255;
      const y = s[j]!;
      s[i] = y;
      s[j] = x;
      bytes[at] = bytes[at]! ^ s[(x + y) & 255]!;
    }
    this.#i = i;
    this.#j = j;
  }

  /** Forgets the key; the stream is useless from then on. */
  wipe(): void {
    this.#state.fill(0);
    this.#i = 0;
    this.#j = 0;
  }
}
