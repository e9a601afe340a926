/** Store, hasher or the thread that signs have too much to do, or are away for a moment: what every endpoint answers with 503 in its own shape. */

import { PhsyncError } from '../hasher/errors.js';

const CODES: ReadonlySet<string> = new Set(['store-busy', 'hasher-busy', 'token-signing']);

export const isBusy = (error: unknown): boolean => error instanceof PhsyncError && CODES.has(error.code);

/** Of endpoints that answer as OAuth does (RFC 6749, 4.1.2.1 has the name). */
export const BUSY_ANSWER = { error: 'temporarily_unavailable', error_description: 'Try again.' } as const;
/** Seconds. */
export const BUSY_RETRY_AFTER = '1';
