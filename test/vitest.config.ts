import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

// Tests import `#src/…`, which resolves to the compiled `dist`: what is tested is what ships.
const common = {
  root,
  server: { deps: { external: [/\/dist\//] } },
  // What is waited for comes soon, but on a busy machine not within a second. A time is for what never comes.
  expect: { poll: { timeout: 60_000 } },
};

export default defineConfig({
  root,
  test: {
    reporters: ['default', './test/summary-reporter.ts'],
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/samba/**', 'test/package/**'],
          // Programs, a database server, a browser, on a machine that does other things besides.
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // vitest's own choice leaves one core idle, which of two is half.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          globalSetup: ['test/package/global-setup.ts'],
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
          // npm writes thousands of small files, and one test compiles.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          ...common,
          name: 'samba',
          include: ['test/samba/**/*.test.ts'],
          globalSetup: ['test/samba/global-setup.ts'],
          // One domain controller for all, and tests that change it; after the others, for an even machine.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 240_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
