/** What a grant came to: a reply's body, or an AADSTS code with what it is about. */

import type { AadstsCode } from './oauth-error.js';

export type Answer = { readonly body: object } | { readonly code: AadstsCode; readonly subject?: string };
