/** Node in FIPS mode, for real: OpenSSL's FIPS provider (`test/fips/install` brings it) in a process of its own. */

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Where libcrypto's modules are, as the `openssl` command has it. */
function modulesDirectory(): string | undefined {
  try {
    return /"(.+)"/.exec(execFileSync('openssl', ['version', '-m'], { encoding: 'utf8' }))?.[1];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const modules = modulesDirectory();
const provider = modules === undefined ? undefined : join(modules, 'fips.so');
export const fipsProvider = provider !== undefined && existsSync(provider) ? provider : undefined;

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface FipsMode {
  /** Runs node in FIPS mode; `input` goes to its standard input. */
  node(args: readonly string[], input?: string): Promise<Ended>;
  /** Runs an ES module's source and returns the JSON that it prints. */
  evaluate<T>(source: string, input: string): Promise<T>;
  close(): void;
}

/** Checks the provider's integrity and writes a configuration that offers it to Node. */
export function startFipsMode(fips: string): FipsMode {
  const directory = mkdtempSync(join(tmpdir(), 'phsync-fips-'));
  const moduleConfig = join(directory, 'fipsmodule.cnf');
  execFileSync('openssl', ['fipsinstall', '-quiet', '-module', fips, '-out', moduleConfig], { stdio: 'pipe' });
  const config = join(directory, 'nodejs.cnf');
  // `base` has the encoders of keys, which are no cryptography.
  writeFileSync(
    config,
    `nodejs_conf = init\n.include ${moduleConfig}\n[init]\nproviders = list\n` +
      '[list]\ndefault = on\nbase = on\nfips = fips_sect\n[on]\nactivate = 1\n',
  );
  const env = {
    ...process.env,
    OPENSSL_CONF: config,
    OPENSSL_MODULES: dirname(fips),
    // Children of the child, too.
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --enable-fips`,
  };
  const node: FipsMode['node'] = (args, input = '') =>
    new Promise((resolve, reject) => {
      const child = execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') resolve({ code, stdout, stderr });
        else reject(error);
      });
      child.stdin!.end(input);
    });
  return {
    node,
    async evaluate(source, input) {
      const { code, stdout, stderr } = await node(['--input-type=module', '-e', source], input);
      if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
    close: () => rmSync(directory, { recursive: true }),
  };
}
