/** The log of agent and tenant: JSON lines through pino, with ISO times, level names, and without anything that looks like a secret. */

import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import { REDACTED, scrub } from './scrub.js';

/** Names under which a secret might be handed to the log by mistake, at the top and one object further down. */
const SECRET_KEYS = [
  'password',
  'clientSecret',
  'secret',
  'token',
  'authorization',
  'ntHash',
  'ntHashes',
  'unicodePwd',
  'envelope',
  'envelopes',
  'sessionKey',
  'sessionKeys',
  'credentialData',
  'credential',
];

const options: LoggerOptions = {
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
  redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: REDACTED },
  serializers: { err: describeError },
  hooks: { streamWrite: scrub },
};

/** Lines go to standard error, at once, or to `to`. */
export function createLog(level: string, to: DestinationStream = pino.destination({ fd: 2, sync: true })): Logger {
  return pino({ ...options, level }, to);
}

/** Causes stay out: they may quote bytes of a peer. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code } = error as { code?: unknown };
  return { type: error.name, code, message: error.message, stack: error.stack };
}
