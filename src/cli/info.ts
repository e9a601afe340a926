/** `phsync info`: which backend and kernel hash here, what else could, and why native is off if it is. */

import { cpus } from 'node:os';
import { Command } from 'commander';
import { packageVersion } from '../config/version.js';
import { createHasher } from '../hasher/create-hasher.js';
import { loadNative } from '../hasher/native.js';
import { printJson } from './output.js';

/** All that `info` tells; undefined members are left out of the JSON. */
async function gather() {
  const hasher = createHasher();
  const { info } = hasher;
  await hasher.close();
  // A forced fallback leaves the addon unloaded, here too.
  const loaded = info.backend === 'native' ? loadNative() : undefined;
  const native = loaded !== undefined && 'native' in loaded ? loaded.native.kernels : undefined;
  return {
    version: packageVersion(),
    backend: info.backend,
    kernel: info.kernel,
    kernels: info.kernels,
    compiledKernels: native?.compiled ?? [],
    widths: native?.widths.map(({ calls, ...measured }) => measured) ?? [],
    threads: info.threads,
    whyNotNative: info.whyNotNative,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpuFeatures: native?.cpuFeatures ?? {},
    compiler: native?.compiler,
    node: process.versions.node,
    openssl: process.versions.openssl,
    platform: `${process.platform}-${process.arch}`,
  };
}

/** What a job costs in each width where all lanes are busy, cheapest first: why which kernel is taken. */
function costs(widths: Info['widths']): string | undefined {
  const each = widths
    .filter(({ algorithm }) => algorithm === 'pbkdf2-sha256')
    .map(({ kernel, lanes, nanoseconds }) => ({ name: `${kernel}:${lanes}`, each: nanoseconds / lanes }))
    .sort((a, b) => a.each - b.each);
  if (each.length === 0) return undefined;
  return `${each.map((width) => `${width.name} ${width.each.toFixed(1)}`).join(', ')} ns a round and lane`;
}

type Info = Awaited<ReturnType<typeof gather>>;

function lines(info: Info): string[] {
  const features = Object.keys(info.cpuFeatures).filter((name) => info.cpuFeatures[name]);
  const rows: [string, string | undefined][] = [
    ['phsync', info.version],
    ['backend', info.backend],
    ['kernel', info.kernel],
    ['kernels', info.kernels.join(', ') || undefined],
    ['not on this CPU', info.compiledKernels.filter((name) => !info.kernels.includes(name)).join(', ') || undefined],
    ['measured', costs(info.widths)],
    ['threads', String(info.threads)],
    ['why not native', info.whyNotNative?.replaceAll(/\s*\n\s*/g, ' ')],
    ['cpu', info.cpu],
    ['cpu features', features.join(', ') || undefined],
    ['compiler', info.compiler],
    ['node', `${info.node} (OpenSSL ${info.openssl}), ${info.platform}`],
  ];
  return rows.filter(([, value]) => value !== undefined).map(([name, value]) => `${name.padEnd(17)}${value}`);
}

export function command(): Command {
  return new Command('info')
    .description('show the backend, the kernels this CPU can run, and why native is off if it is')
    .option('--json', 'print one JSON document')
    .action(async (options: { json?: true }) => {
      const info = await gather();
      if (options.json) printJson(info);
      else process.stdout.write(`${lines(info).join('\n')}\n`);
    });
}
