/** PKCS #11 (OASIS, version 2.40) through pkcs11js: a module is loaded once a process, whatever number of keys lie in it. */

import { createRequire } from 'node:module';
import type * as Pkcs11js from 'pkcs11js';
import { PhsyncError } from '../../hasher/errors.js';

export type Pkcs11 = typeof Pkcs11js;

const require = createRequire(import.meta.url);
let library: Pkcs11 | undefined;

/**
 * An optional dependency with an addon that npm compiles: who keeps keys in files needs none of it.
 * @throws PhsyncError `domain-services-pkcs11` which says what is missing
 */
export function pkcs11(): Pkcs11 {
  if (library !== undefined) return library;
  try {
    const loaded: Pkcs11 = require('pkcs11js');
    library = loaded;
    return loaded;
  } catch (cause) {
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new PhsyncError(
      'domain-services-pkcs11',
      `keys in a PKCS #11 token are reached through pkcs11js, which cannot be loaded: ${reason} (it is compiled while it is ` +
        'installed, which takes a C++17 compiler, make and Python 3: `npm install pkcs11js --foreground-scripts`)',
      { cause },
    );
  }
}

interface OpenModule {
  readonly api: Pkcs11js.PKCS11;
  users: number;
  /** Operations in libuv's threads. */
  busy: number;
  /** How often it was begun anew: handles of before mean nothing, or something else, by then. */
  generation: number;
}

const modules = new Map<string, OpenModule>();

/** @throws what pkcs11js throws where the module cannot be loaded or initialized */
export function openModule(path: string): Pkcs11js.PKCS11 {
  const known = modules.get(path);
  if (known !== undefined) {
    known.users += 1;
    return known.api;
  }
  const { PKCS11, CKF_OS_LOCKING_OK } = pkcs11();
  const api = new PKCS11();
  api.load(path);
  try {
    api.C_Initialize({ flags: CKF_OS_LOCKING_OK });
  } catch (error) {
    api.close();
    throw error;
  }
  modules.set(path, { api, users: 1, busy: 0, generation: 0 });
  return api;
}

/** Work in a thread of libuv, during which the module is not begun anew. */
export async function busyWith<T>(path: string, work: () => Promise<T>): Promise<T> {
  const known = modules.get(path);
  if (known === undefined) return work();
  known.busy += 1;
  try {
    return await work();
  } finally {
    known.busy -= 1;
  }
}

/**
 * Begins it anew, for libraries that never find a token again which was away; every session in it ends. @throws what
 * pkcs11js throws
 */
export function restartModule(path: string): void {
  const known = modules.get(path);
  if (known === undefined || known.busy > 0) return;
  known.generation += 1;
  finalize(known.api);
  known.api.C_Initialize({ flags: pkcs11().CKF_OS_LOCKING_OK });
}

/** Of the module's handles that are given now. */
export const generationOf = (path: string): number | undefined => modules.get(path)?.generation;

function finalize(api: Pkcs11js.PKCS11): void {
  try {
    api.C_Finalize();
  } catch (error) {
    // Where it could not be begun anew.
    if (!String(error).includes('CKR_CRYPTOKI_NOT_INITIALIZED')) throw error;
  }
}

export function closeModule(path: string): void {
  const known = modules.get(path);
  if (known === undefined) return;
  known.users -= 1;
  if (known.users > 0) return;
  modules.delete(path);
  try {
    finalize(known.api);
  } finally {
    known.api.close();
  }
}
