/** The sources stay clean for MSVC, which this machine lacks: what only GCC and clang know stands behind a guard. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './addon.js';

const GNU_ONLY = /__attribute__|__asm__|\basm\s*\(|#\s*pragma\s+GCC|__builtin_|__int128|__restrict__|\btypeof\b/;
const GUARD = /_MSC_VER|__GNUC__|__clang__/;

/** The lines with a GNU-only construct outside of every conditional that asks for the compiler. */
function unguarded(source: string): string[] {
  const open: boolean[] = [];
  const found: string[] = [];
  for (const line of source.split('\n')) {
    const code = line.replace(/\/\/.*/, '');
    if (/^\s*#\s*if/.test(code)) open.push(GUARD.test(code));
    else if (/^\s*#\s*endif/.test(code)) open.pop();
    else if (GNU_ONLY.test(code) && !open.includes(true)) found.push(line.trim());
  }
  return found;
}

it('sees what stands unguarded', () => {
  const guarded = '#if defined(_MSC_VER)\n#else\n__asm__("");\n#endif\n';
  expect(unguarded(guarded)).toEqual([]);
  expect(unguarded(`${guarded}__asm__("");`)).toEqual(['__asm__("");']);
  expect(unguarded('#ifndef H\nvoid f() __attribute__((noinline));\n#endif')).toHaveLength(1);
});

const native = join(root, 'native');
const sources = readdirSync(native, { encoding: 'utf8', recursive: true }).filter(
  (file) => /\.(cc|h)$/.test(file) && !/^(test|prebuild)/.test(file),
);

it.each(sources)('%s has nothing that only GCC and clang know outside of a guard', (file) => {
  expect(unguarded(readFileSync(join(native, file), 'utf8'))).toEqual([]);
});
