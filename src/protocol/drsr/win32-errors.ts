/** Win32 status numbers that a DRS call returns (MS-ERREF 2.2; MS-DRSR names them per method). */

import { ProtocolError } from '../errors.js';

interface Meaning {
  readonly code: string;
  readonly name: string;
  readonly hint: string;
}

const GET_CHANGES_RIGHTS =
  'the account lacks "Replicating Directory Changes" (DS-Replication-Get-Changes) or ' +
  '"Replicating Directory Changes All" (DS-Replication-Get-Changes-All) on the domain head; both are needed';

const MEANINGS = new Map<number, Meaning>([
  [
    5,
    { code: 'access-denied', name: 'ERROR_ACCESS_DENIED', hint: 'packet privacy and a permitted account are needed' },
  ],
  [8, { code: 'dc-out-of-memory', name: 'ERROR_NOT_ENOUGH_MEMORY', hint: 'the server is out of memory' }],
  [14, { code: 'dc-out-of-memory', name: 'ERROR_OUTOFMEMORY', hint: 'the server is out of memory' }],
  [
    87,
    { code: 'invalid-parameter', name: 'ERROR_INVALID_PARAMETER', hint: 'the server refuses the request as formed' },
  ],
  [
    1306,
    { code: 'revision-mismatch', name: 'ERROR_REVISION_MISMATCH', hint: 'the server refuses the request version' },
  ],
  [8333, { code: 'object-not-found', name: 'ERROR_DS_OBJ_NOT_FOUND', hint: 'no such object, or no right to see it' }],
  [8344, { code: 'access-denied', name: 'ERROR_DS_INSUFF_ACCESS_RIGHTS', hint: 'the account lacks a right' }],
  [8418, { code: 'schema-mismatch', name: 'ERROR_DS_DRA_SCHEMA_MISMATCH', hint: 'the schemas differ' }],
  [8420, { code: 'naming-context-not-found', name: 'ERROR_DS_CANT_FIND_EXPECTED_NC', hint: 'no such naming context' }],
  [8437, { code: 'invalid-parameter', name: 'ERROR_DS_DRA_INVALID_PARAMETER', hint: 'the request contradicts itself' }],
  [8438, { code: 'dc-busy', name: 'ERROR_DS_DRA_BUSY', hint: 'the server is busy, try again later' }],
  [8439, { code: 'bad-distinguished-name', name: 'ERROR_DS_DRA_BAD_DN', hint: 'the name is no DN of an object here' }],
  [8440, { code: 'bad-naming-context', name: 'ERROR_DS_DRA_BAD_NC', hint: 'the name is no naming context here' }],
  [8442, { code: 'dc-internal-error', name: 'ERROR_DS_DRA_INTERNAL_ERROR', hint: 'the server failed inside' }],
  [8446, { code: 'dc-out-of-memory', name: 'ERROR_DS_DRA_OUT_OF_MEM', hint: 'the server is out of memory' }],
  [8451, { code: 'dc-database-error', name: 'ERROR_DS_DRA_DB_ERROR', hint: "the server's database failed" }],
  [8452, { code: 'no-replica', name: 'ERROR_DS_DRA_NO_REPLICA', hint: 'the server has no replica of it' }],
  [8453, { code: 'replication-access-denied', name: 'ERROR_DS_DRA_ACCESS_DENIED', hint: GET_CHANGES_RIGHTS }],
  [8454, { code: 'not-supported', name: 'ERROR_DS_DRA_NOT_SUPPORTED', hint: 'the server does not offer this' }],
  [8456, { code: 'source-disabled', name: 'ERROR_DS_DRA_SOURCE_DISABLED', hint: 'outbound replication is disabled' }],
  [8457, { code: 'destination-disabled', name: 'ERROR_DS_DRA_SINK_DISABLED', hint: 'inbound replication is disabled' }],
  [8461, { code: 'dc-busy', name: 'ERROR_DS_DRA_PREEMPTED', hint: 'preempted by other work, try again later' }],
  [8463, { code: 'dc-shutting-down', name: 'ERROR_DS_DRA_SHUTDOWN', hint: 'the server is shutting down' }],
  [
    8464,
    {
      code: 'incompatible-attribute-set',
      name: 'ERROR_DS_DRA_INCOMPATIBLE_PARTIAL_SET',
      hint: 'the partial attribute set does not fit the replica',
    },
  ],
  [
    8593,
    {
      code: 'replication-epoch-mismatch',
      name: 'ERROR_DS_DIFFERENT_REPL_EPOCHS',
      hint: 'the replication epochs differ (a renamed domain)',
    },
  ],
  [
    8594,
    {
      code: 'extensions-changed',
      name: 'ERROR_DS_DRS_EXTENSIONS_CHANGED',
      hint: "the server's extensions changed, bind again",
    },
  ],
]);

/** The error for a non-zero status of `method`; an unlisted number gets the code `dc-status`. */
export function win32Error(method: string, status: number): ProtocolError {
  const meaning = MEANINGS.get(status);
  const text =
    meaning === undefined
      ? `${method}: the server answers Win32 error ${status} (0x${status.toString(16)})`
      : `${method}: the server answers ${status} (${meaning.name}): ${meaning.hint}`;
  return new ProtocolError(meaning?.code ?? 'dc-status', text, { structure: method, status });
}

/** Whether `status` is a number that DRS methods are known to fail with. */
export function isKnownStatus(status: number): boolean {
  return MEANINGS.has(status);
}
