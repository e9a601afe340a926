/** Batches of the feed with real seals and a real key: order, what is opened ahead, and what is wiped when. */

import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type OpenedBatch, openedBatches } from '#src/domain-services/open-batch.js';
import { PhsyncError } from '#src/hasher/errors.js';
import {
  legacyPlaintext,
  newSealedKey,
  recipientOf,
  sealAdAuthInfo,
  type Unwrap,
  unwrapWith,
} from '#src/provisioning/ad-auth-info.js';
import type { FeedChange } from '#src/provisioning/domain-services-feed.js';
import { makeCertificate } from './keys/certificates.js';

let directory: string;
let real: Unwrap;
const hashes = Array.from({ length: 450 }, () => randomBytes(16).toString('hex'));
let changes: FeedChange[];
/** What was wiped, as it was before. */
const wiped = new Set<string>();
let opened = 0;
const counted: Unwrap = (thumbprint, encryptedKey) => {
  opened += 1;
  return real(thumbprint, encryptedKey);
};

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'phsync-batches.'));
  const { der, plainKey } = makeCertificate(directory, 'now', 'of the tests');
  const key = createPrivateKey(readFileSync(plainKey));
  const recipient = recipientOf(der);
  real = (_, encryptedKey) => unwrapWith(key, encryptedKey);
  changes = hashes.map((hash, i) => ({
    id: `00000000-0000-0000-0000-${String(i).padStart(12, '0')}`,
    userPrincipalName: `u${i}@phs.test`,
    displayName: null,
    givenName: null,
    surname: null,
    mail: null,
    mailNickname: `u${i}`,
    accountEnabled: true,
    passwordPolicies: null,
    onPremisesSamAccountName: null,
    onPremisesSecurityIdentifier: null,
    onPremisesDomainName: null,
    onPremisesNetBiosName: null,
    credentials: {
      changeDate: '2026-05-01T00:00:00Z',
      windowsLegacyCredentials: sealAdAuthInfo(
        legacyPlaintext(Buffer.from(hash, 'hex')),
        recipient,
        newSealedKey(recipient),
      ).toString('base64'),
      windowsSupplementalCredentials: null,
    },
  }));
  const { fill } = Buffer.prototype;
  vi.spyOn(Buffer.prototype, 'fill').mockImplementation(function (this: Buffer, ...args: unknown[]) {
    if (this.length === 16) wiped.add(this.toString('hex'));
    return Reflect.apply(fill, this, args);
  });
});
afterEach(() => {
  wiped.clear();
  opened = 0;
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

const hashesOf = (batch: OpenedBatch) =>
  batch.opened.map(({ change }) => (change.kind === 'user' ? change.secrets!.ntHash.toString('hex') : undefined));
const zeros = '00'.repeat(16);
/** Until everything that is opened ahead is. */
async function openedAre(count: number): Promise<void> {
  while (opened < count) await sleep(1);
}

it('opens the next batch while the present one is worked on, in order, and wipes each when the next is asked for', async () => {
  const batches: OpenedBatch[] = [];
  for await (const batch of openedBatches(changes, counted)) {
    const before = batches.flatMap(({ opened }) => opened).length;
    expect(hashesOf(batch)).toEqual(hashes.slice(before, before + batch.opened.length));
    for (const done of batches) expect(new Set(hashesOf(done))).toEqual(new Set([zeros]));
    batches.push(batch);
    // Nobody asked for more than this one.
    await openedAre(Math.min(before + 2 * 200, changes.length));
    expect(opened).toBe(Math.min(before + 2 * 200, changes.length));
  }
  expect(batches.map(({ changes }) => changes.length)).toEqual([200, 200, 50]);
  expect([...wiped]).toEqual(expect.arrayContaining(hashes));
});

it('wipes what was opened ahead where nobody wants it', async () => {
  const writing = async () => {
    for await (const _ of openedBatches(changes, counted)) throw new Error('the domain controller is away');
  };
  await expect(writing()).rejects.toThrow('the domain controller is away');
  expect(opened).toBe(400);
  expect([...wiped]).toEqual(expect.arrayContaining(hashes.slice(0, 400)));
});

it('has what was opened before a key went away be written, and wipes the rest', async () => {
  const unavailable = new PhsyncError('domain-services-key-unavailable', 'the token does not answer');
  const goesAway: Unwrap = (...args) => {
    if (opened === 250) throw unavailable;
    return counted(...args);
  };
  const written: number[] = [];
  const writing = async () => {
    for await (const batch of openedBatches(changes, goesAway)) {
      await openedAre(250);
      written.push(batch.opened.length);
    }
  };
  await expect(writing()).rejects.toBe(unavailable);
  expect(written).toEqual([200]);
  expect([...wiped]).toEqual(expect.arrayContaining(hashes.slice(0, 250)));
});
