/** The key `monitor` of a program whose pages are for its own machine alone: the agent's, and the managed side's of Domain Services. */

import { z } from 'zod';

const loopback = z
  .string()
  .regex(/^(127\.\d+\.\d+\.\d+|::1|localhost)$/, 'expected a loopback address: nobody logs on there');

/** What differs from program to program. */
interface MonitorKeys {
  /** Of the pages, for people. */
  readonly pages: string;
  readonly readyMinutes: { readonly least: number; readonly usual: number; readonly describe: string };
}

const LONGEST_MINUTES = 1440;

/** `host`, `port` and `readyMinutes`; nothing listens without the key. */
export function monitorSchema({ pages, readyMinutes }: MonitorKeys) {
  const { least, usual, describe } = readyMinutes;
  return z
    .strictObject({
      host: loopback.default('127.0.0.1').describe('A loopback address.'),
      port: z.int().min(0).max(65535).describe('A TCP port; 0 takes any that is free.'),
      readyMinutes: z.int().min(least).max(LONGEST_MINUTES).default(usual).describe(describe),
    })
    .describe(`Where ${pages} are; nowhere without it.`)
    .optional();
}
