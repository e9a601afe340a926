/** Whether a form was sent by a page of this server: Origin (RFC 6454, 7) and Sec-Fetch-Site (Fetch Metadata). */

import type { IncomingHttpHeaders } from 'node:http';

/** Every browser sends at least one of the two with a form; a request without either comes from none. */
export function isFromHere({ headers }: { readonly headers: IncomingHttpHeaders }, baseUrl: string): boolean {
  const { origin, 'sec-fetch-site': site } = headers;
  if (origin === undefined && site === undefined) return false;
  return (origin === undefined || origin === new URL(baseUrl).origin) && (site === undefined || site === 'same-origin');
}
