import { describe, expect, test } from 'vitest';
import { decide } from '#src/agent/decide.js';
import { RESTORED_AFTER_MS } from '#src/agent/decide-password.js';
import type { Decision, DecisionContext, Peer } from '#src/agent/decision.js';
import { createScope } from '#src/agent/scope.js';
import type { DirectoryObject } from '#src/agent/source.js';
import { type ObjectRow, Outcome, RowFlag } from '#src/agent/state/rows.js';
import { dnDigestOf, fingerprintOf } from '#src/agent/user-properties.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { dateToFiletime } from '#src/protocol/dtyp/time.js';
import { directoryObject } from './objects.js';

const domain = { dnsName: 'phs.test', netbiosName: 'PHS' };
const NOW = Date.UTC(2026, 5, 1);
const everywhere = createScope({ include: [], exclude: [] });
const context = (more: Partial<DecisionContext> = {}): DecisionContext => ({
  scope: everywhere,
  domain,
  force: false,
  full: false,
  recovering: false,
  fetched: false,
  pwdLastSetCame: false,
  forceChange: false,
  disableExpired: false,
  now: NOW,
  ...more,
});
const FEATURE_ON = { forceChange: true };

/** The row of a user whom the tenant has as `directoryObject` is. */
const row = (more: Partial<ObjectRow> = {}, object = directoryObject()): ObjectRow => ({
  cloudAnchor: 'User_1',
  flags: RowFlag.inScope,
  fingerprint: fingerprintOf(object, domain, true),
  dnDigest: dnDigestOf(object.dn),
  passwordVersion: object.passwordVersion!,
  passwordChanged: object.passwordChanged!.getTime(),
  outcome: Outcome.success,
  sourceAnchor: null,
  accountExpires: null,
  keysVersion: null,
  ...more,
});

/** An object of which replication shows these attributes alone. */
const delta = (attributes: Partial<DirectoryObject> = {}): DirectoryObject =>
  directoryObject({
    objectClass: undefined,
    sAMAccountName: undefined,
    userPrincipalName: undefined,
    displayName: undefined,
    givenName: undefined,
    sn: undefined,
    mail: undefined,
    userAccountControl: undefined,
    pwdLastSet: undefined,
    accountExpires: undefined,
    unicodePwd: undefined,
    passwordVersion: undefined,
    passwordChanged: undefined,
    ...attributes,
  });
const newPassword = { unicodePwd: new Uint8Array(36), passwordVersion: 3, passwordChanged: new Date('2026-05-02') };

/** In a word or two what a decision does. */
function words(decision: Decision): string {
  switch (decision.kind) {
    case 'sync':
      return [
        decision.provision ? 'user' : '',
        decision.credential ? (decision.forceChange ? 'temporary password' : 'password') : '',
        decision.pwdLastSetOnly ? 'same' : '',
        decision.refusal?.code ?? '',
      ]
        .filter(Boolean)
        .join(' ');
    case 'pass':
      return decision.inScope ? 'unchanged' : 'nothing';
    case 'remember':
      return `remember${decision.refusal === undefined ? '' : ` ${decision.refusal.code}`}`;
    default:
      return decision.kind;
  }
}
const rowOf = (decision: Decision) => ('row' in decision ? decision.row : undefined);

describe('a whole object', () => {
  test.each<[string, Partial<DirectoryObject>, Partial<ObjectRow> | undefined, Partial<DecisionContext>, string]>([
    ['new', {}, undefined, {}, 'user password'],
    ['as it was', {}, {}, {}, 'unchanged'],
    ['as it was, of all', {}, {}, { force: true, full: true }, 'user password'],
    ['with another name', { displayName: 'Anna' }, {}, {}, 'user'],
    ['with a new password', newPassword, {}, {}, 'password'],
    ['whom the tenant does not have', {}, { cloudAnchor: null }, {}, 'user'],
    ['whom the tenant does not have, in the queue', {}, { cloudAnchor: null }, { force: true }, 'user password'],
    ['of another class', { objectClass: 'inetOrgPerson' }, {}, {}, 'delete'],
    ['of another class, unknown', { objectClass: 'inetOrgPerson' }, undefined, {}, 'remember'],
    ['without name', { sAMAccountName: undefined }, undefined, {}, 'fetch'],
    ['without name, read on its own', { sAMAccountName: undefined }, undefined, { fetched: true }, 'remember'],
    ['deleted', { deleted: true }, {}, {}, 'delete'],
    ['deleted, unknown', { deleted: true }, undefined, {}, 'nothing'],
    ['deleted, unknown after a cut-off cycle', { deleted: true }, undefined, { recovering: true }, 'delete'],
    ['without password', { unicodePwd: new Uint8Array(0) }, undefined, {}, 'user'],
    ['disabled', { userAccountControl: 0x202 }, {}, {}, 'user'],
    ['a contact', { objectClass: 'contact', rid: 0 }, undefined, {}, 'nothing'],
  ])('%s', (_, object, known, more, expected) => {
    const decision = decide(directoryObject(object), known && row(known), context(more));
    expect(words(decision)).toBe(expected);
  });
});

describe('what a change shows', () => {
  const elsewhere = createScope({ include: ['OU=Other,DC=phs,DC=test'], exclude: [] });
  test.each<[string, Partial<DirectoryObject>, Partial<ObjectRow> | undefined, Partial<DecisionContext>, string]>([
    ['a password', newPassword, {}, {}, 'password'],
    ['a password of an unknown object', newPassword, undefined, {}, 'fetch'],
    ['an attribute of the user', { mail: 'a@phs.test' }, {}, {}, 'fetch'],
    ['adminDescription', { adminDescription: 'x' }, {}, {}, 'fetch'],
    ['mS-DS-ConsistencyGuid', { consistencyGuid: new Uint8Array(16) }, {}, {}, 'fetch'],
    ['what a condition asks for', { attributes: new Map([['title', '']]) }, {}, {}, 'fetch'],
    ['another name', { dn: 'CN=Anna,OU=Staff,DC=phs,DC=test' }, {}, {}, 'fetch'],
    ['a place outside', {}, {}, { scope: elsewhere }, 'delete'],
    ['a place inside', {}, { flags: RowFlag.misplaced, cloudAnchor: null }, {}, 'fetch'],
    ['nothing of ours', {}, {}, {}, 'unchanged'],
    ['no account', { rid: 0 }, undefined, {}, 'nothing'],
  ])('%s', (_, object, known, more, expected) => {
    expect(words(decide(delta(object), known && row(known), context(more)))).toBe(expected);
  });
});

describe('must change at next log-on', () => {
  const held = { flags: RowFlag.inScope | RowFlag.mustChange | RowFlag.withheld, outcome: Outcome.filteredByTarget };
  const never = { ...held, passwordVersion: null, passwordChanged: null };
  const forced = { flags: RowFlag.inScope | RowFlag.mustChange | RowFlag.forced };
  const released = dateToFiletime(new Date('2026-05-03'));

  test('new: by the feature not sent, or sent and marked', () => {
    const object = directoryObject({ pwdLastSet: 0n });
    const off = decide(object, undefined, context());
    expect([words(off), rowOf(off)?.outcome]).toEqual(['user', Outcome.filteredByTarget]);
    expect(rowOf(off)!.flags & RowFlag.withheld).not.toBe(0);
    const on = decide(object, undefined, context(FEATURE_ON));
    expect([words(on), rowOf(on)?.outcome]).toEqual(['user temporary password', Outcome.success]);
    expect(rowOf(on)!.flags & (RowFlag.forced | RowFlag.withheld)).toBe(RowFlag.forced);
  });

  test.each<[string, Partial<DirectoryObject>, Partial<ObjectRow>, Partial<DecisionContext>, string]>([
    ['ticked, feature off', { pwdLastSet: 0n }, {}, {}, 'remember'],
    ['ticked, feature on', { pwdLastSet: 0n }, {}, FEATURE_ON, 'fetch'],
    ['ticked once more', { pwdLastSet: 0n }, forced, FEATURE_ON, 'fetch'],
    ['unticked, marked before', { pwdLastSet: released }, forced, {}, 'fetch'],
    ['unticked, held back before', { pwdLastSet: released }, never, {}, 'fetch'],
    ['unticked, neither', { pwdLastSet: released }, { flags: RowFlag.inScope | RowFlag.mustChange }, {}, 'remember'],
    ['reset, feature off', { ...newPassword, pwdLastSet: 0n }, {}, {}, 'remember'],
    ['reset, feature on', { ...newPassword, pwdLastSet: 0n }, {}, FEATURE_ON, 'temporary password'],
    ['another attribute, feature on since', {}, never, FEATURE_ON, 'fetch'],
  ])('%s', (_, object, known, more, expected) => {
    expect(words(decide(delta(object), row(known), context(more)))).toBe(expected);
  });

  test.each<[string, Partial<DirectoryObject>, Partial<ObjectRow>, Partial<DecisionContext>, string]>([
    ['ticked', { pwdLastSet: 0n }, {}, FEATURE_ON, 'temporary password same'],
    [
      'ticked once more',
      { pwdLastSet: 0n },
      forced,
      { ...FEATURE_ON, pwdLastSetCame: true },
      'temporary password same',
    ],
    ['marked as it was', { pwdLastSet: 0n }, forced, FEATURE_ON, 'unchanged'],
    ['unticked', { pwdLastSet: released }, forced, FEATURE_ON, 'password same'],
    ['unticked, never sent', { pwdLastSet: released }, never, {}, 'password'],
    ['reset and released', { ...newPassword, pwdLastSet: released }, held, {}, 'password'],
  ])('%s: what the object read for it does', (_, object, known, more, expected) => {
    const decision = decide(directoryObject(object), row(known), context({ fetched: true, ...more }));
    expect(words(decision)).toBe(expected);
  });
});

describe('an object outside, of which a change could not be read', () => {
  test('is read again when anything of it comes, before it leaves the retry queue', () => {
    const outside = row({ cloudAnchor: null, flags: 0, fingerprint: null });
    expect(words(decide(delta(newPassword), outside, context()))).toBe('nothing');
    expect(words(decide(delta(newPassword), outside, context({ force: true, recovering: true })))).toBe('fetch');
  });
});

describe('the order of passwords', () => {
  const known = { passwordVersion: 5, passwordChanged: NOW - 10_000 };
  const shown = (passwordVersion: number, age: number) =>
    directoryObject({ passwordVersion, passwordChanged: new Date(NOW - age) });
  test.each<[string, DirectoryObject, Partial<DecisionContext>, string]>([
    ['a newer version', shown(6, 5000), {}, 'password'],
    ['a newer version of an older time', shown(6, 20_000), {}, 'password'],
    ['the same version, later', shown(5, 5000), {}, 'password'],
    ['the same', shown(5, 10_000), {}, 'unchanged'],
    ['the same, in the retry queue', shown(5, 10_000), { force: true }, 'user password'],
    ['an older one', shown(4, 20_000), {}, 'unchanged'],
    ['an older one, in the retry queue', shown(4, 20_000), { force: true }, 'user'],
    ['an older one, by --full', shown(4, 20_000), { force: true, full: true }, 'user password'],
    [
      'an older one, by --full that has sent a newer one',
      shown(4, 20_000),
      { force: true, full: true, settledInPass: () => true },
      'user',
    ],
    ['an older version, later: one of two DCs, or a restored one', shown(4, 5000), {}, 'remember password-order'],
    ['an older version, later, for hours', shown(4, 0), { now: NOW + RESTORED_AFTER_MS }, 'password'],
  ])('%s', (_, object, more, expected) => {
    expect(words(decide(object, row(known), context(more)))).toBe(expected);
  });

  test('a newer version of an older time is told with the time that the tenant had last', () => {
    const decision = decide(shown(6, 20_000), row(known), context());
    expect(rowOf(decision)).toMatchObject({ passwordVersion: 6, passwordChanged: known.passwordChanged });
  });
});

describe('adminDescription', () => {
  const filtering = { scope: createScope({ include: [], exclude: [], passwords: 'PHSFiltered' }) };
  const off = { flags: RowFlag.inScope | RowFlag.passwordOff, outcome: Outcome.filteredByRule };

  test('marked: the user and no password; a new one is held back, and goes when the mark does', () => {
    const marked = decide(directoryObject({ adminDescription: 'PHSFILTERED' }), undefined, context(filtering));
    expect([words(marked), rowOf(marked)?.outcome]).toEqual(['user', Outcome.filteredByRule]);
    const changed = decide(delta(newPassword), row(off), context(filtering));
    expect(words(changed)).toBe('remember');
    expect(rowOf(changed)!.flags & RowFlag.withheld).not.toBe(0);
    expect(words(decide(directoryObject(newPassword), rowOf(changed)!, context(filtering)))).toBe('password');
  });

  test('the mark gone, the password as the tenant has it: nothing is sent', () => {
    const decision = decide(directoryObject(), row(off), context(filtering));
    expect([words(decision), rowOf(decision)?.outcome]).toEqual(['remember', Outcome.success]);
  });
});

describe('accountExpires', () => {
  const past = dateToFiletime(new Date(NOW - 1000));
  const disabling = { disableExpired: true };
  const expired = row({
    flags: RowFlag.inScope | RowFlag.expired,
    accountExpires: NOW - 1000,
    fingerprint: fingerprintOf(directoryObject(), domain, false),
  });

  test('is remembered, and by default does nothing', () => {
    const decision = decide(delta({ accountExpires: past }), row(), context());
    expect([words(decision), rowOf(decision)?.accountExpires]).toEqual(['remember', NOW - 1000]);
    expect(rowOf(decide(directoryObject({ accountExpires: past }), undefined, context()))!.flags).toBe(RowFlag.inScope);
  });

  test.each([0n, 0x7fff_ffff_ffff_ffffn])('%d is never', (never) => {
    expect(rowOf(decide(delta({ accountExpires: never }), expired, context()))?.accountExpires ?? null).toBeNull();
  });

  test('disables and enables where the connector says so', () => {
    expect(words(decide(delta({ accountExpires: past }), row(), context(disabling)))).toBe('fetch');
    const decision = decide(directoryObject({ accountExpires: past }), row(), context(disabling));
    expect(words(decision)).toBe('user');
    expect(rowOf(decision)).toMatchObject({ flags: RowFlag.inScope | RowFlag.expired });
    expect(words(decide(directoryObject({ accountExpires: past }), expired, context(disabling)))).toBe('unchanged');
    expect(words(decide(delta({ accountExpires: 0n }), expired, context(disabling)))).toBe('fetch');
    expect(words(decide(directoryObject({ accountExpires: 0n }), expired, context(disabling)))).toBe('user');
    expect(words(decide(directoryObject({ accountExpires: past }), expired, context()))).toBe('user');
  });
});

describe('the source anchor', () => {
  const own = guidFromText(directoryObject().guid);
  const other = new Uint8Array(16).fill(7);
  const peer = (more: Partial<Peer> = {}): Peer => ({
    own: false,
    connector: 2,
    guid: other,
    cloudAnchor: 'User_2',
    disabled: false,
    passwordChanged: null,
    ...more,
  });

  test.each<[string, Uint8Array | undefined, Uint8Array | null]>([
    ['objectGUID', undefined, null],
    ['of an attribute that was emptied, objectGUID', new Uint8Array(0), null],
    ['of an attribute that says the same, objectGUID', own, null],
    ['mS-DS-ConsistencyGuid', other, other],
  ])('is %s', (_, consistencyGuid, sourceAnchor) => {
    expect(rowOf(decide(directoryObject({ consistencyGuid }), undefined, context()))?.sourceAnchor).toEqual(
      sourceAnchor,
    );
  });

  test('of a user whom the tenant has stays, whatever the attribute says, and the password still goes', () => {
    const decision = decide(directoryObject({ consistencyGuid: other, ...newPassword }), row(), context());
    expect(words(decision)).toBe('password source-anchor-changed');
    expect(rowOf(decision)?.sourceAnchor).toBeNull();
    // Looked at again in the queue, it is not sent again.
    const flags = RowFlag.inScope | RowFlag.anchorChanged;
    const again = decide(directoryObject({ consistencyGuid: other }), row({ flags }), context({ force: true }));
    expect(words(again)).toBe('remember source-anchor-changed');
    expect(words(decide(directoryObject(), row({ flags }), context()))).toBe('remember');
  });

  test('of another object of the same directory is taken', () => {
    const taken = decide(directoryObject(), undefined, context({ peer: () => peer({ own: true }) }));
    expect(words(taken)).toBe('remember source-anchor-taken');
  });

  test('whom another connector holds is not deleted, but handed over', () => {
    const decision = decide(directoryObject({ deleted: true }), row(), context({ peer: () => peer() }));
    expect(decision).toMatchObject({ kind: 'remember', row: undefined, handOver: { connector: 2 } });
  });

  test("a disabled account leaves the user to another connector's enabled one", () => {
    const disabled = directoryObject({ userAccountControl: 0x202 });
    const aside = decide(disabled, row(), context({ peer: () => peer() }));
    expect([words(aside), rowOf(aside)?.outcome]).toEqual(['remember', Outcome.heldElsewhere]);
    expect(words(decide(disabled, row(), context({ peer: () => peer({ disabled: true }) })))).toBe('user');
    expect(words(decide(directoryObject(), rowOf(aside)!, context({ peer: () => peer() })))).toBe('user');
  });

  test('of two connectors the newer password counts', () => {
    const { passwordChanged } = directoryObject();
    const at = (offset: number) =>
      context({ peer: () => peer({ passwordChanged: passwordChanged!.getTime() + offset }) });
    expect(words(decide(directoryObject(), undefined, at(1000)))).toBe('user');
    expect(words(decide(directoryObject(), undefined, at(-1000)))).toBe('user password');
  });
});
