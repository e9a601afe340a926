import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('../..', import.meta.url));

// The fault runs alone, without the domain controller that the other tests share.
export default defineConfig({
  root,
  test: {
    root,
    server: { deps: { external: [/\/dist\//] } },
    include: ['test/samba/faults.test.ts'],
    hookTimeout: 300_000,
  },
});
