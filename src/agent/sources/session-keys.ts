/** The session keys of a directory's connections, newest first: a page in flight may need one of an earlier connection. */

/** An older one than the last eight can only be of a page that nobody works on any more. */
const MAX_KEYS = 8;

export class SessionKeys {
  readonly #keys: Uint8Array[] = [];

  /** Takes the key over: it is wiped when it is in nobody's use any more. */
  add(key: Uint8Array): void {
    const [newest] = this.#keys;
    if (newest !== undefined && Buffer.compare(newest, key) === 0) {
      key.fill(0);
      return;
    }
    this.#keys.unshift(key);
    for (const old of this.#keys.splice(MAX_KEYS)) old.fill(0);
  }

  list(): readonly Uint8Array[] {
    return [...this.#keys];
  }

  wipe(): void {
    for (const key of this.#keys.splice(0)) key.fill(0);
  }
}
