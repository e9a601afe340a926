/** `npm run faults -- --seed N --runs N`: seeded fault runs one after another, on a domain controller of their own. Needs root. */

import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, runs: { type: 'string', default: '20' } },
});
for (const [name, value] of Object.entries(values)) {
  if (!/^\d{1,9}$/.test(value)) {
    process.stderr.write(`--${name}: expected a whole number, not ${value}\n`);
    process.exit(2);
  }
}
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/faults/vitest.config.ts'];
const child = spawn(process.execPath, vitest, {
  stdio: 'inherit',
  env: { ...process.env, PHSYNC_FAULTS_SEED: values.seed, PHSYNC_FAULTS_RUNS: values.runs },
});
child.once('exit', (code) => process.exit(code ?? 1));
