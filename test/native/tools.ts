/** Suites that need programs of the system: a named skip where one is missing, and with CI=true a failure. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'vitest';

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const isPresent = (command: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((directory) => isExecutable(join(directory, command)));

/** `tools` are commands with the Debian package that has each, for example `{ 'qemu-aarch64': 'qemu-user' }`. */
export function describeWithTools(name: string, tools: Readonly<Record<string, string>>, body: () => void): void {
  const missing = Object.keys(tools).filter((command) => !isPresent(command));
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const why = missing.map((command) => `${command} (Debian: ${tools[command]})`).join(', ');
  if (process.env.CI !== 'true') describe.skip(`${name} (missing: ${why})`, body);
  else
    describe(name, () =>
      it('has its tools', () => {
        throw new Error(`missing: ${why}`);
      }),
    );
}
