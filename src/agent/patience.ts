/** What to do while the tenant is busy or away: try a call again within a limit, then leave it to the next cycle. */

import type { Logger } from 'pino';
import { PhsyncError } from '../hasher/errors.js';
import type { Clock } from './clock.js';

/** From the first failure of a call to the start of its last try. */
const LIMIT_MS = 60_000;
const MAX_TRIES = 8;
/** Of what is most often a wrong address or a broken message, and now and then a bad moment. */
const FEW_TRIES = 3;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** The service or the way to it fails, whatever it was asked. */
const AWAY: ReadonlySet<string> = new Set([
  'provisioning-unavailable',
  'provisioning-unreachable',
  'provisioning-timeout',
  'token-unavailable',
  'token-unreachable',
  'token-timeout',
]);
const BUSY: ReadonlySet<string> = new Set(['provisioning-busy', 'token-busy']);
const DOUBTFUL: ReadonlySet<string> = new Set([
  'provisioning-bad-reply',
  'provisioning-redirect',
  'provisioning-proxy',
  'token-bad-reply',
  'token-proxy',
]);

export interface PatienceOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** 0 to below 1. */
  readonly random: () => number;
  readonly onRetry?: (() => void) | undefined;
}

export interface PatientCall {
  /** Aborted: no further try is begun. */
  readonly stop: AbortSignal;
  /** Nothing is under way yet: who is away, or perhaps at another address, is not waited for; the next cycle comes soon. */
  readonly first?: boolean;
}

/** One for all calls to a tenant: what it asked one caller to wait (Retry-After), all callers wait. */
export class Patience {
  readonly #options: PatienceOptions;
  #notBefore = 0;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /**
   * The outcome of `work`, which may run several times. @throws what it throws last, told how often it was tried;
   * `provisioning-busy` at once where the tenant has asked for a longer rest than this cycle can wait.
   */
  async call<T>(work: () => Promise<T>, { stop, first = false }: PatientCall): Promise<T> {
    const { clock, log, random, onRetry } = this.#options;
    await this.#rest(stop);
    let firstFailure: number | undefined;
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        const code = codeOf(error);
        const now = clock.now();
        firstFailure ??= now;
        const asked = BUSY.has(code) ? askedFor(error) : undefined;
        if (asked !== undefined) this.#notBefore = Math.max(this.#notBefore, now + asked);
        const most = first && (AWAY.has(code) || DOUBTFUL.has(code)) ? 1 : triesFor(error, code);
        const wait = asked ?? Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS) * (0.5 + random() / 2);
        if (stop.aborted || tries >= most || now + wait - firstFailure > LIMIT_MS) {
          throw tries === 1 && asked === undefined ? error : gaveUp(error, tries, now - firstFailure, asked);
        }
        log.warn({ code, tries, waitMs: Math.round(wait) }, 'the tenant is busy or away: trying again');
        await clock.sleep(wait, stop);
        if (stop.aborted) throw error;
        onRetry?.();
      }
    }
  }

  /** Others may have been asked to wait. */
  async #rest(stop: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const wait = this.#notBefore - clock.now();
    if (wait <= 0) return;
    if (wait > LIMIT_MS) {
      const until = new Date(this.#notBefore).toISOString();
      throw new PhsyncError('provisioning-busy', `the tenant asked not to be asked again before ${until}`, {
        facts: { retryable: true, retryAfterMs: wait },
      });
    }
    await clock.sleep(wait, stop);
  }
}

function triesFor(error: unknown, code: string): number {
  if (AWAY.has(code) || BUSY.has(code)) return MAX_TRIES;
  if (DOUBTFUL.has(code)) return isRefusalOfProxy(error) ? 1 : FEW_TRIES;
  // What the service itself puts down to itself.
  return code === 'provisioning-fault' && factsOf(error).faultCode === 'Receiver' ? FEW_TRIES : 1;
}

/** Its status below 500 says that it does not want to. */
function isRefusalOfProxy(error: unknown): boolean {
  return codeOf(error).endsWith('-proxy') && Number(factsOf(error).status) < 500;
}

function askedFor(error: unknown): number | undefined {
  const { retryAfterMs } = factsOf(error);
  return typeof retryAfterMs === 'number' ? retryAfterMs : undefined;
}

function gaveUp(error: unknown, tries: number, duringMs: number, asked: number | undefined): unknown {
  if (!(error instanceof PhsyncError)) return error;
  const times = tries === 1 ? '' : `; tried ${tries} times in ${Math.round(duringMs / 1000)} s`;
  const wish = asked === undefined ? '' : `; it asks for ${Math.round(asked / 1000)} s of rest`;
  return new PhsyncError(error.code, `${error.message}${times}${wish}`, {
    cause: error,
    facts: { ...error.facts, tries },
  });
}

function factsOf(error: unknown): PhsyncError['facts'] {
  return error instanceof PhsyncError ? error.facts : {};
}

function codeOf(error: unknown): string {
  return error instanceof PhsyncError ? error.code : '';
}
