/** Every kernel that this CPU runs, one thread, beside the ways that a JS program has without phsync. */

import { createHasher } from '#src/hasher/create-hasher.js';
import { type Entry, interleave, pairedRatio } from '../interleave.js';
import { type Case, median, type SuiteOptions } from '../result.js';

/** OpenSSL without SHA-NI: what `node:crypto` does on CPUs that lack it, so that figures from both kinds compare. */
const NO_SHA_NI = { OPENSSL_ia32cap: ':~0x20000000' };

export async function kernel({ kernel: only, rounds, seconds, say }: SuiteOptions): Promise<Case[]> {
  const hasher = createHasher({ backend: 'native', threads: 1 });
  const names = hasher.info.kernels.filter((name) => only === undefined || name === only);
  await hasher.close();
  if (names.length === 0) {
    throw new RangeError(`no kernel ${JSON.stringify(only)} on this CPU; it has ${hasher.info.kernels.join(', ')}`);
  }
  const contenders: Entry[] = [
    { name: 'node:crypto', jobs: 64 },
    ...(process.arch === 'x64'
      ? [{ name: 'node:crypto without SHA-NI', contender: 'node:crypto', env: NO_SHA_NI, jobs: 64 }]
      : []),
    { name: 'noble', jobs: 8 },
    { name: 'hash-wasm', jobs: 8 },
  ];
  const entries = [...names.map((name): Entry => ({ name: `native:${name}`, jobs: 4096 })), ...contenders];
  const figures = await interleave(entries, rounds, seconds, say);
  return entries.map(({ name }) => ({
    name: `pbkdf2-sha256 1000 ${name}`,
    kernel: name.startsWith('native:') ? name.slice(7) : undefined,
    threads: 1,
    perSecond: median(figures.get(name)!),
    ratios: Object.fromEntries(
      contenders
        .filter((other) => other.name !== name)
        .map((other) => [other.name, pairedRatio(figures.get(name)!, figures.get(other.name)!)]),
    ),
    samples: figures.get(name)!,
  }));
}
