/** oidc-provider's values, for every file that needs more of it than its types. */

// First: the notice comes while oidc-provider is loaded.
import './runtime-notice.js';
import { errors, interactionPolicy, Provider } from 'oidc-provider';
import { letWarningsThrough } from './runtime-notice.js';

letWarningsThrough();

export { errors, interactionPolicy, Provider };
