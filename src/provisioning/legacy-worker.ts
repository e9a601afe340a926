/** A piscina worker of the legacy sealer: one slice of users at a time, in memory that all threads share. */

import { randomFillSync } from 'node:crypto';
import { openBackend } from '../hasher/open-backend.js';
import { serve } from '../hasher/serve.js';
import type { KernelChoice } from '../hasher/types.js';
import { type Recipient, recipientOf } from './ad-auth-info.js';
import { type SealSlice, sealSlice } from './seal-slice.js';

/** A slice, and what it is sealed with. */
export interface LegacySlice extends SealSlice {
  /** undefined: the fallback. */
  readonly kernel: KernelChoice | undefined;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** Of the last certificate: reading one takes as long as sealing for it a few times. */
let last: { readonly certificate: Uint8Array; readonly recipient: Recipient } | undefined;

function recipient(certificate: Uint8Array): Recipient {
  if (last === undefined || Buffer.compare(last.certificate, certificate) !== 0) {
    last = { certificate, recipient: recipientOf(certificate) };
  }
  return last.recipient;
}

export const run = serve<LegacySlice>('sealer', (slice) =>
  sealSlice(openBackend(slice.kernel), recipient(slice.certificate), slice, (bytes) => randomFillSync(bytes)),
);
