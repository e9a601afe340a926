/** The documentation: every public name has some, every link leads somewhere, and every example gives what it says. */

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as phsync from '#src/index.js';
import { execute, plainEnvironment, root } from '../package/tools.js';
import { checker, type Example, examplesOfPage, examplesOfSource, withChecks } from './examples.js';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const PAGES = ['src/hasher/README.md', 'src/hasher/moving-from-node-crypto.md'];
const SOURCES = [...read('src/index.ts').matchAll(/from '\.\/(.+)\.js'/g)].map(([, path]) => `src/${path}.ts`);
const library = read('README.md').match(/^## The library$[\s\S]*?(?=^## )/m)![0];

const examples: readonly Example[] = [
  ...examplesOfPage('README.md', library),
  ...PAGES.flatMap((page) => examplesOfPage(page, read(page))),
  ...SOURCES.flatMap((file) => examplesOfSource(file, read(file), Object.keys(phsync))),
];

// Inside of the package, where its own name leads to it.
mkdirSync(join(root, 'build'), { recursive: true });
const folder = mkdtempSync(join(root, 'build', 'examples-'));
const fileOf = ({ name, language }: Example) =>
  join(folder, `${name.replace(/[^a-z0-9]+/gi, '-')}.${language === 'ts' ? 'mts' : 'cjs'}`);

async function run(file: string) {
  // FIPS mode and a forced backend are the examples' own affair.
  const { status, stdout, stderr } = await execute(process.execPath, [file], { cwd: folder, env: plainEnvironment() });
  return { status, stdout, stderr };
}

async function program(example: Example): Promise<string> {
  const file = fileOf(example);
  const { code, stated } = withChecks(example.code);
  const checked = `${checker(stated)}${code}`;
  if (example.language === 'cjs') {
    const { code: script } = await transform(`const $util = require('node:util');\n${checked}`, { loader: 'ts' });
    writeFileSync(file, script);
    return file;
  }
  writeFileSync(file, `import * as $util from 'node:util';\n${checked}\nexport {};\n`);
  const { code: script } = await transform(readFileSync(file, 'utf8'), { loader: 'ts', target: 'node20' });
  const compiled = file.replace(/\.mts$/, '.mjs');
  writeFileSync(compiled, script);
  return compiled;
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('examples', () => {
  const programs = new Map<string, string>();
  beforeAll(async () => {
    for (const example of examples) programs.set(example.name, await program(example));
  });

  it('are there, with outputs', () => {
    expect(examples.length).toBeGreaterThan(20);
    const outputs = examples.map(({ code }) => withChecks(code).stated);
    expect(examples.filter((_, i) => outputs[i] === 0).map(({ name }) => name)).toEqual([]);
  });

  it.each(examples.map(({ name }) => name))('%s gives what it says', async (name) => {
    expect(await run(programs.get(name)!)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('are TypeScript without errors', { timeout: 120_000 }, async () => {
    const compilerOptions = { lib: ['es2023'], target: 'es2023', module: 'nodenext', types: ['node'], strict: true };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...compilerOptions, noEmit: true, skipLibCheck: true }, include: ['*.mts'] }),
    );
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { status, stdout } = await execute(process.execPath, [tsc, '-p', folder], {
      cwd: folder,
      env: plainEnvironment(),
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});

describe('the check itself', () => {
  const check = async (code: string) => {
    const example: Example = { name: `itself ${code}`, language: 'ts', code };
    return run(await program(example));
  };

  it.each([
    ['a wrong output', "console.log('a'); // b", 'says b\n  gave a'],
    [
      'an output that never comes',
      "if (process.pid < 0) {\n  console.log('a'); // a\n}",
      '1 outputs are stated, 0 came',
    ],
    ['one time of two', "console.log('a'); // a | b", '2 outputs are stated, 1 came'],
    ['another value', '[1, 2]; // [ 1, 3 ]', 'gave [ 1, 2 ]'],
  ])('finds %s', async (_, code, message) => {
    const { status, stderr } = await check(code);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  it('takes … for anything', async () => {
    expect(await check("console.log('v1;a,b'); // v1;…b")).toMatchObject({ status: 0 });
  });
});

describe('the API documentation', () => {
  const make = (directory: string) =>
    execute(process.execPath, [join(directory, 'test', 'docs', 'make.mjs'), '--check'], {
      cwd: directory,
      env: process.env,
    });

  it('covers every public name, and its links lead somewhere', { timeout: 300_000 }, async () => {
    const { status, stdout, stderr } = await make(root);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
  });

  it('would miss a name without', { timeout: 300_000 }, async () => {
    const copy = join(folder, 'copy');
    for (const path of ['src', 'test/docs', 'bench/README.md', 'tsconfig.json', 'package.json']) {
      cpSync(join(root, path), join(copy, path), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const types = join(copy, 'src', 'hasher', 'types.ts');
    writeFileSync(types, readFileSync(types, 'utf8').replace('  /** 10 bytes. */\n', ''));
    const { status, stdout, stderr } = await make(copy);
    expect(status).not.toBe(0);
    expect(stdout + stderr).toContain('Credential.salt (Property)');
  });

  it('has pages whose links lead to files', () => {
    for (const page of PAGES) {
      for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
        expect(() => read(posix.join(posix.dirname(page), target!)), `${page}: ${target}`).not.toThrow();
      }
    }
  });
});
