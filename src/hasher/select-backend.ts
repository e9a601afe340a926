/** Which backend and kernel to use: the options, then the environment, then the best that runs here. */

import { PhsyncError } from './errors.js';
import { loadNative, type NativeLoad } from './native.js';
import type { BackendName, HasherInfo, HasherOptions, KernelChoice, KernelName } from './types.js';

const BACKENDS = ['auto', 'native', 'fallback'] as const;

export interface Selection {
  readonly info: Omit<HasherInfo, 'threads'>;
  /** What the backend is opened with: the kernel that was asked for, else `auto`; undefined for the fallback. */
  readonly choice: KernelChoice | undefined;
  /** Jobs that the backend works off side by side: slices are multiples of it. 1 for the fallback. */
  readonly lanes: number;
}

const fallback = (whyNotNative: string): Selection => ({
  info: { backend: 'fallback', kernel: undefined, kernels: [], whyNotNative },
  choice: undefined,
  lanes: 1,
});

interface Wish {
  readonly value: string;
  /** Who asked: `options.kernel` or `PHSYNC_KERNEL`. */
  readonly from: string;
}

function wish(name: 'backend' | 'kernel', option: unknown, variable: string | undefined): Wish | undefined {
  if (option !== undefined) {
    if (typeof option !== 'string') throw new TypeError(`options.${name}: expected a string, got ${typeof option}`);
    return { value: option, from: `options.${name}` };
  }
  if (variable === undefined || variable === '') return undefined;
  return { value: variable, from: `PHSYNC_${name.toUpperCase()}` };
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 40));

function backendWish(option: unknown, env: NodeJS.ProcessEnv): Wish & { value: 'auto' | BackendName } {
  const asked = wish('backend', option, env.PHSYNC_BACKEND) ?? { value: 'auto', from: 'default' };
  const value = BACKENDS.find((name) => name === asked.value);
  if (value === undefined) {
    throw new PhsyncError(
      'config-backend',
      `${asked.from}: unknown backend ${quote(asked.value)}; expected one of ${BACKENDS.join(', ')}`,
      { facts: { from: asked.from } },
    );
  }
  return { value, from: asked.from };
}

function kernelError(asked: Wish, why: string, supported: readonly KernelName[]): PhsyncError {
  const known = supported.length > 0 ? `supported here: ${supported.join(', ')}` : 'no kernel is available';
  return new PhsyncError('config-kernel', `${asked.from}: kernel ${quote(asked.value)} ${why}; ${known}`, {
    facts: { from: asked.from, supported: supported.join(',') },
  });
}

/**
 * Chooses. A name that is unknown or cannot run here is an error that says what can.
 *
 * @throws {PhsyncError} `config-backend` or `config-kernel`.
 * @throws {TypeError} for an option of the wrong kind.
 */
export function selectBackend(
  options: Pick<HasherOptions, 'backend' | 'kernel'>,
  env: NodeJS.ProcessEnv = process.env,
  load: () => NativeLoad = loadNative,
): Selection {
  const backend = backendWish(options.backend, env);
  // An option that says fallback outranks the environment's kernel; the environment's own contradiction is an error.
  const kernelVariable = options.backend === 'fallback' ? undefined : env.PHSYNC_KERNEL;
  const kernel = wish('kernel', options.kernel, kernelVariable);
  if (backend.value === 'fallback') {
    const whyNotNative = `the fallback was asked for (${backend.from})`;
    if (kernel !== undefined) throw kernelError(kernel, `cannot run: ${whyNotNative}`, []);
    return fallback(whyNotNative);
  }
  const loaded = load();
  if ('whyNot' in loaded) {
    const { whyNot } = loaded;
    if (backend.value === 'native') {
      throw new PhsyncError('config-backend', `${backend.from}: the native backend cannot be loaded: ${whyNot}`, {
        facts: { from: backend.from },
      });
    }
    if (kernel !== undefined) {
      throw kernelError(kernel, `cannot run: the native backend cannot be loaded: ${whyNot}`, []);
    }
    return fallback(whyNot);
  }
  const { supported, compiled, lanes } = loaded.native.kernels;
  const chosen = kernel === undefined ? supported[0] : supported.find((name) => name === kernel.value);
  if (chosen === undefined && kernel !== undefined) {
    const present = compiled.some((name) => name === kernel.value);
    throw kernelError(kernel, present ? 'needs what this CPU or OS lacks' : 'is not in this build', supported);
  }
  const choice = kernel === undefined ? 'auto' : chosen;
  return {
    info: { backend: 'native', kernel: chosen, kernels: supported, whyNotNative: undefined },
    choice,
    lanes: (choice && lanes[choice]) ?? 1,
  };
}
