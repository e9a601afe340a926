/** Numbers that look random and are the same for the same seed; nothing secret hangs on them. */

/** 32 bits from 32 bits, each output bit depending on all of the input's (MurmurHash3's finalizer). */
export function mix32(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The `stream`-th number of `seed`. */
export function draw32(seed: number, stream: number): number {
  return mix32(mix32(seed ^ 0x9e3779b9) + Math.imul(stream, 0x9e3779b1));
}

/** Greatest common divisor. */
function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/**
 * The order in which `n` things (at most 2²⁶: products must stay exact) take their turns, over and over: turn k is thing
 * (a·k + b) mod n. O(1) both ways.
 */
export class Rotation {
  readonly #n: number;
  readonly #a: number;
  readonly #inverse: number;
  readonly #b: number;

  constructor(n: number, seed: number) {
    this.#n = n;
    let a = (draw32(seed, 1) % n) | 1;
    while (gcd(a, n) !== 1) a++;
    this.#a = a % n || 1;
    this.#b = draw32(seed, 2) % n;
    this.#inverse = inverseOf(this.#a, n);
  }

  /** Whose turn `k` is. */
  at(k: number): number {
    return (this.#a * (k % this.#n) + this.#b) % this.#n;
  }

  /** How many of the first `turns` turns were `thing`'s, and which was the last (undefined: none). */
  turnsOf(thing: number, turns: number): { readonly count: number; readonly last: number | undefined } {
    const n = this.#n;
    const first = (this.#inverse * ((thing - this.#b + n) % n)) % n;
    if (turns <= first) return { count: 0, last: undefined };
    const count = Math.floor((turns - 1 - first) / n) + 1;
    return { count, last: first + (count - 1) * n };
  }
}

/** The inverse of `a` modulo `n` (extended Euclid); `a` and `n` are coprime. */
function inverseOf(a: number, n: number): number {
  let [r0, r1, t0, t1] = [n, a % n, 0, 1];
  while (r1 !== 0) {
    const q = Math.floor(r0 / r1);
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  return n === 1 ? 0 : ((t0 % n) + n) % n;
}
