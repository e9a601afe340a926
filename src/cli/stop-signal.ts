/**
 * SIGINT, SIGTERM and SIGHUP as an AbortSignal: the first asks for a clean end, the second ends at once. With a handler
 * of its own SIGHUP reloads in place of ending, unless it says that the terminal is gone.
 */

import { constants } from 'node:os';
import { isatty } from 'node:tty';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Gives the signals back to Node. */
  dispose(): void;
}

export interface StopOptions {
  /** What must be done at the second one too, synchronously. */
  readonly atOnce?: () => void;
  /** SIGHUP. */
  readonly onReload?: () => void;
  /** When the clean end takes longer than `ms`: the last words before the process ends with 0. */
  readonly deadline?: { readonly ms: number; readonly giveUp: () => void };
}

export function stopSignal({ atOnce = () => {}, onReload, deadline }: StopOptions = {}): StopSignal {
  const controller = new AbortController();
  const hadTerminal = isatty(0);
  const onSignal = (name: NodeJS.Signals) => {
    if (name === 'SIGHUP' && onReload !== undefined && !(hadTerminal && !isatty(0))) {
      if (!controller.signal.aborted) onReload();
      return;
    }
    if (!controller.signal.aborted) {
      if (deadline !== undefined) setTimeout(() => exitAfter(deadline.giveUp, 0), deadline.ms).unref();
      controller.abort();
      return;
    }
    // 128 + the signal's number, as shells have it.
    exitAfter(atOnce, 128 + constants.signals[name]);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    dispose() {
      // The deadline stays, for a close that hangs; it keeps nothing alive.
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}

function exitAfter(work: () => void, code: number): void {
  try {
    work();
  } finally {
    process.exit(code);
  }
}
