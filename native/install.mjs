// npm's install script: node-gyp-build takes a prebuilt addon where one loads here and else compiles it. Neither is a
// failure of the installation, and what node-gyp has to say is kept for those who ask.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const verbose = ['info', 'verbose', 'silly'].includes(process.env.npm_config_loglevel);
const nodeGypBuild = createRequire(import.meta.url).resolve('node-gyp-build/bin.js');

/** Whether there is an addon in the folder now. */
const install = (folder) =>
  spawnSync(process.execPath, [nodeGypBuild], {
    cwd: fileURLToPath(new URL(folder, import.meta.url)),
    stdio: verbose ? 'inherit' : 'ignore',
  }).status === 0;

if (!install('..')) {
  console.log(
    'phsync: no prebuilt addon loads here and none could be compiled, so the pure-JS fallback will do its work ' +
      '(why: npm rebuild phsync --foreground-scripts --loglevel=verbose)',
  );
}
// Kerberos' addon is of use to the agent alone, which says so where it is wanted and missing.
if (process.platform === 'linux') install('gssapi');
