/** Loads the native addon, once a thread, and keeps the reason where that fails. */

import type { NativeAddon } from './backend.js';
import { homeRequire, packageHome } from './package-home.js';

export interface Native {
  readonly addon: NativeAddon;
  readonly kernels: ReturnType<NativeAddon['kernels']>;
}

/** The addon, or why there is none. */
export type NativeLoad = { readonly native: Native } | { readonly whyNot: string };

function load(): NativeLoad {
  try {
    const nodeGypBuild: (root: string) => NativeAddon = homeRequire()('node-gyp-build');
    const addon = nodeGypBuild(packageHome());
    const kernels = addon.kernels();
    if (kernels.supported.length === 0) return { whyNot: 'the addon has no kernel that this CPU can run' };
    return { native: { addon, kernels } };
  } catch (error) {
    return { whyNot: (error instanceof Error ? error.message : String(error)).trim() };
  }
}

let loaded: NativeLoad | undefined;

/** The addon as node-gyp-build finds it (`build/Release`, else `prebuilds`), or the load error's text. */
export function loadNative(): NativeLoad {
  loaded ??= load();
  return loaded;
}
