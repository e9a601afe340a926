/** A page as it goes out: status, headers (Content Security Policy Level 3 and the others) and the document around its content. */

import { icon, style } from './assets.js';
import { type Html, html } from './html.js';

export interface Page {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface PageParts {
  /** Tells the state: `Error: …` where there is one. The tenant's name is put behind. */
  readonly title: string;
  /** The tenant's display name. */
  readonly brand: string;
  readonly content: Html;
  /** 200 if left out. */
  readonly status?: number;
  /** The browser goes on to this address by itself. The page has a link as well. */
  readonly goOn?: string;
  /** Where a form of the page may lead besides this server: addresses whose origin (or scheme) is let through. */
  readonly formTargets?: readonly string[];
}

const ONE_YEAR = 31_536_000;

export function renderPage({ title, brand, content, status = 200, goOn, formTargets = [] }: PageParts): Page {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title} - ${brand}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
${goOn !== undefined && html`<meta http-equiv="refresh" content="0;url=${goOn}">`}
<link rel="icon" href="${icon.path}" type="image/svg+xml">
<link rel="stylesheet" href="${style.path}">
</head>
<body>
<main>
<p class="brand"><span class="mark" aria-hidden="true">${monogram(brand)}</span><bdi>${brand}</bdi></p>
${content}
</main>
</body>
</html>
`;
  return { status, headers: pageHeaders(formTargets), body: document.toString() };
}

/** Of every page. `formTargets`: other places that a form's answer may redirect to, which browsers hold against form-action. */
export function pageHeaders(formTargets: readonly string[] = []): Readonly<Record<string, string>> {
  const formAction = ["'self'", ...new Set(formTargets.map(cspSource))].filter((source) => source !== '').join(' ');
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy':
      `default-src 'none'; style-src 'self'; img-src 'self'; form-action ${formAction}; ` +
      "frame-ancestors 'none'; base-uri 'none'",
    'cache-control': 'no-store',
    // Not `no-referrer`, under which a browser sends `Origin: null` with our own forms.
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'strict-transport-security': `max-age=${ONE_YEAR}`,
    // No Cross-Origin-Opener-Policy: it would cut off applications that sign in through a window that they opened.
  };
}

function cspSource(address: string): string {
  const { protocol, origin } = new URL(address);
  // An application's own scheme has no origin.
  const source = protocol === 'https:' || protocol === 'http:' ? origin : protocol;
  // A host may hold a semicolon or a comma, which would begin another directive or policy.
  return /[;,\s]/.test(source) ? '' : source;
}

const monogram = (brand: string): string => ([...brand.trim()][0] ?? '·').toUpperCase();
