/** Who else in the state has a source anchor: an account of another connector's directory, or a second one of its own. */

import type Database from 'better-sqlite3';
import { guidFromText } from '../../protocol/dtyp/guid.js';
import type { Peer } from '../decision.js';
import type { ObjectKeys } from './object-keys.js';
import { RowFlag } from './rows.js';

interface PeerRow {
  readonly connector: number;
  readonly guid: Uint8Array;
  readonly cloudAnchor: string;
  readonly flags: number;
  readonly passwordChanged: number | null;
}

const COLUMNS = 'connector, guid, cloud_anchor AS cloudAnchor, flags, password_changed AS passwordChanged';

/** What all connectors of a state share. */
export class SourceAnchors {
  /** Some object has a source anchor that is not its objectGUID. */
  any: boolean;
  readonly #keys: ObjectKeys;
  readonly #byAnchor: Database.Statement;
  readonly #byId: Database.Statement;

  constructor(db: Database.Database, keys: ObjectKeys) {
    this.#keys = keys;
    this.any = db.prepare('SELECT EXISTS (SELECT 1 FROM object WHERE source_anchor IS NOT NULL)').pluck().get() === 1;
    this.#byAnchor = db.prepare(
      `SELECT ${COLUMNS} FROM object WHERE source_anchor = ? AND cloud_anchor IS NOT NULL ORDER BY id`,
    );
    this.#byId = db.prepare(
      `SELECT ${COLUMNS} FROM object WHERE id = ? AND source_anchor IS NULL AND cloud_anchor IS NOT NULL`,
    );
  }

  /** `anchor` null: the objectGUID. `connectors`: whose objects count, the asking one's among them. */
  peer(anchor: Uint8Array | null, guidText: string, own: number, connectors: ReadonlySet<number>): Peer | undefined {
    if (anchor === null && !this.any) return undefined;
    const guid = guidFromText(guidText);
    const rows = this.#byAnchor.all(anchor ?? guid) as PeerRow[];
    if (anchor !== null) {
      for (const connector of connectors) {
        const id = this.#keys.idOf(connector, anchor);
        if (id !== undefined) rows.push(...(this.#byId.all(id) as PeerRow[]));
      }
    }
    const others = rows.filter(
      (row) => connectors.has(row.connector) && !(row.connector === own && Buffer.compare(row.guid, guid) === 0),
    );
    // Of several an enabled account: it decides what the tenant shows.
    const row = others.find(({ flags }) => (flags & RowFlag.disabled) === 0) ?? others[0];
    if (row === undefined) return undefined;
    const { connector, cloudAnchor, flags, passwordChanged } = row;
    const disabled = (flags & RowFlag.disabled) !== 0;
    return { own: connector === own, connector, guid: row.guid, cloudAnchor, disabled, passwordChanged };
  }
}

/**
 * Source anchors of users who are on their way to the tenant: what two connectors tell of one user does not overtake
 * each other.
 */
export class AnchorClaims {
  readonly #claims = new Map<string, { readonly owner: object; readonly released: Promise<void>; free(): void }>();

  /** Undefined: claimed. Otherwise resolves when it is worth asking again. */
  claim(anchor: string, owner: object): Promise<void> | undefined {
    const held = this.#claims.get(anchor);
    if (held !== undefined) return held.released;
    let free = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      free = resolve;
    });
    this.#claims.set(anchor, { owner, released, free });
    return undefined;
  }

  release(anchor: string, owner: object): void {
    const held = this.#claims.get(anchor);
    if (held?.owner !== owner) return;
    this.#claims.delete(anchor);
    held.free();
  }

  releaseAll(owner: object): void {
    for (const [anchor, held] of this.#claims) if (held.owner === owner) this.release(anchor, owner);
  }
}
