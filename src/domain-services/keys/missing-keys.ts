/** Certificates of the tenant's for which no private key is here: told before the first user who needs one. */

import type { Logger } from 'pino';
import type { FeedCertificate } from '../../provisioning/domain-services-feed.js';
import type { OpenKey } from './key-ring.js';

export interface MissingKey {
  readonly thumbprint: string;
  /** Undefined: the tenant does not list the certificate any more, and users' credentials are sealed to it all the same. */
  readonly notAfter: Date | undefined;
  /** Until then, whole days; negative: it has ended. */
  readonly daysLeft: number | undefined;
  /** Agents seal to it: every password from now on needs the key. */
  readonly isNewest: boolean;
}

const DAY_MS = 86_400_000;

/** `now`: milliseconds since 1970. */
export const daysUntil = (notAfter: Date, now: number): number => Math.floor((notAfter.getTime() - now) / DAY_MS);

/** Of those alone that something is sealed to, or will be. */
export function missingKeys(
  certificates: readonly FeedCertificate[],
  keys: readonly Pick<OpenKey, 'thumbprint'>[],
  now: number,
): readonly MissingKey[] {
  const here = new Set(keys.map(({ thumbprint }) => thumbprint));
  return certificates
    .filter(({ thumbprint, isNewest, inUse }) => (isNewest || inUse) && !here.has(thumbprint))
    .map(({ thumbprint, notAfter: text, isNewest }) => {
      const notAfter = text === null ? undefined : new Date(text);
      return { thumbprint, notAfter, daysLeft: notAfter && daysUntil(notAfter, now), isNewest };
    });
}

export function tellMissing(missing: readonly MissingKey[], log: Logger): void {
  for (const { thumbprint, notAfter, daysLeft, isNewest } of missing) {
    const what = isNewest ? 'agents seal passwords to' : 'stored passwords are sealed to';
    const end = daysLeft === undefined ? 'which the tenant lists no more' : endText(daysLeft);
    const facts = { event: 'key-missing', thumbprint, notAfter, daysLeft, isNewest };
    log[isNewest ? 'error' : 'warn'](
      facts,
      `no key of \`keys\` belongs to the certificate ${thumbprint} that ${what} (${end}): nobody's password that is sealed to it ` +
        'can be opened here; add the key, and reload with SIGHUP',
    );
  }
}

function endText(daysLeft: number): string {
  if (daysLeft < 0) return 'it has ended';
  return `it ends in ${daysLeft} day${daysLeft === 1 ? '' : 's'}`;
}
