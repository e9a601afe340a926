/** Results from a file or from a directory of them. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SuiteResult } from '../result.js';

const result = z.object({
  suite: z.string(),
  machine: z.looseObject({ cpu: z.string(), cores: z.number(), flags: z.array(z.string()), node: z.string() }),
  cases: z.array(
    z.looseObject({
      name: z.string(),
      perSecond: z.number(),
      samples: z.array(z.number()),
      cpuSamples: z.array(z.number()).optional(),
      clock: z.enum(['cpu', 'wall']).optional(),
      reference: z.string().optional(),
    }),
  ),
});

/** @throws Error that names the file and says what is wrong with it. */
export function load(path: string): SuiteResult[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new Error(`${path}: no such file or directory`);
  const files = found.isDirectory()
    ? readdirSync(path)
        .filter((name) => name.endsWith('.json'))
        .map((name) => join(path, name))
    : [path];
  if (files.length === 0) throw new Error(`${path}: no results (*.json)`);
  return files.map((file) => {
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      throw new Error(`${file}: ${(error as Error).message}`);
    }
    const parsed = result.safeParse(json);
    if (!parsed.success) throw new Error(`${file}: not a result of a suite: ${z.prettifyError(parsed.error)}`);
    return parsed.data as unknown as SuiteResult;
  });
}
