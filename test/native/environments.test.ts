/** The addon in several environments at once: main thread, worker threads that come and go, a process that ends. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { addon, addonPath, painted } from './addon.js';

const workerSource = `
const { parentPort, workerData } = require('node:worker_threads');
const addon = require(workerData.path);
const out = new Uint8Array(workerData.out);
addon.md5Batch(workerData.kernel, workerData.bytes, new Uint32Array([0, workerData.bytes.length]), out);
parentPort.postMessage(addon.kernels().supported);
`;

function inWorker(kernel: string, bytes: Uint8Array): Promise<{ supported: string[]; digest: string }> {
  const out = new SharedArrayBuffer(16);
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerSource, { eval: true, workerData: { path: addonPath, kernel, bytes, out } });
    let supported: string[] = [];
    worker.once('message', (message) => {
      supported = message;
    });
    worker.once('error', reject);
    worker.once('exit', (code) => {
      if (code === 0) resolve({ supported, digest: Buffer.from(new Uint8Array(out)).toString('hex') });
      else reject(new Error(`exit ${code}`));
    });
  });
}

it('names its kernels, features and compiler', () => {
  const { compiled, supported, cpuFeatures, compiler } = addon.kernels();
  expect(compiled.slice(0, supported.length)).toEqual(supported);
  expect(supported).toContain('portable');
  expect(supported.includes('avx2')).toBe(compiled.includes('avx2') && cpuFeatures.avx2 === true);
  expect(compiler).toMatch(/^(gcc|clang|msvc) \d+/);
});

it('works in the main thread and in workers that come and go, four at a time', async () => {
  const { supported } = addon.kernels();
  for (let round = 0; round < 3; round++) {
    const inputs = Array.from({ length: 4 }, (_, i) => painted(100 * (i + 1), round));
    const results = await Promise.all(inputs.map((bytes, i) => inWorker(supported[i % supported.length]!, bytes)));
    results.forEach((result, i) => {
      expect(result.supported).toEqual(supported);
      expect(result.digest).toBe(createHash('md5').update(inputs[i]!).digest('hex'));
    });
    const digest = new Uint8Array(16);
    addon.md5Batch(supported[0]!, inputs[0]!, new Uint32Array([0, 100]), digest);
    expect(Buffer.from(digest).toString('hex')).toBe(createHash('md5').update(inputs[0]!).digest('hex'));
  }
});

it('loads twice in one environment and in a worker alone, and the process ends cleanly', () => {
  const script = `
    const path = ${JSON.stringify(addonPath)};
    require(path);
    delete require.cache[path];
    require(path).kernels();
    const { Worker } = require('node:worker_threads');
    new Worker('require(' + JSON.stringify(path) + ').kernels()', { eval: true });
  `;
  expect(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })).toBe('');
});
