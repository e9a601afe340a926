/** oidc-provider's values, for every file that needs more of it than its types. */

// First: the notice comes while oidc-provider is loaded.
import './runtime-notice.js';
import { errors, interactionPolicy, Provider } from 'oidc-provider';
import { letWarningsThrough } from './runtime-notice.js';

letWarningsThrough();

export { errors, interactionPolicy, Provider };

/** Seconds by oidc-provider's clock, which is the system's: what it compares must be of the same. */
export const libraryTime = (): number => Math.floor(Date.now() / 1000);
