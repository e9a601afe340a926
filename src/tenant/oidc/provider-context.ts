/** The context in which oidc-provider answers a request: an AsyncLocalStorage of its own, on as long as one is under way. */

import { AsyncLocalStorage } from 'node:async_hooks';

/** Not exported by the package, and without types: the compiler is not to look for it. */
const MODULE: string = 'oidc-provider/lib/helpers/als.js';

/** Undefined where a version keeps it elsewhere: then it stays on, and nothing but time is lost. */
export const providerStorage = await findStorage();

async function findStorage(): Promise<AsyncLocalStorage<unknown> | undefined> {
  try {
    const { default: storage } = (await import(MODULE)) as { readonly default?: unknown };
    return storage instanceof AsyncLocalStorage ? storage : undefined;
  } catch {
    return undefined;
  }
}

let underWay = 0;

/**
 * `answer`: oidc-provider's whole work on one request. Before Node 24 a storage that was used once has hooks run for every
 * promise of the process ever after, which took a sign-in by password, past oidc-provider, 8 of its 65 µs of the event loop.
 */
export async function withinProviderContext(answer: () => Promise<void>): Promise<void> {
  underWay++;
  try {
    await answer();
  } finally {
    underWay--;
    if (underWay === 0) providerStorage?.disable();
  }
}
