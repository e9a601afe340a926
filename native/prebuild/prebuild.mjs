// Builds both addons ahead for the platforms that need no compiler then, where node-gyp-build looks for them (`prebuilds/`
// and, Kerberos' one, `native/gssapi/prebuilds/`):
// `npm run prebuild`, or `npm run prebuild -- x64-glibc [--out DIR]`. Built in a temporary copy: `build` stays as it is.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import prebuildify from 'prebuildify';
import { checkBinary } from './check-binary.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const output = (...command) => execFileSync(command[0], command.slice(1), { encoding: 'utf8' });

/** Triplet-prefixed tools: Debian's g++-x86-64-linux-gnu or g++-aarch64-linux-gnu. */
const gnu = (triplet) => ({
  CC: `${triplet}-gcc`,
  CXX: `${triplet}-g++`,
  AR: `${triplet}-ar`,
  PREBUILD_STRIP_BIN: `${triplet}-strip`,
});

/**
 * GCC against musl's headers and C library (Debian's musl-tools, whose own musl-gcc speaks C only). libstdc++ and
 * libgcc_s are linked by name and taken, on the user's machine, from those that Node.js itself runs on.
 */
function musl(triplet) {
  const specs = `/usr/lib/${triplet}-linux-musl/musl-gcc.specs`;
  if (!existsSync(specs)) throw new Error(`${specs} is missing (Debian: apt-get install musl-tools)`);
  const tools = gnu(`${triplet}-linux-gnu`);
  const searched = output('sh', '-c', `${tools.CXX} -E -x c++ -v /dev/null 2>&1`).split('\n');
  // GCC's own and C++'s; not those of the system, which are glibc's.
  const headers = searched
    .map((line) => line.trim())
    .filter((path) => /^\/\S*\/(c\+\+|gcc)\//.test(path) && existsSync(path));
  const include = [...headers, `/usr/include/${triplet}-linux-musl`].map((path) => `-isystem ${path}`).join(' ');
  const header = join(root, 'native', 'prebuild', 'musl_libstdcxx.h');
  return {
    ...tools,
    CXX: `${tools.CXX} -specs=${specs} -nostdinc -nostdinc++ ${include} -include ${header}`,
    // The specs leave out --eh-frame-hdr, without which no exception is ever caught.
    LDFLAGS: `${output(tools.CXX, '-print-file-name=libgcc_s.so.1').trim()} -Wl,--eh-frame-hdr`,
  };
}

const TARGETS = {
  'x64-glibc': { arch: 'x64', libc: 'glibc', tools: () => gnu('x86_64-linux-gnu') },
  'x64-musl': { arch: 'x64', libc: 'musl', tools: () => musl('x86_64') },
  'arm64-glibc': { arch: 'arm64', libc: 'glibc', tools: () => gnu('aarch64-linux-gnu') },
};

// Node.js's headers, where they came with it; else node-gyp downloads them.
const prefix = resolve(dirname(process.execPath), '..');
if (existsSync(join(prefix, 'include', 'node', 'node_api.h'))) process.env.npm_config_nodedir ??= prefix;

/** Folder of each addon's binding.gyp and of its `prebuilds/`, and its name. */
const ADDONS = [
  { home: '', name: 'phsync' },
  { home: join('native', 'gssapi'), name: 'phsync_gssapi' },
];

/** @param out the package's folder, which gets what is built */
async function build(name, out) {
  const { arch, libc, tools } = TARGETS[name];
  const folder = mkdtempSync(join(tmpdir(), 'phsync-prebuild-'));
  const before = { ...process.env };
  try {
    for (const path of ['package.json', 'binding.gyp', 'native'])
      cpSync(join(root, path), join(folder, path), {
        recursive: true,
        filter: (source) => source !== join(root, 'native', 'gssapi', 'build'),
      });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    Object.assign(process.env, tools());
    const { CXX, LDFLAGS = '' } = process.env;
    const older = join(folder, 'older_libstdcxx.o');
    execFileSync(`${CXX} -O2 -fPIC -c native/prebuild/older_libstdcxx.cc -o ${older}`, { cwd: folder, shell: true });
    process.env.LDFLAGS = `${LDFLAGS} ${older}`;
    for (const { home } of ADDONS) {
      await promisify(prebuildify)({
        cwd: join(folder, home),
        out: join(out, home),
        platform: 'linux',
        arch,
        libc,
        tagLibc: true,
        napi: true,
        strip: true,
        targets: [process.version],
        quiet: process.env.npm_config_loglevel === 'silent',
      });
    }
  } finally {
    for (const key of Object.keys(process.env)) if (!(key in before)) delete process.env[key];
    Object.assign(process.env, before);
    rmSync(folder, { recursive: true });
  }
  for (const { home, name: addon } of ADDONS) {
    const file = join(home, 'prebuilds', `linux-${arch}`, `${addon}.${libc}.node`);
    console.log(`${file}: ${checkBinary(join(out, file), libc)}`);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: root } },
});
const unknown = positionals.find((name) => !(name in TARGETS));
if (unknown !== undefined) {
  console.error(`unknown target ${unknown}; expected some of ${Object.keys(TARGETS).join(', ')}`);
  process.exit(2);
}
for (const name of positionals.length > 0 ? positionals : Object.keys(TARGETS)) await build(name, resolve(values.out));
