/** The package's types as a user's compiler sees them: strict, libraries checked, by both ways of finding modules. */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { describePackage } from './describe-package.js';
import { execute, plainEnvironment, root } from './tools.js';

const installed = inject('installed');
const phsync = join(installed, 'node_modules', 'phsync');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const consumer = readFileSync(join(root, 'test', 'package', 'consumer.ts'), 'utf8');

/** The public names: `export { a, type B } from …`. */
const names = [...readFileSync(join(phsync, 'dist', 'index.d.ts'), 'utf8').matchAll(/export \{([^}]*)\}/g)]
  .flatMap(([, list]) => list!.split(','))
  .map((name) => name.replace(/^\s*type\s/, '').trim())
  .filter((name) => name !== '');

interface Project {
  readonly module: 'node16' | 'nodenext' | 'esnext';
  readonly moduleResolution: 'node16' | 'nodenext' | 'bundler';
  /** Of the project's package.json. */
  readonly type: 'module' | 'commonjs';
}

async function check(name: string, { module, moduleResolution, type }: Project, source: string) {
  const folder = join(installed, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }));
  writeFileSync(join(folder, 'consumer.ts'), source);
  const compilerOptions = {
    module,
    moduleResolution,
    target: 'es2022',
    lib: ['es2022'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
  const { status, stdout } = await execute(process.execPath, [tsc, '-p', folder], {
    cwd: folder,
    env: plainEnvironment(),
  });
  return { status, stdout };
}

const PROJECTS: Readonly<Record<string, Project>> = {
  'ES modules, node16': { module: 'node16', moduleResolution: 'node16', type: 'module' },
  // It may require ES modules, as Node.js has it since 20.19.
  'CommonJS, nodenext': { module: 'nodenext', moduleResolution: 'nodenext', type: 'commonjs' },
  'a bundler': { module: 'esnext', moduleResolution: 'bundler', type: 'module' },
};

describePackage('the types', () => {
  beforeAll(() => {
    // The user's own, of the oldest Node.js that phsync runs on.
    mkdirSync(join(installed, 'node_modules', '@types'), { recursive: true });
    symlinkSync(join(root, 'node_modules', '@types', 'node'), join(installed, 'node_modules', '@types', 'node'));
  });

  it('are all used by the consumer', () => {
    expect(names.length).toBeGreaterThan(20);
    const unused = names.filter((name) => !new RegExp(`\\b${name}\\b`).test(consumer));
    expect(unused).toEqual([]);
  });

  it.each(Object.entries(PROJECTS))('check with %s', async (name, project) => {
    expect(await check(name, project, consumer)).toEqual({ status: 0, stdout: '' });
  });

  it.each(Object.entries(PROJECTS))('refuse what is wrong, with %s', async (name, project) => {
    const wrong = `import { createHasher } from 'phsync';
createHasher({ kernel: 'mmx' });
void createHasher().deriveBatch({ ntHashes: 'text' });
const credential: Promise<string> = createHasher().derive(new Uint8Array(16));
`;
    const { status, stdout } = await check(`${name}, wrong`, project, wrong);
    expect(status).not.toBe(0);
    expect([...stdout.matchAll(/consumer\.ts\((\d+),/g)].map(([, line]) => Number(line))).toEqual([2, 3, 4]);
  });
});

describePackage('the entries', () => {
  it('keep the package to itself: nothing but its entry and package.json can be imported', async () => {
    const resolves = async (name: string) => {
      const args = ['--input-type=module', '-e', `import.meta.resolve('${name}')`];
      return (await execute(process.execPath, args, { cwd: installed, env: plainEnvironment() })).status;
    };
    expect(await resolves('phsync')).toBe(0);
    expect(await resolves('phsync/package.json')).toBe(0);
    expect(await resolves('phsync/dist/hasher/worker.js')).not.toBe(0);
  });
});
