import { describe, expect, it } from 'vitest';
import type { NativeAddon } from '#src/hasher/backend.js';
import { PhsyncError } from '#src/hasher/errors.js';
import type { NativeLoad } from '#src/hasher/native.js';
import { selectBackend } from '#src/hasher/select-backend.js';
import type { HasherOptions } from '#src/hasher/types.js';

// The choice depends on the machine and the build; these two stand for one of each.
const present: NativeLoad = {
  native: {
    addon: {} as NativeAddon,
    kernels: {
      compiled: ['avx512', 'avx2', 'portable'],
      supported: ['avx2', 'portable'],
      lanes: { auto: 32, avx2: 32, portable: 1 },
      widths: [],
      measurementNanoseconds: 2e6,
      cpuFeatures: { avx2: true },
      compiler: 'gcc 12',
    },
  },
};
const absent: NativeLoad = { whyNot: 'No native build was found' };

function select(options: object, env: NodeJS.ProcessEnv, load = present) {
  return selectBackend(options as HasherOptions, env, () => load);
}

function errorOf(options: object, env: NodeJS.ProcessEnv, load = present): PhsyncError {
  try {
    select(options, env, load);
  } catch (error) {
    expect(error).toBeInstanceOf(PhsyncError);
    return error as PhsyncError;
  }
  throw new Error('was accepted');
}

describe('selectBackend', () => {
  it('takes native and its best kernel', () => {
    expect(select({}, {})).toEqual({
      info: { backend: 'native', kernel: 'avx2', kernels: ['avx2', 'portable'], whyNotNative: undefined },
      choice: 'auto',
      lanes: 32,
    });
  });

  it('falls back where native does not load, and keeps the reason', () => {
    expect(select({}, {}, absent)).toEqual({
      info: { backend: 'fallback', kernel: undefined, kernels: [], whyNotNative: 'No native build was found' },
      choice: undefined,
      lanes: 1,
    });
  });

  it('never loads native where the fallback is asked for', () => {
    const load = (): NativeLoad => {
      throw new Error('loaded');
    };
    expect(selectBackend({}, { PHSYNC_BACKEND: 'fallback' }, load).info).toEqual({
      backend: 'fallback',
      kernel: undefined,
      kernels: [],
      whyNotNative: 'the fallback was asked for (PHSYNC_BACKEND)',
    });
  });

  it.each([
    [{ kernel: 'portable' }, {}],
    [{}, { PHSYNC_KERNEL: 'portable' }],
    [{ kernel: 'portable' }, { PHSYNC_KERNEL: 'avx2' }],
    [{ backend: 'auto', kernel: 'portable' }, { PHSYNC_BACKEND: 'fallback' }],
  ])('takes the forced kernel: %j, %j', (options, env) => {
    expect(select(options, env)).toMatchObject({
      info: { backend: 'native', kernel: 'portable' },
      choice: 'portable',
      lanes: 1,
    });
  });

  it('ignores empty variables, and the kernel of the environment where an option says fallback', () => {
    expect(select({}, { PHSYNC_BACKEND: '', PHSYNC_KERNEL: '' }).choice).toBe('auto');
    expect(select({ backend: 'fallback' }, { PHSYNC_KERNEL: 'avx2' }).info.backend).toBe('fallback');
  });

  it.each([
    ['an unknown backend', { backend: 'wasm' }, {}, present, 'config-backend', 'auto, native, fallback'],
    ['an unknown PHSYNC_BACKEND', {}, { PHSYNC_BACKEND: 'Native' }, present, 'config-backend', 'PHSYNC_BACKEND'],
    ['native that does not load', { backend: 'native' }, {}, absent, 'config-backend', 'No native build'],
    ['an unknown kernel', { kernel: 'avx1024' }, {}, present, 'config-kernel', 'avx2, portable'],
    ['a kernel not in the build', { kernel: 'neon' }, {}, present, 'config-kernel', 'not in this build'],
    ['a kernel for another CPU', {}, { PHSYNC_KERNEL: 'avx512' }, present, 'config-kernel', 'avx2, portable'],
    ['a kernel without native', { kernel: 'avx2' }, {}, absent, 'config-kernel', 'No native build'],
    [
      'a kernel for the fallback',
      { backend: 'fallback', kernel: 'avx2' },
      {},
      present,
      'config-kernel',
      'options.kernel',
    ],
    [
      'an environment at odds',
      {},
      { PHSYNC_BACKEND: 'fallback', PHSYNC_KERNEL: 'avx2' },
      present,
      'config-kernel',
      'PHSYNC_KERNEL',
    ],
  ])('refuses %s and says what can be had', (_, options, env, load, code, text) => {
    const error = errorOf(options, env, load);
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
  });
});
