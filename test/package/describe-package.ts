/** Suites on the installed package: a named skip where npm's registry is out of reach. */

import { describe, inject } from 'vitest';

export function describePackage(name: string, body: () => void): void {
  const why = inject('unreachable');
  if (why === undefined) describe(name, body);
  else describe.skip(`${name} (${why})`, body);
}
