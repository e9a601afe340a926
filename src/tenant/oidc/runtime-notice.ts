/**
 * oidc-provider says of Node 20 that it is unsupported, each time it is loaded. All that it needs is there from 20.19 on
 * (`URL.parse`, `crypto.hash`), and this package's tests run on it: who starts a tenant need not read that.
 */

const NOTICE = /oidc-provider WARNING: Unsupported runtime/;

const { warn } = console;
console.warn = (...args: unknown[]) => {
  if (typeof args[0] === 'string' && NOTICE.test(args[0])) return;
  warn(...args);
};

/** To be called when oidc-provider is loaded. */
export function letWarningsThrough(): void {
  console.warn = warn;
}
