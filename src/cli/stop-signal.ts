/** SIGINT and SIGTERM as an AbortSignal: the first asks for a clean end, the second ends at once. */

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Gives the signals back to Node. */
  dispose(): void;
}

export function stopSignal(): StopSignal {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    // 128 + the signal's number, as shells have it.
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
    controller.abort();
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
