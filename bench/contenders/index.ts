/** The contenders by name. */

import type { Contender } from './contender.js';

/**
 * `native:<kernel or auto>`, `node:crypto`, `noble`, `hash-wasm`: `jobs` derivations in this thread.
 * `pool:<threads>`, `fallback:<threads>`, `open:<threads>`, `open-fallback:<threads>`, `processes:<n>`: batches.
 * `wire:<message>-<write or read>`, `json:…`: messages with `jobs` users.
 * `leaks:known`, `leaks:tenth`: leaked pairs on a tenant of 50,000 users.
 * `seal:<backend>:<bits>`, `unseal:<bits>`, `openssl-seal:<bits>`, `openssl-unseal:<bits>`: Domain Services credentials.
 * `verify`, `derive`, `pbkdf2`, `pbkdf2Sync`: single calls by `jobs` clients at once.
 *
 * @throws RangeError for any other name.
 */
export async function contender(name: string, jobs: number): Promise<Contender> {
  const [kind, detail = '', more] = name.split(':');
  switch (kind) {
    case 'native':
      return (await import('./native.js')).native(detail, jobs);
    case 'node':
      return (await import('./one-by-one.js')).nodeCrypto(jobs);
    case 'noble':
      return (await import('./one-by-one.js')).noble(jobs);
    case 'hash-wasm':
      return (await import('./one-by-one.js')).hashWasm(jobs);
    case 'pool':
      return (await import('./hasher.js')).deriveBatch('native', Number(detail), jobs);
    case 'fallback':
      return (await import('./hasher.js')).deriveBatch('fallback', Number(detail), jobs);
    case 'open':
      return (await import('./hasher.js')).openAndDeriveBatch('native', Number(detail), jobs);
    case 'open-fallback':
      return (await import('./hasher.js')).openAndDeriveBatch('fallback', Number(detail), jobs);
    case 'processes':
      return (await import('./processes.js')).processes(Number(detail), jobs);
    case 'wire':
      return (await import('./wire.js')).wire(detail, jobs);
    case 'json':
      return (await import('./wire.js')).json(detail, jobs);
    case 'leaks':
      return (await import('./leaks.js')).leaks(detail, jobs);
    case 'seal':
      return (await import('./legacy.js')).seal(detail as 'native' | 'fallback', Number(more), jobs);
    case 'unseal':
      return (await import('./legacy.js')).open(Number(detail), jobs);
    case 'openssl-seal':
      return (await import('./legacy.js')).sealByOpenssl(Number(detail), jobs);
    case 'openssl-unseal':
      return (await import('./legacy.js')).openByOpenssl(Number(detail), jobs);
    case 'verify':
      return (await import('./calls.js')).verifyCalls(jobs);
    case 'derive':
      return (await import('./calls.js')).deriveCalls(jobs);
    case 'pbkdf2':
      return (await import('./calls.js')).pbkdf2Calls(jobs);
    case 'pbkdf2Sync':
      return (await import('./calls.js')).pbkdf2SyncCalls();
    default:
      throw new RangeError(`no contender is called ${JSON.stringify(name)}`);
  }
}
