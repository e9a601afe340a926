// What a prebuilt addon may ask of the machine that it is loaded on, read from its dynamic section (binutils' readelf):
// no library that Node.js does not itself need, and no version of one newer than Node.js 20 demands.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';

/** Node.js 20's own floor (BUILDING.md: glibc 2.28, that is RHEL 8, whose libstdc++ is GCC 8's). */
const FLOOR = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '8.0.0' };
const LIBRARIES = {
  glibc: ['libstdc++.so.6', 'libgcc_s.so.1', 'libc.so.6', 'libm.so.6', 'ld-linux-aarch64.so.1'],
  musl: ['libstdc++.so.6', 'libgcc_s.so.1', 'libc.so'],
};
const MUSL = '/lib/ld-musl-x86_64.so.1';

const readelf = (...args) => execFileSync('readelf', ['-W', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
const compare = (a, b) => a.localeCompare(b, 'en', { numeric: true });

/** Names of dynamic symbols, with their `@VERSION`; `wanted` tells undefined ones from defined ones. */
function symbols(file, wanted) {
  return readelf('--dyn-syms', file)
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([number, , , type, bind, , index, name]) =>
        /^\d+:$/.test(number) && name && type !== 'FILE' && wanted(index === 'UND', bind),
    )
    .map((fields) => fields[7]);
}

/** Deletes the file and throws where it asks for too much; else says what it asks for. */
export function checkBinary(file, libc) {
  const needed = [...readelf('-d', file).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, library]) => library);
  const undefinedNames = symbols(file, (isUndefined, bind) => isUndefined && bind !== 'WEAK').filter(
    (name) => !name.startsWith('napi_'),
  );
  const problems = needed.filter((library) => !LIBRARIES[libc].includes(library)).map((library) => `needs ${library}`);
  const newest = {};
  for (const [, kind, version] of undefinedNames.join('\n').matchAll(/@([A-Z]+)_([0-9.]+)/g)) {
    if (compare(version, newest[kind] ?? '0') > 0) newest[kind] = version;
    if (kind === 'GLIBC' && libc === 'musl') problems.push(`needs glibc ${version}`);
    if (FLOOR[kind] === undefined || compare(version, FLOOR[kind]) > 0) problems.push(`needs ${kind}_${version}`);
  }
  if (libc === 'musl') {
    const has = new Set(symbols(MUSL, (isUndefined) => !isUndefined).map((name) => name.split('@')[0]));
    const rest = undefinedNames.filter((name) => !/@(GLIBCXX|CXXABI|GCC)_/.test(name) && !has.has(name));
    problems.push(...rest.map((name) => `needs ${name}, which musl lacks`));
  }
  if (problems.length > 0) {
    rmSync(file);
    throw new Error(`${file}: ${[...new Set(problems)].join('; ')}`);
  }
  const versions = Object.entries(newest).map(([kind, version]) => `${kind} ${version}`);
  return `needs ${needed.join(', ')}; at least ${versions.join(', ')}`;
}
