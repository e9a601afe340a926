/** Where a connector stands with Domain Services, from one offer of the tenant's to the next. */

import { describe, expect, test } from 'vitest';
import { type DomainServicesOffer, OFF, UNKNOWN, VETOED } from '#src/agent/domain-services/offer.js';
import { changeOf, NEVER_ON, type Standing, wantedKeys } from '#src/agent/domain-services/standing.js';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const certificate = (thumbprint: string) => ({
  der: new Uint8Array(),
  thumbprint,
  subject: `CN=${thumbprint}`,
  validFrom: NOW - 1000,
  validTo: NOW + 1000,
});
const on = (thumbprint = 'aa', ntlm = true, kerberos = true, epoch: string | null = null): DomainServicesOffer => ({
  kind: 'on',
  ntlm,
  kerberos,
  certificate: certificate(thumbprint),
  epoch,
});
const unusable = (code: string, thumbprint = 'aa'): DomainServicesOffer => ({
  kind: 'unusable',
  code,
  reason: 'for a reason',
  certificate: certificate(thumbprint),
});

/** After one offer after the other: the standing, how often a full synchronization was owed, and what was told. */
function stepped(...offers: DomainServicesOffer[]) {
  let standing: Standing = NEVER_ON;
  const steps = offers.map((offer, i) => {
    const { next, told, owesFull } = changeOf(standing, offer, NOW + i);
    standing = next;
    return { name: next.name, owesFull, told: told.map(({ message }) => String(message)) };
  });
  return { standing, last: steps.at(-1)!, steps };
}

describe('switched on', () => {
  test('owes a full synchronization once', () => {
    const { steps, standing } = stepped(OFF, on(), on(), on());
    expect(steps.map(({ name, owesFull }) => [name, owesFull])).toEqual([
      ['off', false],
      ['on', true],
      ['on', false],
      ['on', false],
    ]);
    expect(steps.map(({ told }) => told.length)).toEqual([0, 1, 0, 0]);
    expect(standing).toMatchObject({ since: NOW + 1, thumbprint: 'aa', ntlm: true, kerberos: true, fullAt: null });
  });

  test('again after it was off, vetoed, or unknown to the tenant', () => {
    for (const off of [OFF, VETOED, UNKNOWN]) {
      const { steps } = stepped(on(), off, off, on());
      expect(steps.map(({ name, owesFull }) => [name, owesFull])).toEqual([
        ['on', true],
        ['off', false],
        ['off', false],
        ['on', true],
      ]);
      expect(steps.map(({ told }) => told.length)).toEqual([1, 1, 0, 1]);
    }
  });

  test('forgets what it knew when it is off, and says that a veto is one', () => {
    expect(stepped(on(), OFF).standing).toEqual({ ...NEVER_ON, since: NOW + 1 });
    expect(stepped(on(), VETOED).standing.code).toBe('domain-services-vetoed');
    expect(stepped(VETOED).standing).toMatchObject({ name: 'off', code: 'domain-services-vetoed' });
    expect(stepped(VETOED, OFF).standing.code).toBeNull();
  });
});

test('another certificate is told, and owes nothing', () => {
  const { last, standing } = stepped(on('aa'), on('bb'));
  expect(last).toMatchObject({ name: 'on', owesFull: false });
  expect(last.told.join()).toContain('another certificate');
  expect(standing.thumbprint).toBe('bb');
});

test('NTLM that is switched off or on is told, and owes nothing', () => {
  expect(stepped(on('aa', true), on('aa', false)).last).toMatchObject({
    owesFull: false,
    told: [expect.stringContaining('a random value is sent in place of the NT hash')],
  });
  expect(stepped(on('aa', false), on('aa', true)).last).toMatchObject({
    owesFull: false,
    told: [expect.stringContaining('the NT hash is sent')],
  });
});

test('Kerberos keys that are asked for owe a full synchronization, and those that are not any more none', () => {
  expect(stepped(on('aa', true, false), on('aa', true, true)).last.owesFull).toBe(true);
  expect(stepped(on('aa', true, true), on('aa', true, false)).last.owesFull).toBe(false);
});

test('switched off and on between two looks, which another epoch tells, owes a full synchronization', () => {
  const of = (epoch: string | null) => on('aa', true, true, epoch);
  expect(stepped(of('e1'), of('e2')).last).toMatchObject({
    name: 'on',
    owesFull: true,
    told: [expect.stringContaining('switched off in the tenant and on again')],
  });
  // A tenant that says it since its last upgrade, or does not any more.
  for (const [a, b] of [
    [null, 'e1'],
    ['e1', null],
    ['e1', 'e1'],
  ] as const) {
    expect(stepped(of(a), of(b)).last).toMatchObject({ owesFull: false, told: [] });
  }
});

describe('a tenant that does not say it', () => {
  const unanswered: DomainServicesOffer = { kind: 'unanswered', code: 'domain-services-unanswered', reason: 'a fault' };

  test('leaves what it is as it is, and owes nothing', () => {
    const { steps, standing } = stepped(on(), unanswered, unanswered, on(), unanswered, on('bb'));
    expect(steps.map(({ name, owesFull, told }) => [name, owesFull, told.length])).toEqual([
      ['on', true, 1],
      ['on', false, 1],
      ['on', false, 0],
      ['on', false, 1],
      ['on', false, 1],
      ['on', false, 2],
    ]);
    expect(standing).toMatchObject({ since: NOW, code: null, reason: null, thumbprint: 'bb' });
    expect(stepped(OFF, unanswered)).toMatchObject({ standing: NEVER_ON, last: { owesFull: false, told: [] } });
    expect(stepped(unusable('expired'), unanswered).last).toMatchObject({ name: 'stopped', told: [] });
    expect(stepped(on(), unanswered, OFF).standing).toMatchObject({ name: 'off', code: null });
    expect(stepped(on(), unanswered, unusable('expired')).standing).toMatchObject({ name: 'stopped', code: 'expired' });
  });

  test('has keys sent later where they are sent, and nowhere else', () => {
    const { standing } = stepped(on('aa', true, true), unanswered);
    expect(wantedKeys(standing, unanswered)).toMatchObject({
      kind: 'later',
      kerberos: true,
      failure: { lasting: false },
    });
    for (const before of [OFF, unusable('expired')]) {
      expect(wantedKeys(stepped(before, unanswered).standing, unanswered)).toBeUndefined();
    }
    expect(wantedKeys(standing, OFF)).toBeUndefined();
  });
});

describe('a certificate that cannot be used', () => {
  test('stops it, and owes a full synchronization when it can be used again', () => {
    const { steps } = stepped(on(), unusable('expired'), unusable('expired'), on('bb'));
    expect(steps.map(({ name, owesFull, told }) => [name, owesFull, told.length])).toEqual([
      ['on', true, 1],
      ['stopped', false, 1],
      ['stopped', false, 0],
      ['on', true, 1],
    ]);
  });

  test('is told anew where the reason or the certificate is another one, and keeps since when', () => {
    const { steps, standing } = stepped(on(), unusable('expired'), unusable('key', 'bb'), unusable('key', 'cc'));
    expect(steps.map(({ told }) => told.length)).toEqual([1, 1, 1, 1]);
    expect(standing).toMatchObject({ name: 'stopped', since: NOW + 1, code: 'key', thumbprint: 'cc' });
  });

  test('from the beginning is told as well', () => {
    expect(stepped(unusable('expired')).last).toMatchObject({ name: 'stopped', owesFull: false });
    expect(stepped(unusable('expired'), OFF).standing.name).toBe('off');
  });
});
