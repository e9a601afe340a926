/** A list whose items must differ in one key. */

import type { z } from 'zod';

/** For `superRefine`: refuses the second item of the same `name`. */
export function once<N extends string>(name: N) {
  return (items: readonly Readonly<Record<N, string>>[], context: z.RefinementCtx): void => {
    const seen = new Set<string>();
    for (const [i, item] of items.entries()) {
      if (seen.has(item[name])) {
        context.addIssue({ code: 'custom', path: [i, name], message: 'stands in the list twice' });
      }
      seen.add(item[name]);
    }
  };
}
