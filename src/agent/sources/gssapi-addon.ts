/** Loads the addon through which Kerberos is spoken, once a thread, and keeps the reason where that fails. */

import { join } from 'node:path';
import { homeRequire, packageHome } from '../../hasher/package-home.js';
import type { GssapiAddon } from '../../protocol/ssp/kerberos/gssapi.js';

const PACKAGES = 'install the package libgssapi-krb5-2 (Debian, Ubuntu) or krb5-libs (Red Hat, Alpine)';

/** Stands in for the addon where there is none. */
function missing(why: string): GssapiAddon {
  return {
    whyNot: () => why,
    SecurityContext: class {
      constructor() {
        throw new Error(why);
      }
    } as unknown as GssapiAddon['SecurityContext'],
  };
}

function load(): GssapiAddon {
  try {
    const nodeGypBuild: (root: string) => GssapiAddon = homeRequire()('node-gyp-build');
    const { whyNot, SecurityContext } = nodeGypBuild(join(packageHome(), 'native', 'gssapi'));
    return {
      SecurityContext,
      whyNot: () => {
        const reason = whyNot();
        return reason === undefined ? undefined : `${reason}: ${PACKAGES}`;
      },
    };
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).trim();
    return missing(
      `phsync's own addon for Kerberos, which is for Linux, is not there or does not load (${reason}): where it is to ` +
        'be compiled, `npm rebuild phsync --foreground-scripts --loglevel=verbose` says what is missing',
    );
  }
}

let loaded: GssapiAddon | undefined;

/** The addon as node-gyp-build finds it below `native/gssapi`; its `whyNot` says why Kerberos cannot be had, if so. */
export function loadGssapi(): GssapiAddon {
  loaded ??= load();
  return loaded;
}
