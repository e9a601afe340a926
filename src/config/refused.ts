/** Keys that people look for in a configuration and that are not there. */

import { z } from 'zod';

/** Each of them refused with the reason why there is none. */
export function refused<Key extends string>(keys: readonly Key[], why: string) {
  const never = z.never(why).optional();
  return Object.fromEntries(keys.map((key) => [key, never])) as Record<Key, typeof never>;
}
