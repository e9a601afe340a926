/** diagnosis.md names every check, and none that there is not. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKS } from '#src/agent/diagnosis/check.js';
import { root } from '../../package/tools.js';

test('diagnosis.md has every check in its order', () => {
  const page = readFileSync(join(root, 'src/agent/diagnosis.md'), 'utf8');
  const named = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, id]) => id);
  expect(named).toEqual(Object.keys(CHECKS));
});
