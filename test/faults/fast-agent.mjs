/**
 * Loaded into the agent's process with --import: makes its waits short, so that a cycle comes three times a second and a tenant
 * that is silent is given up in two. A seam for tests alone: the agent has no setting for any of it.
 */

import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';

const { setTimeout: sleep } = timers;
timers.setTimeout = (ms, ...rest) => sleep(ms >= 60_000 ? 300 : ms / 20, ...rest);
syncBuiltinESMExports();

const { timeout } = AbortSignal;
AbortSignal.timeout = (ms) => timeout.call(AbortSignal, ms >= 10_000 ? 2000 : ms);
