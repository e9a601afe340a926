/** Where a federated domain's people sign in, with the name that they have given already. */

/** `url` is the domain's, as an administrator set it; nothing of the request decides where it leads. */
export function federationAddress(url: string, name: string | undefined): string {
  const address = new URL(url);
  if (name !== undefined) address.searchParams.set('login_hint', name);
  return address.href;
}
