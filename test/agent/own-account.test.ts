/** Which object of the directory the agent's own account is, by what agent.yaml calls it. */

import { expect, it } from 'vitest';
import { isOwnAccount, ownConditions } from '#src/agent/own-account.js';
import type { DirectoryObject } from '#src/agent/source.js';

const account = (equals: string) => ({ attribute: 'sAMAccountName', equals });
const principal = (equals: string) => ({ attribute: 'userPrincipalName', equals });

it.each([
  ['phs.sync', [account('phs.sync'), principal('phs.sync@phs.test')]],
  ['PHS\\phs.sync', [account('phs.sync'), principal('phs.sync@phs.test')]],
  ['phs.sync@PHS.test', [account('phs.sync'), principal('phs.sync@PHS.test')]],
  ['phsync.replication.one@phs.test', [principal('phsync.replication.one@phs.test')]],
  ['sync@contoso.com', [principal('sync@contoso.com')]],
  ['OTHER\\phs.sync', []],
])('%s is asked for by %o', (user, conditions) => {
  expect(ownConditions(user, 'phs.test')).toEqual(conditions);
});

it('is found by its name, in any case, and nobody else is', () => {
  const connector = (user?: string) => ({ directory: { type: 'drs', domain: 'phs.test', auth: { user } } });
  const object = (name: string, upn?: string) => ({ sAMAccountName: name, userPrincipalName: upn }) as DirectoryObject;
  expect(isOwnAccount(connector('phs.sync'), object('PHS.Sync'))).toBe(true);
  expect(isOwnAccount(connector('phs.sync'), object('phs.sync2'))).toBe(false);
  expect(isOwnAccount(connector('sync@contoso.com'), object('x', 'Sync@contoso.com'))).toBe(true);
  expect(isOwnAccount(connector('sync@contoso.com'), object('sync'))).toBe(false);
  // By a userPrincipalName whose first part is no sAMAccountName, and as Kerberos has the name without its domain.
  for (const user of ['repl.svc@phs.test', 'repl.svc', 'PHS\\repl.svc']) {
    expect(isOwnAccount(connector(user), object('svcrep', 'Repl.svc@phs.test')), user).toBe(true);
    expect(isOwnAccount(connector(user), object('svcrep', 'repl.svc@contoso.com')), user).toBe(false);
    expect(isOwnAccount(connector(user), object('repl.svc')), user).toBe(true);
  }
  // A credential cache says whose it is.
  expect(isOwnAccount(connector(), object('phs.sync'))).toBe(false);
  expect(isOwnAccount({ directory: { type: 'lab' } }, object('phs.sync'))).toBe(false);
});
