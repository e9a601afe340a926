/** What goes wrong between the agent and a domain controller, in phsync's own codes and words. */

import { FIPS_CODE } from '../../crypto/fips.js';
import { PhsyncError } from '../../hasher/errors.js';
import { ProtocolError } from '../../protocol/errors.js';
import type { DrsErrorFacts, DrsStage } from './drs-error-facts.js';
import { logonMeaning } from './logon-errors.js';

const STAGES: Record<DrsStage, string> = {
  'endpoint-mapper': 'asking the endpoint mapper',
  connect: 'connecting',
  logon: 'logging on',
  bind: 'binding the replication interface',
  domain: 'looking up the domain',
  replicate: 'replicating',
  object: 'fetching one object',
};

/** nca_s_fault_context_mismatch: the server forgot our handle. */
const CONTEXT_MISMATCH = 0x1c00_001a;
const PERMISSIONS =
  '"Replicating Directory Changes" (DS-Replication-Get-Changes) and ' +
  '"Replicating Directory Changes All" (DS-Replication-Get-Changes-All)';

/** Whether a new connection may mend it. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof ProtocolError) {
    return (
      ['connection-closed', 'connection-dead', 'extensions-changed'].includes(error.code) ||
      (error.code === 'rpc-fault' && error.status === CONTEXT_MISMATCH)
    );
  }
  return error instanceof PhsyncError && error.code === 'dc-connection-lost';
}

/** Whether the server refused the request alone: the connection goes on. */
export function isRefusal(error: unknown): boolean {
  return (
    error instanceof ProtocolError &&
    error.status !== undefined &&
    !['rpc-fault', 'logon-failure'].includes(error.code) &&
    !isConnectionLost(error)
  );
}

/** The PhsyncError for `error`; what is none of ours (a bug, an abort) comes back as it is. */
export function drsError(error: unknown, facts: DrsErrorFacts): unknown {
  if (error instanceof PhsyncError) {
    return error.facts.stage === undefined
      ? new PhsyncError(error.code, `${facts.server}, ${STAGES[facts.stage]}: ${error.message}`, {
          cause: error,
          facts: { ...error.facts, ...facts },
        })
      : error;
  }
  if (!(error instanceof ProtocolError)) {
    return error;
  }
  const { code, text } = meaning(error, facts);
  return new PhsyncError(code, text, {
    cause: error,
    facts: {
      ...facts,
      protocolCode: error.code,
      status: error.status,
      structure: error.structure,
      offset: error.offset,
    },
  });
}

function meaning(error: ProtocolError, facts: DrsErrorFacts): { readonly code: string; readonly text: string } {
  const { server, domain, account, stage } = facts;
  const during = `${server}, ${STAGES[stage]}`;
  const logon = logonMeaning(error, facts);
  if (logon !== undefined) return logon;
  switch (error.code) {
    case 'replication-access-denied':
    case 'access-denied':
      return {
        code: 'dc-access-denied',
        text:
          `${server} refuses ${account} to replicate ${domain}: the account needs both permissions ${PERMISSIONS} ` +
          'on the domain head, and lacks one or both',
      };
    case 'connection-closed':
    case 'connection-dead':
      return { code: 'dc-connection-lost', text: `${during}: ${error.message}` };
    case 'endpoint-not-registered':
    case 'interface-unknown':
      return {
        code: 'dc-no-replication-service',
        text: `${during}: no directory replication service there: is it a domain controller? ${error.message}`,
      };
    case 'bad-naming-context':
    case 'naming-context-not-found':
      return { code: 'dc-wrong-domain', text: `${during}: it does not hold the domain ${domain}: ${error.message}` };
    case FIPS_CODE:
      return { code: FIPS_CODE, text: error.message };
    case 'weak-security':
      return { code: 'dc-weak-security', text: `${during}: ${error.message}` };
    case 'dc-busy':
    case 'dc-shutting-down':
    case 'source-disabled':
      return { code: 'dc-busy', text: `${during}: ${error.message}` };
    default:
      return error.status === undefined
        ? { code: 'dc-protocol-error', text: `${during}: the server sent what it must not: ${error.message}` }
        : { code: 'dc-replication-failed', text: `${during}: ${error.message}` };
  }
}
