/** The packed package in empty folders, with no compiler in reach: on this Node.js and another, natively and without. */

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { describeWithTools } from '../native/tools.js';
import { NODE_24, runtime } from '../runtimes.js';
import { describePackage } from './describe-package.js';
import { BUILD_TOOLS, bareTools, COMPUTE, COMPUTED, execute, plainEnvironment, VECTORS_ARGUMENT } from './tools.js';

const tarball = inject('tarball');
const QUICK = ['--no-audit', '--no-fund', '--prefer-offline'];
const COMPILERS = ['cc', 'gcc', 'g++', 'c++', 'clang', 'clang++', 'make', 'python', 'python3', 'node-gyp'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'phsync-install-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A machine with Node.js and npm, and an empty project on it. */
class Site {
  readonly project: string;
  /** Where programs are found. */
  path: string;

  constructor(name: string, node: string) {
    this.project = join(folder, name);
    mkdirSync(this.project);
    this.path = bareTools(join(folder, `${name}-tools`), node);
  }

  async run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const { status, stdout, stderr } = await execute(command, args, {
      cwd: this.project,
      // Nothing listens there: the one dependency that would download a prebuilt addon finds none, whatever the network.
      env: { npm_config_better_sqlite3_binary_host: 'http://127.0.0.1:9', ...plainEnvironment(env), PATH: this.path },
    });
    return { status, stdout, output: stdout + stderr };
  }

  async install(...args: string[]): Promise<string> {
    const { status, output } = await this.run('npm', ['install', '--prefix', this.project, ...QUICK, ...args]);
    expect(status, output).toBe(0);
    return output;
  }

  async compute(env: NodeJS.ProcessEnv = {}) {
    const args = ['--input-type=module', '-e', COMPUTE, VECTORS_ARGUMENT];
    const { status, stdout, output } = await this.run('node', args, env);
    expect(status, output).toBe(0);
    const { info, ...computed } = JSON.parse(stdout);
    expect(computed).toEqual(COMPUTED);
    return info as { backend: string; kernel?: string; whyNotNative?: string };
  }

  /** What Kerberos' addon says: `there`, or why the system's libraries are not; or why there is no addon. */
  async kerberos(): Promise<string> {
    const addon = JSON.stringify(this.package('native', 'gssapi'));
    const program = `import { createRequire } from 'node:module';
      const load = createRequire(${JSON.stringify(this.package('package.json'))})('node-gyp-build');
      try { console.log(load(${addon}).whyNot() ?? 'there'); } catch (error) { console.log('no addon: ' + error.message); }`;
    const { status, stdout, output } = await this.run('node', ['--input-type=module', '-e', program]);
    expect(status, output).toBe(0);
    return stdout.trim();
  }

  package(...path: string[]): string {
    return join(this.project, 'node_modules', 'phsync', ...path);
  }
}

const NODES: readonly (readonly [string, () => Promise<string>])[] = [
  [`Node.js ${process.versions.node}`, async () => process.execPath],
  ['Node.js 24', () => runtime(NODE_24)],
];
const linuxX64 = process.platform === 'linux' && process.arch === 'x64';

describePackage('installed out of reach of any compiler', () => {
  describeWithTools('with a prebuilt addon', BUILD_TOOLS, () => {
    describe.each(linuxX64 ? NODES : NODES.slice(0, 1))('on %s', (name, node) => {
      let site: Site;
      let output: string;
      beforeAll(async () => {
        site = new Site(name.replaceAll(' ', '-'), await node());
        output = await site.install('--foreground-scripts', tarball!);
      });

      it('is installed out of reach of any compiler', async () => {
        for (const compiler of COMPILERS) {
          const { status } = await site.run('sh', ['-c', `command -v ${compiler}`]);
          expect(status, compiler).not.toBe(0);
        }
        // What the dependencies' own scripts say is theirs.
        expect(existsSync(site.package('build'))).toBe(false);
        expect(output).not.toContain('no prebuilt addon');
      });

      it('computes natively', async () => {
        expect(await site.compute()).toMatchObject({ backend: 'native', kernel: expect.any(String) });
      });

      it("has Kerberos' addon, which finds the system's libraries or names what is missing", async () => {
        expect(await site.kerberos()).toMatch(/^there$|^libkrb5\.so\.3/);
      });

      it('computes the same with native forbidden', async () => {
        expect(await site.compute({ PHSYNC_BACKEND: 'fallback' })).toMatchObject({ backend: 'fallback' });
      });

      it('has a command line, which says what agent and tenant lack', async () => {
        const cli = (...args: string[]) => site.run('node', [site.package('dist', 'cli', 'main.js'), ...args]);
        expect(JSON.parse((await cli('info', '--json')).stdout)).toMatchObject({ backend: 'native' });
        expect(existsSync(join(site.project, 'node_modules', 'better-sqlite3'))).toBe(false);
        const { status, stdout } = await cli('demo', '--once', '--users', '1', '--json');
        expect(status).toBe(3);
        expect(JSON.parse(stdout)).toMatchObject({
          error: { code: 'store-sqlite', message: expect.stringMatching(/better-sqlite3.+C\+\+20 compiler/) },
        });
      });

      it('falls back where the addon is gone', async () => {
        rmSync(site.package('prebuilds'), { recursive: true });
        expect(await site.compute()).toMatchObject({
          backend: 'fallback',
          whyNotNative: expect.stringContaining('No native build'),
        });
      });
    });

    it('computes natively after --ignore-scripts', async () => {
      const site = new Site('ignore-scripts', process.execPath);
      await site.install('--ignore-scripts', tarball!);
      expect(await site.compute()).toMatchObject({ backend: 'native' });
    });
  });

  describe('without a prebuilt addon', () => {
    it('says so in a line, and computes in JavaScript', async () => {
      const site = new Site('sources', process.execPath);
      const output = await site.install('--foreground-scripts', '--omit=optional', inject('tarballOfSources'));
      expect(output).toContain('the pure-JS fallback will do its work');
      expect(output).not.toMatch(/gyp|python/i);
      expect(await site.compute()).toMatchObject({ backend: 'fallback' });
      expect(await site.kerberos()).toMatch(/^no addon: No native build/);
    });
  });
});

describePackage('installed where there is a compiler', () => {
  describeWithTools('without a prebuilt addon', BUILD_TOOLS, () => {
    it('compiles it from the sources in the package', async () => {
      const site = new Site('compiled', process.execPath);
      site.path = process.env.PATH!;
      await site.install('--omit=optional', inject('tarballOfSources'));
      expect(existsSync(site.package('build', 'Release', 'phsync.node'))).toBe(true);
      expect(await site.compute()).toMatchObject({ backend: 'native' });
      if (process.platform === 'linux') expect(await site.kerberos()).toMatch(/^there$|^libkrb5\.so\.3/);
    });
  });
});
