/** Row ids by connector and GUID, in memory: a flat hash table with open addressing, some 40 bytes an object. */

const GUID_SIZE = 16;
const FIRST_CAPACITY = 1024;

export class RecentKeys {
  /** Places, in the order of arrival; each is a GUID, its connector and its row, 0: it was taken out. */
  #guids = new Uint8Array(FIRST_CAPACITY * GUID_SIZE);
  #connectors = new Float64Array(FIRST_CAPACITY);
  #ids = new Float64Array(FIRST_CAPACITY);
  /** Place + 1, at most every second taken; 0: free. */
  #slots = new Int32Array(2 * FIRST_CAPACITY);
  #places = 0;

  /** Places that are taken, those of objects that were taken out again among them. */
  get size(): number {
    return this.#places;
  }

  get(connector: number, guid: Uint8Array): number | undefined {
    const place = this.#placeOf(connector, guid);
    return place === undefined ? undefined : this.#ids[place];
  }

  /** `guid`: of an object that is not there yet, 16 bytes. */
  add(connector: number, guid: Uint8Array, id: number): void {
    if (guid.length !== GUID_SIZE) throw new RangeError(`a GUID has ${GUID_SIZE} bytes, not ${guid.length}`);
    if (this.#places === this.#ids.length) this.#grow();
    const place = this.#places++;
    this.#guids.set(guid, place * GUID_SIZE);
    this.#connectors[place] = connector;
    this.#ids[place] = id;
    this.#enter(place);
  }

  delete(connector: number, guid: Uint8Array): void {
    const place = this.#placeOf(connector, guid);
    if (place !== undefined) this.#ids[place] = 0;
  }

  clear(): void {
    this.#places = 0;
    this.#slots.fill(0);
  }

  #placeOf(connector: number, guid: Uint8Array): number | undefined {
    const mask = this.#slots.length - 1;
    for (let slot = hash(guid, 0) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const place = this.#slots[slot]! - 1;
      if (this.#ids[place] !== 0 && this.#connectors[place] === connector && this.#hasGuid(place, guid)) return place;
    }
    return undefined;
  }

  #hasGuid(place: number, guid: Uint8Array): boolean {
    const from = place * GUID_SIZE;
    for (let i = 0; i < GUID_SIZE; i++) if (this.#guids[from + i] !== guid[i]) return false;
    return true;
  }

  #enter(place: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash(this.#guids, place * GUID_SIZE) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = place + 1;
  }

  #grow(): void {
    const capacity = 2 * this.#ids.length;
    const [guids, connectors, ids] = [this.#guids, this.#connectors, this.#ids];
    this.#guids = new Uint8Array(capacity * GUID_SIZE);
    this.#guids.set(guids);
    this.#connectors = new Float64Array(capacity);
    this.#connectors.set(connectors);
    this.#ids = new Float64Array(capacity);
    this.#ids.set(ids);
    this.#slots = new Int32Array(2 * capacity);
    for (let place = 0; place < this.#places; place++) this.#enter(place);
  }
}

/** Over all of the GUID: one domain controller's may differ in one field alone. */
function hash(bytes: Uint8Array, at: number): number {
  let h = load32le(bytes, at) ^ Math.imul(load32le(bytes, at + 4), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15) ^ load32le(bytes, at + 8), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13) ^ load32le(bytes, at + 12), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function load32le(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
