/** The facade's argument checks, the same for both backends: `TypeError` for a wrong kind, `RangeError` for a wrong value. */

import { types } from 'node:util';
import {
  type DeriveBatchInput,
  ENVELOPE_SIZE,
  MAX_ITERATIONS,
  MAX_SESSION_KEY_SIZE,
  MAX_SESSION_KEYS,
  NT_HASH_SIZE,
  type OpenAndDeriveBatchInput,
  SALT_SIZE,
} from './types.js';

/** What came, in a word, never its content: the value may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return Array.isArray(value) ? 'an array' : (value.constructor?.name ?? 'an object');
}

/** An object with no other properties than `known`: a misspelt one would change nothing, and nobody would know. */
export function checkObject(name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name}: expected an object, got ${kindOf(value)}`);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(
        `${name}: unknown property ${JSON.stringify(key.slice(0, 40))}; expected ${known.join(', ')}`,
      );
    }
  }
}

export function checkUint8Array(name: string, value: unknown): asserts value is Uint8Array {
  // By kind and not by `instanceof`: arrays of another realm (a vm context) are as good.
  if (!types.isUint8Array(value)) throw new TypeError(`${name}: expected a Uint8Array, got ${kindOf(value)}`);
}

/** A Uint8Array of exactly `size` bytes. */
export function checkBytes(name: string, value: unknown, size: number): asserts value is Uint8Array {
  checkUint8Array(name, value);
  if (value.length !== size) throw new RangeError(`${name}: expected ${size} bytes, got ${value.length}`);
}

/** What stands where a password may stand, too. */
export function checkNtHash(name: string, value: unknown): asserts value is Uint8Array {
  if (!types.isUint8Array(value)) {
    throw new TypeError(`${name}: expected a password (a string) or an NT hash (a Uint8Array), got ${kindOf(value)}`);
  }
  if (value.length !== NT_HASH_SIZE) {
    throw new RangeError(`${name}: expected an NT hash of ${NT_HASH_SIZE} bytes, got ${value.length}`);
  }
}

/** Flat items of `size` bytes; returns how many. */
function countItems(name: string, value: unknown, size: number): number {
  checkUint8Array(name, value);
  if (value.length % size !== 0) {
    throw new RangeError(`${name}: expected a multiple of ${size} bytes, got ${value.length}`);
  }
  return value.length / size;
}

export function checkInteger(name: string, value: unknown, least: number, most: number): asserts value is number {
  if (typeof value !== 'number') throw new TypeError(`${name}: expected a number, got ${kindOf(value)}`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name}: expected an integer from ${least} to ${most}, got ${value}`);
  }
}

export function checkIterations(name: string, value: unknown): asserts value is number {
  checkInteger(name, value, 1, MAX_ITERATIONS);
}

/** An AbortSignal or what is like it, of another realm for example. */
export function checkSignal(name: string, value: unknown): void {
  const signal = (value ?? {}) as Partial<AbortSignal>;
  const methods = [signal.addEventListener, signal.removeEventListener, signal.throwIfAborted];
  if (typeof signal.aborted !== 'boolean' || methods.some((method) => typeof method !== 'function')) {
    throw new TypeError(`${name}: expected an AbortSignal, got ${kindOf(value)}`);
  }
}

function checkOptions(input: { salts?: Uint8Array; iterations?: number; signal?: AbortSignal }, n: number): void {
  if (input.signal !== undefined) checkSignal('signal', input.signal);
  if (input.salts !== undefined) checkBytes('salts', input.salts, n * SALT_SIZE);
  if (input.iterations !== undefined) checkIterations('iterations', input.iterations);
}

/** Checks a `deriveBatch` and returns how many items it has. */
export function checkDeriveBatch(input: DeriveBatchInput): number {
  checkObject('input', input, ['ntHashes', 'salts', 'iterations', 'signal']);
  const n = countItems('ntHashes', input.ntHashes, NT_HASH_SIZE);
  checkOptions(input, n);
  return n;
}

/** `sessionKeys` of a batch: 1 to 64 keys of 1 to 64 bytes. */
export function checkSessionKeys(keys: unknown): void {
  if (!Array.isArray(keys)) throw new TypeError(`sessionKeys: expected an array, got ${kindOf(keys)}`);
  if (keys.length < 1 || keys.length > MAX_SESSION_KEYS) {
    throw new RangeError(`sessionKeys: expected 1 to ${MAX_SESSION_KEYS} keys, got ${keys.length}`);
  }
  // Not forEach: it would pass over holes.
  for (const [i, key] of keys.entries()) {
    checkUint8Array(`sessionKeys[${i}]`, key);
    if (key.length < 1 || key.length > MAX_SESSION_KEY_SIZE) {
      throw new RangeError(`sessionKeys[${i}]: expected 1 to ${MAX_SESSION_KEY_SIZE} bytes, got ${key.length}`);
    }
  }
}

function countEnvelopes(envelopes: unknown): number {
  if (!Array.isArray(envelopes)) return countItems('envelopes', envelopes, ENVELOPE_SIZE);
  for (const [i, envelope] of envelopes.entries()) checkUint8Array(`envelopes[${i}]`, envelope);
  return envelopes.length;
}

/** Checks an `openAndDeriveBatch` and returns how many items it has. An envelope's length is the item's own affair. */
export function checkOpenAndDeriveBatch(input: OpenAndDeriveBatchInput): number {
  checkObject('input', input, ['sessionKeys', 'envelopes', 'rids', 'salts', 'iterations', 'signal']);
  checkSessionKeys(input.sessionKeys);
  const n = countEnvelopes(input.envelopes);
  if (!types.isUint32Array(input.rids)) {
    throw new TypeError(`rids: expected a Uint32Array, got ${kindOf(input.rids)}`);
  }
  if (input.rids.length !== n) throw new RangeError(`rids: expected ${n}, one an envelope, got ${input.rids.length}`);
  checkOptions(input, n);
  return n;
}

export function checkString(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw new TypeError(`${name}: expected a string, got ${kindOf(value)}`);
}

export function checkBoolean(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name}: expected a boolean, got ${kindOf(value)}`);
}
