/** Says in the tenant's log when the certificate that agents seal to comes to its end: at the start, then daily. */

import type { Logger } from 'pino';
import type { DomainServices } from './service.js';

const DAY = 24 * 60 * 60 * 1000;

export interface ExpiryWatchOptions {
  readonly service: Pick<DomainServices, 'show'>;
  readonly log: Logger;
}

/** Has looked once when it resolves. @returns what ends it. */
export async function watchExpiry({ service, log }: ExpiryWatchOptions): Promise<() => void> {
  const look = async () => {
    try {
      const view = await service.show();
      if (view?.enabled === true) for (const warning of view.warnings) log.warn(warning);
    } catch (err) {
      log.warn({ err }, 'the certificate of Domain Services could not be looked at');
    }
  };
  await look();
  const timer = setInterval(look, DAY).unref();
  return () => clearInterval(timer);
}
