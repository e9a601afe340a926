/** Cancellation by AbortSignal. */

interface Watch {
  readonly aborts: Set<(reason: unknown) => void>;
  readonly listener: () => void;
}

/** One listener a signal, however many calls share it: Node warns of a leak from the eleventh on. */
const watches = new WeakMap<AbortSignal, Watch>();

function watch(signal: AbortSignal): Watch {
  const aborts = new Set<(reason: unknown) => void>();
  const listener = (): void => {
    watches.delete(signal);
    for (const abort of aborts) abort(signal.reason);
  };
  signal.addEventListener('abort', listener, { once: true });
  return { aborts, listener };
}

const nothing = (): void => {};

/**
 * Calls `abort` with the signal's reason when it fires; returns what ends that. The caller checked that it has not yet.
 */
export function onAbort(signal: AbortSignal | undefined, abort: (reason: unknown) => void): () => void {
  if (signal === undefined) return nothing;
  const watched = watches.get(signal) ?? watch(signal);
  watches.set(signal, watched);
  watched.aborts.add(abort);
  return () => {
    watched.aborts.delete(abort);
    if (watched.aborts.size > 0 || watches.get(signal) !== watched) return;
    watches.delete(signal);
    signal.removeEventListener('abort', watched.listener);
  };
}
