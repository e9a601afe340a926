// Sets a checkout up for `npm start`, `npm test` and `npm run bench`: locked install, addon build, TypeScript build,
// each only when missing or stale. Plain JavaScript without dependencies, since it runs before there are any.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
// stdout belongs to the command that follows (`--json`).
const say = (text) => process.stderr.write(`set-up: ${text}\n`);

/** npm says nothing while it fetches, and compilers little: a sign of life after so long, and again. */
const QUIET_MS = 15_000;

/** Runs npm; `advice` is what to say where it fails. */
async function run(args, { mayFail = false, advice } = {}) {
  const began = Date.now();
  const child = spawn(npm, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  const sign = setInterval(() => say(`\`npm ${args.join(' ')}\` goes on, ${seconds(began)} so far`), QUIET_MS);
  const [status, signal] = await once(child, 'close')
    // There is no npm.
    .catch(({ code }) => [null, code])
    .finally(() => clearInterval(sign));
  if (status !== 0 && !mayFail) {
    say(`\`npm ${args.join(' ')}\` failed (${signal ?? `exit ${status}`}); its output stands above`);
    if (advice !== undefined) say(advice);
    process.exit(3);
  }
  return status === 0;
}

/** The newest modification time below the paths, in milliseconds; `keep` picks the files. */
function newest(paths, keep = () => true) {
  let time = 0;
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (stat.isDirectory()) {
      time = Math.max(
        time,
        newest(
          readdirSync(path).map((name) => join(path, name)),
          keep,
        ),
      );
    } else if (keep(path)) {
      time = Math.max(time, stat.mtimeMs);
    }
  }
  return time;
}

// There is no fallback for it: state is kept in SQLite only.
const SQLITE_ADVICE =
  'better-sqlite3, in which agent and tenant keep their state, is needed. It comes ready-made from github.com; where ' +
  'that cannot be reached it is compiled, which takes a C++20 compiler, make and Python 3 (Debian: `apt-get install ' +
  'g++ make python3`) and the headers of Node.js, which npm gets from nodejs.org.';

const age = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

async function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  // Per Node major: better-sqlite3 is compiled against its headers.
  const wanted = `${lock} node ${process.versions.modules}`;
  const stamp = join(root, 'node_modules', '.phsync-set-up');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const began = Date.now();
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  say(
    `installing the ${Object.keys(packages).length - 1} locked packages (npm ci), which takes a minute or some, by the network; ` +
      'better-sqlite3 is compiled where no prebuilt can be had',
  );
  // The addon is built below, where a failure can be told apart from a failed install. The tests' and the compiler's
  // packages are needed whatever NODE_ENV says, and better-sqlite3's script whatever npm's configuration says.
  await run(['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--ignore-scripts']);
  await run(['rebuild', 'better-sqlite3', '--foreground-scripts=false', '--ignore-scripts=false'], {
    advice: SQLITE_ADVICE,
  });
  if (
    !(await run(['rebuild', 'pkcs11js', '--foreground-scripts=false', '--ignore-scripts=false'], { mayFail: true }))
  ) {
    say(
      'pkcs11js could not be built (why stands above): Domain Services keys can lie in files, and in no PKCS#11 token',
    );
  }
  writeFileSync(stamp, wanted);
  say(`dependencies installed in ${seconds(began)}`);
}

/** Builds an addon; `lacking` is what is to be said where it cannot be. */
async function addon({ what, folder, sources, script, lacking }) {
  const built = join(folder, 'build', 'Release', script === 'build:native' ? 'phsync.node' : 'phsync_gssapi.node');
  const failed = join(folder, 'build', 'failed');
  // The build for Kerberos leaves makefiles in native/node_modules.
  const newestSource = newest(
    sources,
    (path) => !/\/native\/(test|node_modules|gssapi\/build)\//.test(path.replaceAll('\\', '/')),
  );
  if (age(built) > newestSource) return;
  if (age(failed) > newestSource) {
    say(`${what} could not be built before, so ${lacking}; remove the folder ${join(folder, 'build')} to try again`);
    return;
  }
  const began = Date.now();
  say(`building ${what} (node-gyp)`);
  // Not --silent, by which node-gyp would keep what is missing to itself.
  if (await run(['run', '--loglevel=error', script], { mayFail: true })) {
    say(`${what} built in ${seconds(began)}`);
  } else {
    mkdirSync(dirname(failed), { recursive: true });
    writeFileSync(failed, '');
    say(`${what} could not be built (why stands above; it takes a C++17 compiler): ${lacking}`);
  }
}

async function addons() {
  const native = join(root, 'native');
  const gssapi = join(native, 'gssapi');
  await addon({
    what: 'the native addon',
    folder: root,
    sources: [join(root, 'binding.gyp'), ...readdirSync(native).map((name) => join(native, name))].filter(
      (path) => path !== gssapi,
    ),
    script: 'build:native',
    lacking: 'the pure-JS fallback is used',
  });
  if (process.platform !== 'linux') return;
  await addon({
    what: 'the addon for Kerberos',
    folder: gssapi,
    sources: [gssapi, join(native, 'secure_zero.h')],
    script: 'build:gssapi',
    lacking: 'there is no Kerberos',
  });
}

async function typescript() {
  const stamp = join(root, 'dist', '.built');
  const keep = (path) => path.endsWith('.ts') || path.endsWith('tsconfig.json') || path.endsWith('.sql');
  if (age(stamp) > newest([join(root, 'tsconfig.json'), join(root, 'src'), join(root, 'bench')], keep)) return;
  const began = Date.now();
  say('compiling TypeScript (tsc)');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  await run(['run', '--silent', 'build:ts']);
  writeFileSync(stamp, '');
  say(`compiled in ${seconds(began)}`);
}

await install();
await addons();
await typescript();
