/** What the addon refuses, and how: TypeError for a wrong kind, RangeError for a wrong value. */

import { describe, expect, it } from 'vitest';
import type { NativeAddon } from '#src/hasher/backend.js';
import type { KernelName } from '#src/hasher/types.js';
import { addon, painted } from './addon.js';

type Call = keyof Omit<NativeAddon, 'kernels'>;
type Refusal = [
  name: string,
  index: number,
  value: unknown,
  error: typeof TypeError | typeof RangeError,
  message: RegExp,
];

const bytes = (n: number) => painted(n);
const offsets = (...at: number[]) => new Uint32Array(at);

/** Arguments that work, made anew for each test. */
const good: Record<Call, () => unknown[]> = {
  md4Batch: () => ['portable', bytes(5), offsets(0, 2, 5), bytes(32)],
  md5Batch: () => ['portable', bytes(5), offsets(0, 2, 5), bytes(32)],
  hmacSha256Batch: () => ['portable', bytes(5), offsets(0, 2, 5), bytes(7), offsets(0, 0, 7), bytes(64)],
  pbkdf2Batch: () => ['portable', bytes(5), offsets(0, 2, 5), bytes(7), offsets(0, 0, 7), 2, 20, bytes(40)],
  deriveBatch: () => ['portable', bytes(32), bytes(20), 2, bytes(64)],
  openAndDeriveBatch: () => [
    'portable',
    bytes(16),
    offsets(0, 16),
    bytes(72),
    offsets(500, 501),
    bytes(20),
    2,
    bytes(64),
    new Uint8Array(2),
  ],
  // Envelopes that are too short: an item's own affair, and its status.
  openBatch: () => [
    'portable',
    bytes(16),
    offsets(0, 16),
    bytes(5),
    offsets(0, 2, 5),
    offsets(500, 501),
    bytes(5),
    new Uint8Array(2),
  ],
};

const badOffsets = (index: number, name: string): Refusal[] => [
  ['a plain array for offsets', index, [0, 2, 5], TypeError, new RegExp(`${name} must be a Uint32Array`)],
  ['no offsets', index, offsets(), RangeError, new RegExp(`${name} must hold`)],
  ['offsets past the end', index, offsets(0, 2, 6), RangeError, new RegExp(`${name} must end within`)],
  ['offsets that descend', index, offsets(3, 2, 5), RangeError, new RegExp(`${name} must not descend`)],
  ['offsets that descend after a leap', index, offsets(0, 0xffffffff, 5), RangeError, new RegExp(`${name} must not`)],
];
const badIterations = (index: number, above: number): Refusal[] => [
  ['iterations as text', index, '2', TypeError, /iterations must be a number/],
  ...[0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, above].map(
    (value): Refusal => [`${value} iterations`, index, value, RangeError, /iterations must be an integer from 1 to/],
  ),
];

const badSessionKeys: Refusal[] = [
  ['no session keys', 2, offsets(0), RangeError, /must describe 1 to 64 keys, got 0/],
  ['an empty session key', 2, offsets(0, 0), RangeError, /session key 0 must have 1 to 64 bytes, got 0/],
  ['65 session keys', 2, new Uint32Array(66), RangeError, /must describe 1 to 64 keys, got 65/],
];

const refusals: Record<Call, Refusal[]> = {
  md4Batch: [
    ['text for bytes', 1, 'abcde', TypeError, /bytes must be a Uint8Array/],
    ['a wider array for bytes', 1, offsets(1, 2), TypeError, /bytes must be a Uint8Array/],
    ['a DataView for bytes', 1, new DataView(new ArrayBuffer(5)), TypeError, /bytes must be a Uint8Array/],
    ...badOffsets(2, 'offsets'),
    ['digests that are too short', 3, bytes(31), RangeError, /digests must hold 2 x 16 bytes, got 31/],
    ['digests that are too long', 3, bytes(48), RangeError, /digests must hold 2 x 16 bytes, got 48/],
  ],
  md5Batch: [['no digests', 3, undefined, TypeError, /digests must be a Uint8Array/]],
  hmacSha256Batch: [
    ...badOffsets(2, 'keyOffsets'),
    ['more messages than keys', 4, offsets(0, 0, 3, 7), RangeError, /messageOffsets must describe 2 items, got 3/],
    ['digests that are too short', 5, bytes(63), RangeError, /digests must hold 2 x 32 bytes/],
  ],
  pbkdf2Batch: [
    ...badOffsets(2, 'passwordOffsets'),
    ['fewer salts than passwords', 4, offsets(0, 7), RangeError, /saltOffsets must describe 2 items, got 1/],
    ...badIterations(5, 2 ** 31),
    ...[0, -1, 0.5, Number.NaN, 2 ** 31, 2 ** 53].map(
      (value): Refusal => [`a dkLen of ${value}`, 6, value, RangeError, /dkLen must be an integer from 1 to/],
    ),
    ['another dkLen than the output has', 6, 21, RangeError, /derivedKeys must hold 2 x 21 bytes, got 40/],
  ],
  deriveBatch: [
    ['a broken NT hash', 1, bytes(31), RangeError, /ntHashes must hold a multiple of 16 bytes, got 31/],
    ['too few salts', 2, bytes(10), RangeError, /salts must hold 2 x 10 bytes, got 10/],
    ...badIterations(3, 1_000_000),
    ['digests that are too short', 4, bytes(32), RangeError, /digests must hold 2 x 32 bytes, got 32/],
  ],
  openAndDeriveBatch: [
    ...badSessionKeys,
    ['a broken envelope', 3, bytes(71), RangeError, /envelopes must hold 2 x 36 bytes, got 71/],
    ['RIDs as bytes', 4, bytes(2), TypeError, /rids must be a Uint32Array/],
    ['too few RIDs', 4, offsets(500), RangeError, /envelopes must hold 1 x 36 bytes, got 72/],
    ['too few salts', 5, bytes(19), RangeError, /salts must hold 2 x 10 bytes, got 19/],
    ...badIterations(6, 1_000_000),
    ['digests that are too short', 7, bytes(63), RangeError, /digests must hold 2 x 32 bytes, got 63/],
    ['too few statuses', 8, bytes(1), RangeError, /status must hold 2 x 1 bytes, got 1/],
  ],
  openBatch: [
    ...badSessionKeys,
    ...badOffsets(4, 'envelopeOffsets'),
    ['undefined for RIDs', 5, undefined, TypeError, /rids must be a Uint32Array/],
    ['RIDs as bytes', 5, bytes(2), TypeError, /rids must be a Uint32Array/],
    ['too few RIDs', 5, offsets(500), RangeError, /rids must describe 2 items, got 1/],
    ['data that are too short', 6, bytes(4), RangeError, /data must hold at least the 5 bytes of the envelopes, got 4/],
    ['too few statuses', 7, bytes(1), RangeError, /status must hold 2 x 1 bytes, got 1/],
    ['too many statuses', 7, bytes(3), RangeError, /status must hold 2 x 1 bytes, got 3/],
  ],
};

const call = (name: Call, args: unknown[]) => (addon[name] as (...args: unknown[]) => void)(...args);

describe.each(Object.keys(good) as Call[])('%s', (name) => {
  it('takes good arguments, with every choice of kernel', () => {
    const [, ...rest] = good[name]();
    for (const kernel of Object.keys(addon.kernels().lanes)) call(name, [kernel, ...rest]);
  });

  it('refuses a kernel that is no text, unknown, or of another case', () => {
    const [, ...rest] = good[name]();
    expect(() => call(name, [undefined, ...rest])).toThrow(new TypeError('kernel must be a string'));
    for (const kernel of ['', 'Portable', 'fallback', 'portable\0', 'Auto', 'auto:1', 'portable:', 'portable:2']) {
      expect(() => call(name, [kernel, ...rest])).toThrow(RangeError);
    }
  });

  it('refuses missing arguments', () => {
    const args = good[name]();
    for (let n = 0; n < args.length; n++) expect(() => call(name, args.slice(0, n))).toThrow(TypeError);
  });

  it.each(refusals[name])('refuses %s', (_, index, value, error, message) => {
    const args = good[name]();
    args[index] = value;
    expect(() => call(name, args)).toThrow(error);
    expect(() => call(name, args)).toThrow(message);
  });
});

it('refuses a session key of 65 bytes', () => {
  const args = good.openAndDeriveBatch();
  args[1] = bytes(65);
  args[2] = offsets(0, 65);
  expect(() => call('openAndDeriveBatch', args)).toThrow(/session key 0 must have 1 to 64 bytes, got 65/);
});

it('refuses a view whose buffer was transferred away, with an item count of zero', () => {
  const view = new Uint8Array(32);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  expect(() => addon.deriveBatch('portable', view, bytes(20), 2, bytes(64))).toThrow(RangeError);
});

it('refuses a kernel that is compiled in and not supported', (context) => {
  const { compiled, supported } = addon.kernels();
  const missing = compiled.filter((kernel) => !supported.includes(kernel));
  context.skip(missing.length === 0, 'this CPU runs every kernel of this build');
  for (const kernel of missing) {
    expect(() => addon.md5Batch(kernel as KernelName, bytes(0), offsets(0), bytes(0))).toThrow(/not supported/);
  }
});
