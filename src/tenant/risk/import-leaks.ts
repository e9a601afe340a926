/**
 * Leaked credentials: each pair's password goes through MD4 and PBKDF2 with the salt of the user's own credential; a match
 * puts the user at high risk. Pairs are never stored.
 */

import { timingSafeEqual } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { PhsyncError } from '../../hasher/errors.js';
import { DIGEST_SIZE, type Hasher, SALT_SIZE } from '../../hasher/types.js';
import type { AuditEntry, AuditLog } from '../audit/types.js';
import { userPrincipalNameKey } from '../store/store.js';
import { type BadLine, type LeakedPair, type PairFormat, readPairs } from './pairs.js';
import type { Candidate, RiskStore } from './risk-store.js';

export interface LeakCounts {
  /** Lines that are pairs. */
  pairs: number;
  badLines: number;
  /** No user of the tenant with a password has that name. */
  unknown: number;
  /** Found before password hash synchronization was switched on. */
  beforeSync: number;
  /** Hashed and compared. */
  checked: number;
  /** Pairs that are valid now. */
  matched: number;
  /** Users who were put at high risk by this import. */
  atRisk: number;
}

export interface ImportLeaksOptions {
  readonly input: Readable;
  readonly format: PairFormat;
  readonly delimiter: string;
  readonly risks: RiskStore;
  readonly hasher: Pick<Hasher, 'ntHashBatch' | 'deriveBatch'>;
  readonly audit: AuditLog;
  readonly log: Logger;
  /** Who imports, for the audit log. */
  readonly actor: string;
  readonly onBadLine?: (bad: BadLine) => void;
  readonly onProgress?: (counts: Readonly<LeakCounts>) => void;
  readonly signal?: AbortSignal;
}

/** Fills the hasher's lanes on many threads, and is little to hold. */
const BATCH = 4096;
/** Batches under way: while one is hashed the next is read and looked up. */
const UNDER_WAY = 3;

/**
 * @throws PhsyncError `leaks-sync-off` where password hash synchronization is off, `leaks-format`, and what store and
 *   hasher throw; what was found until then stands.
 */
export async function importLeaks(options: ImportLeaksOptions): Promise<LeakCounts> {
  const { input, format, delimiter, risks, onProgress, signal } = options;
  const since = await risks.passwordSyncSince();
  if (since === undefined) {
    throw new PhsyncError(
      'leaks-sync-off',
      'password hash synchronization is off: only pairs that arrive after it was switched on are checked',
    );
  }
  const counts: LeakCounts = { pairs: 0, badLines: 0, unknown: 0, beforeSync: 0, checked: 0, matched: 0, atRisk: 0 };
  const onBadLine = (bad: BadLine) => {
    counts.badLines++;
    options.onBadLine?.(bad);
  };
  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  const start = (batch: readonly LeakedPair[]) => {
    const work = checkBatch(batch, since, counts, options)
      .then(() => onProgress?.(counts))
      .catch((error) => {
        failure ??= error;
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
  };
  let batch: LeakedPair[] = [];
  try {
    for await (const pair of readPairs(input, { format, delimiter, onBadLine })) {
      counts.pairs++;
      batch.push(pair);
      if (batch.length < BATCH) continue;
      start(batch);
      batch = [];
      if (underWay.size >= UNDER_WAY) await Promise.race(underWay);
      signal?.throwIfAborted();
      if (failure !== undefined) break;
    }
    if (batch.length > 0 && failure === undefined) start(batch);
  } finally {
    await Promise.all(underWay);
  }
  if (failure !== undefined) throw failure;
  return counts;
}

async function checkBatch(
  pairs: readonly LeakedPair[],
  since: Date,
  counts: LeakCounts,
  options: ImportLeaksOptions,
): Promise<void> {
  const { risks } = options;
  const named = pairs
    .filter(({ found }) => found === undefined || found >= since)
    .map(({ name, password }) => ({ upnKey: userPrincipalNameKey(name), password }));
  counts.beforeSync += pairs.length - named.length;
  if (named.length === 0) return;
  const candidates = await risks.candidates([...new Set(named.map(({ upnKey }) => upnKey))]);
  const tries = named.flatMap(({ upnKey, password }) => {
    const candidate = candidates.get(upnKey);
    return candidate === undefined ? [] : [{ candidate, password }];
  });
  counts.unknown += named.length - tries.length;
  // One count for nearly all of a tenant's credentials; those of old clients have another.
  const byIterations = groupBy(tries, iterationsOf);
  for (const [iterations, group] of byIterations) {
    const matches = await matching(group, iterations, options);
    counts.checked += group.length;
    counts.matched += matches.length;
    for (const candidate of matches) if (await put(candidate, options)) counts.atRisk++;
  }
}

interface Try {
  readonly candidate: Candidate;
  readonly password: string;
}
const iterationsOf = ({ candidate }: Try) => candidate.iterations;

function groupBy<K, T>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

async function matching(
  tries: readonly Try[],
  iterations: number,
  { hasher }: ImportLeaksOptions,
): Promise<Candidate[]> {
  const ntHashes = await hasher.ntHashBatch(tries.map(({ password }) => password));
  try {
    const salts = new Uint8Array(tries.length * SALT_SIZE);
    for (const [i, { candidate }] of tries.entries()) salts.set(candidate.salt, i * SALT_SIZE);
    const { digests } = await hasher.deriveBatch({ ntHashes, salts, iterations });
    return tries.flatMap(({ candidate }, i) =>
      timingSafeEqual(digests.subarray(i * DIGEST_SIZE, (i + 1) * DIGEST_SIZE), candidate.hash) ? [candidate] : [],
    );
  } finally {
    ntHashes.fill(0);
  }
}

async function put(candidate: Candidate, { risks, audit, log, actor }: ImportLeaksOptions): Promise<boolean> {
  const { objectId, userPrincipalName } = candidate;
  const entry: AuditEntry = {
    actor: { kind: 'app', id: actor },
    activity: 'Leaked credentials detected',
    category: 'Risk',
    target: { kind: 'User', id: objectId, name: userPrincipalName },
    result: 'success',
    details: { riskLevel: 'high', riskState: 'atRisk' },
  };
  if (!(await risks.markLeaked(candidate, (within) => audit.record(entry, within)))) return false;
  log.warn({ objectId }, 'leaked credentials: the user is at high risk until the password changes');
  return true;
}
