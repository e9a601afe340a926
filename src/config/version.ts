/** The package's version, read from its package.json. */

import { readFileSync } from 'node:fs';

/** The version as semver, e.g. `0.1.0`. */
export function packageVersion(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  return version;
}
