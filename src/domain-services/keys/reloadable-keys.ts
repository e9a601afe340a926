/** The key ring that is in use, which another one may replace while the program runs. */

import type { Unwrap } from '../../provisioning/ad-auth-info.js';
import type { KeyRing, OpenKey } from './key-ring.js';

export class ReloadableKeys implements KeyRing {
  #ring: KeyRing;

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  get keys(): readonly OpenKey[] {
    return this.#ring.keys;
  }

  readonly unwrap: Unwrap = (thumbprint, encryptedKey) => this.#ring.unwrap(thumbprint, encryptedKey);

  /**
   * What `open` gives takes the place of the ring in use, whose keys finish what they have in hand and are closed. Where it
   * rejects, as this does then, nothing has changed.
   */
  async replace(open: () => Promise<KeyRing>): Promise<void> {
    const next = await open();
    const former = this.#ring;
    this.#ring = next;
    await former.close();
  }

  close(): Promise<void> {
    return this.#ring.close();
  }
}
