// npm's install script: node-gyp-build takes the prebuilt addon where one loads here and else compiles one. Neither is
// a failure of the installation, and what node-gyp has to say is kept for those who ask.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const verbose = ['info', 'verbose', 'silly'].includes(process.env.npm_config_loglevel);
const { status } = spawnSync(process.execPath, [createRequire(import.meta.url).resolve('node-gyp-build/bin.js')], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  stdio: verbose ? 'inherit' : 'ignore',
});
if (status !== 0) {
  console.log(
    'phsync: no prebuilt addon loads here and none could be compiled, so the pure-JS fallback will do its work ' +
      '(why: npm rebuild phsync --foreground-scripts --loglevel=verbose)',
  );
}
