/** Which object of the directory the agent's own account is, by what agent.yaml calls it. */

import { expect, it } from 'vitest';
import { isOwnAccount, ownCondition } from '#src/agent/own-account.js';
import type { DirectoryObject } from '#src/agent/source.js';

it.each([
  ['phs.sync', { attribute: 'sAMAccountName', equals: 'phs.sync' }],
  ['PHS\\phs.sync', { attribute: 'sAMAccountName', equals: 'phs.sync' }],
  ['phs.sync@PHS.test', { attribute: 'sAMAccountName', equals: 'phs.sync' }],
  ['phsync.replication.one@phs.test', { attribute: 'userPrincipalName', equals: 'phsync.replication.one@phs.test' }],
  ['sync@contoso.com', { attribute: 'userPrincipalName', equals: 'sync@contoso.com' }],
  ['OTHER\\phs.sync', undefined],
])('%s is asked for by %o', (user, condition) => {
  expect(ownCondition(user, 'phs.test')).toEqual(condition);
});

it('is found by its name, in any case, and nobody else is', () => {
  const connector = (user?: string) => ({ directory: { type: 'drs', domain: 'phs.test', auth: { user } } });
  const object = (name: string, upn?: string) => ({ sAMAccountName: name, userPrincipalName: upn }) as DirectoryObject;
  expect(isOwnAccount(connector('phs.sync'), object('PHS.Sync'))).toBe(true);
  expect(isOwnAccount(connector('phs.sync'), object('phs.sync2'))).toBe(false);
  expect(isOwnAccount(connector('sync@contoso.com'), object('x', 'Sync@contoso.com'))).toBe(true);
  expect(isOwnAccount(connector('sync@contoso.com'), object('sync'))).toBe(false);
  // A credential cache says whose it is.
  expect(isOwnAccount(connector(), object('phs.sync'))).toBe(false);
  expect(isOwnAccount({ directory: { type: 'lab' } }, object('phs.sync'))).toBe(false);
});
