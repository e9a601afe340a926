/** The packed package in empty folders, with no compiler in reach: on this Node.js and another, natively and without. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { describeWithTools } from '../native/tools.js';
import { NODE_24, runtime } from '../runtimes.js';
import { BUILD_TOOLS, bareTools, COMPUTE, COMPUTED, plainEnvironment, VECTORS } from './tools.js';

const tarball = inject('tarball');
const QUICK = ['--no-audit', '--no-fund', '--prefer-offline'];
const COMPILERS = ['cc', 'gcc', 'g++', 'c++', 'clang', 'clang++', 'make', 'python', 'python3', 'node-gyp'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'phsync-install-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A machine with Node.js and npm, and an empty project on it. */
class Site {
  readonly project: string;
  readonly #tools: string;

  constructor(name: string, node: string) {
    this.project = join(folder, name);
    mkdirSync(this.project);
    this.#tools = bareTools(join(folder, `${name}-tools`), node);
  }

  run(command: string, args: readonly string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}) {
    const { input = '', env = {} } = options;
    const { status, stdout, stderr } = spawnSync(join(this.#tools, command), args, {
      cwd: this.project,
      input,
      encoding: 'utf8',
      // Nothing listens there: the one dependency that would download a prebuilt addon finds none, whatever the network.
      env: { npm_config_better_sqlite3_binary_host: 'http://127.0.0.1:9', ...plainEnvironment(env), PATH: this.#tools },
    });
    return { status, stdout, output: stdout + stderr };
  }

  install(...args: string[]): string {
    const { status, output } = this.run('npm', ['install', '--prefix', this.project, ...QUICK, ...args]);
    expect(status, output).toBe(0);
    return output;
  }

  compute(env: NodeJS.ProcessEnv = {}) {
    const args = ['--input-type=module', '-e', COMPUTE];
    const { status, stdout, output } = this.run('node', args, { input: JSON.stringify(VECTORS), env });
    expect(status, output).toBe(0);
    const { info, ...computed } = JSON.parse(stdout);
    expect(computed).toEqual(COMPUTED);
    return info as { backend: string; kernel?: string; whyNotNative?: string };
  }

  package(...path: string[]): string {
    return join(this.project, 'node_modules', 'phsync', ...path);
  }
}

const NODES: readonly (readonly [string, () => string])[] = [
  [`Node.js ${process.versions.node}`, () => process.execPath],
  ['Node.js 24', () => runtime(NODE_24)],
];
const linuxX64 = process.platform === 'linux' && process.arch === 'x64';

describeWithTools('the package with a prebuilt addon', BUILD_TOOLS, () => {
  describe.each(linuxX64 ? NODES : NODES.slice(0, 1))('on %s', (name, node) => {
    let site: Site;
    let output: string;
    beforeAll(() => {
      site = new Site(name.replaceAll(' ', '-'), node());
      output = site.install('--foreground-scripts', tarball!);
    }, 120_000);

    it('is installed out of reach of any compiler', () => {
      for (const compiler of COMPILERS) {
        expect(site.run('sh', ['-c', `command -v ${compiler}`]).status, compiler).not.toBe(0);
      }
      // What the dependencies' own scripts say is theirs.
      expect(existsSync(site.package('build'))).toBe(false);
      expect(output).not.toContain('no prebuilt addon');
    });

    it('computes natively', () => {
      expect(site.compute()).toMatchObject({ backend: 'native', kernel: expect.any(String) });
    });

    it('computes the same with native forbidden', () => {
      expect(site.compute({ PHSYNC_BACKEND: 'fallback' })).toMatchObject({ backend: 'fallback' });
    });

    it('has a command line, which says what agent and tenant lack', () => {
      const cli = (...args: string[]) => site.run('node', [site.package('dist', 'cli', 'main.js'), ...args]);
      expect(JSON.parse(cli('info', '--json').stdout)).toMatchObject({ backend: 'native' });
      expect(existsSync(join(site.project, 'node_modules', 'better-sqlite3'))).toBe(false);
      const { status, stdout } = cli('demo', '--once', '--users', '1', '--json');
      expect(status).toBe(3);
      expect(JSON.parse(stdout)).toMatchObject({
        error: { code: 'store-sqlite', message: expect.stringMatching(/better-sqlite3.+C\+\+20 compiler/) },
      });
    });

    it('falls back where the addon is gone', () => {
      rmSync(site.package('prebuilds'), { recursive: true });
      expect(site.compute()).toMatchObject({
        backend: 'fallback',
        whyNotNative: expect.stringContaining('No native build'),
      });
    });
  });

  it('computes natively after --ignore-scripts', { timeout: 120_000 }, () => {
    const site = new Site('ignore-scripts', process.execPath);
    site.install('--ignore-scripts', tarball!);
    expect(site.compute()).toMatchObject({ backend: 'native' });
  });
});

describe('the package without a prebuilt addon', () => {
  it('installs without a compiler, says so in a line, and computes in JavaScript', { timeout: 120_000 }, () => {
    const site = new Site('sources', process.execPath);
    const output = site.install('--foreground-scripts', '--omit=optional', inject('tarballOfSources'));
    expect(output).toContain('the pure-JS fallback will do its work');
    expect(output).not.toMatch(/gyp|python/i);
    expect(site.compute()).toMatchObject({ backend: 'fallback' });
  });
});
