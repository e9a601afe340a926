/** SIGINT and SIGTERM as an AbortSignal: the first asks for a clean end, the second ends at once. */

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
      process.exit(name === 'SIGINT' ? 130 : 143);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
