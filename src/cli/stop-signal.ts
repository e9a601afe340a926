/** SIGINT, SIGTERM and SIGHUP (a terminal that is gone) as an AbortSignal: the first asks for a clean end, the second ends at once. */

import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Gives the signals back to Node. */
  dispose(): void;
}

/** `atOnce`: what must be done even so at the second one, synchronously. */
export function stopSignal(atOnce: () => void = () => {}): StopSignal {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (!controller.signal.aborted) {
      controller.abort();
      return;
    }
    try {
      atOnce();
    } finally {
      // 128 + the signal's number, as shells have it.
      process.exit(128 + constants.signals[name]);
    }
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    dispose() {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}
