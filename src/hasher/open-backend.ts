/** The synchronous backend of one thread, by choice of kernel. */

import type { Backend } from './backend.js';
import { PhsyncError } from './errors.js';
import { fallback } from './fallback/fallback.js';
import { loadNative } from './native.js';
import type { KernelChoice } from './types.js';

function nativeBackend(kernel: KernelChoice): Backend {
  const loaded = loadNative();
  if ('whyNot' in loaded) {
    throw new PhsyncError('hasher-native', `the native backend cannot be loaded: ${loaded.whyNot}`);
  }
  const { addon } = loaded.native;
  return {
    name: 'native',
    kernel,
    deriveBatch: (...batch) => addon.deriveBatch(kernel, ...batch),
    openAndDeriveBatch: (...batch) => addon.openAndDeriveBatch(kernel, ...batch),
    openBatch: (...batch) => addon.openBatch(kernel, ...batch),
    md4Batch: (...batch) => addon.md4Batch(kernel, ...batch),
    pbkdf2Batch: (...batch) => addon.pbkdf2Batch(kernel, ...batch),
  };
}

const opened = new Map<KernelChoice, Backend>();

/** The native backend on `kernel`, or the fallback where `kernel` is undefined. */
export function openBackend(kernel: KernelChoice | undefined): Backend {
  if (kernel === undefined) return fallback;
  let backend = opened.get(kernel);
  if (backend === undefined) {
    backend = nativeBackend(kernel);
    opened.set(kernel, backend);
  }
  return backend;
}
