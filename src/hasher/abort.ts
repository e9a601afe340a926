/** Cancellation by AbortSignal. */

/**
 * Calls `abort` with the signal's reason when it fires; returns what ends that. The caller checked that it has not yet.
 */
export function onAbort(signal: AbortSignal | undefined, abort: (reason: unknown) => void): () => void {
  if (signal === undefined) return () => {};
  const listener = (): void => abort(signal.reason);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
