/** What PostgreSQL and its client report, as errors of the store's: without rows, parameters or the URL. */

import pg from 'pg';
import { PhsyncError } from '../../hasher/errors.js';

/**
 * PostgreSQL 15, appendix A: what the next try may not meet: serialization, deadlock, lock, time limit, shutdown, too
 * many connections, a broken connection (class 08).
 */
const BUSY = /^(40001|40P01|55P03|57014|57P01|57P02|57P03|53300|25P03|08\w{3})$/;
/** Of system calls: ECONNREFUSED, ENOTFOUND, EPIPE. */
const SYSTEM = /^E[A-Z]+$/;
/** pg 8 and pg-pool 3 give these no code. */
const CLIENT =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after)/;

export const UNIQUE_VIOLATION = '23505';

/** SQLSTATE, or the system's code. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return CLIENT.test(error.message) ? '08006' : undefined;
}

/** Of two transactions that met: the same once more may go through. */
export const isCollision = (error: unknown) => ['40001', '40P01'].includes(codeOf(error) ?? '');

/** DETAIL holds rows (`Failing row contains (…)`), and a message may end with a value in quotation marks. */
function withoutValues(cause: Error): Error {
  const message = cause.message.replace(/: ".*$/s, '');
  return Object.assign(new Error(message), { code: codeOf(cause) });
}

/** PhsyncError `store-busy` or `store-failed`; what did not come from the database stays as it is. */
export function translatedError(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof PhsyncError || code === undefined || !(error instanceof Error)) return error;
  const ofDatabase = error instanceof pg.DatabaseError;
  if (!ofDatabase && !SYSTEM.test(code) && !BUSY.test(code)) return error;
  const cause = withoutValues(error);
  if (BUSY.test(code) || !ofDatabase) {
    return new PhsyncError('store-busy', 'the tenant database cannot be reached or is busy; try again', { cause });
  }
  return new PhsyncError('store-failed', `the tenant database failed: ${cause.message}`, { cause });
}

/** PhsyncError `store-open` with the reason, or what it is already. */
export function openError(error: unknown): PhsyncError {
  if (error instanceof PhsyncError) return error;
  const cause = error instanceof Error ? withoutValues(error) : new Error('unknown reason');
  // Of several addresses that were tried (localhost) Node has the reasons within and no message.
  const inner =
    error instanceof AggregateError ? error.errors.map((each: Error) => each.message).join(', ') : undefined;
  const reason = inner ?? cause.message;
  return new PhsyncError('store-open', `cannot open the PostgreSQL database: ${reason}`, { cause });
}
