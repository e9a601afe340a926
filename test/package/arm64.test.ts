/** The package's prebuilt addon for arm64, in the installed package, under QEMU. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { ARM64_TOOLS, qemu } from '../native/arm64/qemu.js';
import { describeWithTools } from '../native/tools.js';
import { NODE_ARM64, runtime } from '../runtimes.js';
import { describePackage } from './describe-package.js';
import { BUILD_TOOLS, COMPUTE, COMPUTED, VECTORS_ARGUMENT } from './tools.js';

const suite = (): void => {
  let node: string;
  beforeAll(async () => {
    node = await runtime(NODE_ARM64);
  });

  it('is what the installed package computes with, on its pool', async () => {
    const program = join(inject('installed'), 'compute-on-arm64.mjs');
    writeFileSync(program, COMPUTE);
    const { code, stdout, stderr } = await qemu([node, program, VECTORS_ARGUMENT]);
    expect(code, stderr).toBe(0);
    const { info, ...computed } = JSON.parse(stdout);
    expect(computed).toEqual(COMPUTED);
    expect(info).toMatchObject({ backend: 'native', kernels: expect.arrayContaining(['neon']) });
  });

  it("comes with Kerberos' addon, which names the libraries that it does not find there", async () => {
    const folder = join(inject('installed'), 'node_modules', 'phsync', 'native', 'gssapi');
    const addon = join(folder, 'prebuilds', 'linux-arm64', 'phsync_gssapi.glibc.node');
    const program = `console.log(require(${JSON.stringify(addon)}).whyNot())`;
    const { code, stdout, stderr } = await qemu([node, '-e', program]);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/libkrb5\.so\.3/);
  });
};

if (process.arch === 'arm64') describe.skip('the prebuilt addon for arm64 (other suites run it here)', suite);
else {
  describePackage('the prebuilt addon for arm64', () => {
    describeWithTools('under QEMU', { ...BUILD_TOOLS, ...ARM64_TOOLS }, suite);
  });
}
