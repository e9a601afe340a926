// Preloaded (node --require): the first worker thread that answers ends in place of answering, what it did is done. The
// flag is a file, since threads share nothing else.

const { existsSync, writeFileSync } = require('node:fs');
const { isMainThread, parentPort } = require('node:worker_threads');

const flag = process.env.DIED;
if (!isMainThread && !existsSync(flag)) {
  parentPort.postMessage = () => {
    writeFileSync(flag, '');
    process.exit(1);
  };
}
