/** What an HTTP reply of the provisioning service means: a result, a fault, a redirect, or an error of its own. */

import { PhsyncError } from '../hasher/errors.js';
import { ProtocolError } from '../protocol/errors.js';
import { decodeReply, type Reply } from './client-codec.js';
import { NO_FAULT, type ReceivedFault } from './faults.js';
import { type HttpReply, retryAfterMs } from './http.js';
import type { OperationName } from './operations.js';
import { CONTENT_TYPE } from './soap.js';
import { ProvisioningErrorCode } from './types.js';

/** Fault subcodes of WS-Security that a fresh token may cure. */
export const TOKEN_SUBCODES: ReadonlySet<string> = new Set([
  'InvalidSecurityToken',
  'FailedAuthentication',
  'SecurityTokenUnavailable',
]);
const ACCESS_DENIED = /access\s?denied|access\b.{0,80}\bdenied/i;
/** A server, or a gateway before it, that failed and may answer next time. */
const UNAVAILABLE = new Set([408, 500, 502, 504]);

/**
 * `now`: for a Retry-After that is a date.
 * @throws PhsyncError `provisioning-bad-reply`, `-access-denied`, `-busy`, `-unavailable`
 */
export function readReply<Name extends OperationName>(
  name: Name,
  url: URL,
  reply: HttpReply,
  now: number,
): Reply<Name> {
  const { status, contentType } = reply;
  const facts = { operation: name, url: url.href, status, contentType };
  if (contentType !== CONTENT_TYPE) {
    if (status === 401) {
      // Told as the fault that it stands for, so that a refused token is handled in one place.
      return { fault: { ...NO_FAULT, code: 'Sender', subcode: 'InvalidSecurityToken', reason: 'HTTP status 401' } };
    }
    if ((status === 307 || status === 308) && reply.location !== undefined) {
      // These two alone keep method and body. Relative to where the request went (RFC 9110, 10.2.2).
      const to = URL.canParse(reply.location, url.href) ? new URL(reply.location, url).href : reply.location;
      return { fault: { ...NO_FAULT, redirectUrl: to } };
    }
    if (status === 403) {
      throw new PhsyncError('provisioning-access-denied', `${url.host} refuses ${name} with HTTP status 403`, {
        facts,
      });
    }
    if (status === 429 || status === 503) {
      throw new PhsyncError('provisioning-busy', `${url.host} is busy (HTTP status ${status}); try again later`, {
        facts: { ...facts, retryable: true, retryAfterMs: retryAfterMs(reply.retryAfter, now) },
      });
    }
    if (UNAVAILABLE.has(status)) {
      throw new PhsyncError(
        'provisioning-unavailable',
        `${url.host} answered ${name} with HTTP status ${status}; try again later`,
        { facts: { ...facts, retryable: true } },
      );
    }
    throw new PhsyncError(
      'provisioning-bad-reply',
      `${url.href} answered ${name} with HTTP status ${status} and ${contentType === '' ? 'no content type' : contentType}, ` +
        `expected ${CONTENT_TYPE}: is it a provisioning service?`,
      { facts },
    );
  }
  let decoded: Reply<Name>;
  try {
    decoded = decodeReply(name, reply.body);
  } catch (error) {
    if (!(error instanceof ProtocolError)) {
      throw error;
    }
    throw new PhsyncError('provisioning-bad-reply', `${url.host} answered ${name} with ${error.message}`, {
      cause: error,
      facts,
    });
  }
  if (decoded.fault === undefined && status !== 200) {
    throw new PhsyncError('provisioning-bad-reply', `${url.host} answered ${name} with HTTP status ${status}`, {
      facts,
    });
  }
  return decoded;
}

/** The bearer token goes to this address: never to a weaker scheme than before. */
export function redirectTarget(from: URL, text: string): URL {
  const to = URL.canParse(text) ? new URL(text) : undefined;
  if (
    to === undefined ||
    (to.protocol !== 'https:' && to.protocol !== from.protocol) ||
    to.username !== '' ||
    to.password !== ''
  ) {
    throw new PhsyncError('provisioning-redirect', `${from.host} redirects to an address that is not taken`, {
      facts: { url: from.href, target: to === undefined ? text.slice(0, 200) : `${to.protocol}//${to.host}` },
    });
  }
  return to;
}

/** `retryAfter`: the header that came with it, in milliseconds. */
export function faultError(
  name: OperationName,
  url: URL,
  fault: ReceivedFault,
  retryAfter: number | undefined,
): PhsyncError {
  const { code, errorCode, trackingId, serverName, subcode } = fault;
  const description = (fault.errorDescription || fault.reason || 'no reason given').slice(0, 1000);
  const faultSubcode = subcode === '' ? undefined : subcode;
  const facts = { operation: name, url: url.href, faultCode: code, faultSubcode, errorCode, trackingId, serverName };
  if (errorCode === String(ProvisioningErrorCode.directoryBusy)) {
    return new PhsyncError('provisioning-busy', `the directory is busy; try again later: ${description}`, {
      facts: { ...facts, retryable: true, retryAfterMs: retryAfter },
    });
  }
  if (errorCode === String(ProvisioningErrorCode.passwordSyncNotActivated)) {
    return new PhsyncError(
      'provisioning-not-activated',
      `password hash synchronization is not activated in the tenant: ${description}`,
      { facts },
    );
  }
  if (
    TOKEN_SUBCODES.has(subcode) ||
    ACCESS_DENIED.test(errorCode) ||
    ACCESS_DENIED.test(fault.errorDescription) ||
    ACCESS_DENIED.test(fault.reason)
  ) {
    return new PhsyncError('provisioning-access-denied', `${url.host} denies ${name}: ${description}`, { facts });
  }
  return new PhsyncError('provisioning-fault', `${url.host} answered ${name} with a fault: ${description}`, { facts });
}
