/** Suites that need a real PostgreSQL: a server of their own, or a skip that names what is missing. */

import { afterAll, beforeAll, describe } from 'vitest';
import { type PostgresOptions, postgresMissing, PostgresServer as TestPostgres } from '#bench/postgres.js';

export { TestPostgres };

/**
 * A suite with a server of its own (half a second), which ends with the suite. Where PostgreSQL is missing the suite is
 * skipped by name; with CI=true it fails.
 */
export function describePostgres(
  name: string,
  body: (postgres: () => TestPostgres) => void,
  options?: PostgresOptions,
) {
  if (postgresMissing !== undefined && process.env.CI !== 'true') {
    describe.skip(`${name} (${postgresMissing})`, () => body(() => undefined as never));
    return;
  }
  describe(name, () => {
    let postgres: TestPostgres | undefined;
    beforeAll(async () => {
      if (postgresMissing !== undefined) throw new Error(postgresMissing);
      postgres = await TestPostgres.start(options);
    });
    afterAll(() => postgres?.remove());
    body(() => postgres!);
  });
}
