/** Account names of the managed domain, and times as its domain controller has them. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filetimeOf } from '#src/domain-services/filetime.js';
import { commonNames, samAccountNames } from '#src/domain-services/names.js';

const ID = '0f2a3b4c-5d6e-4f70-8192-a3b4c5d6e7f8';
const OTHER = '1f2a3b4c-5d6e-4f70-8192-a3b4c5d6e7f8';

describe('sAMAccountName', () => {
  it('is mailNickname, where that can be had', () => {
    expect(samAccountNames('ada.lovelace', ID)).toEqual([
      'ada.lovelace',
      expect.stringMatching(/^ada\.lovelace-[0-9a-f]{6}$/),
      expect.stringMatching(/^ada\.lov-[0-9a-f]{12}$/),
    ]);
    expect(samAccountNames('a'.repeat(20), ID)[0]).toBe('a'.repeat(20));
  });

  it.each([
    ['longer than 20 characters', 'a.very.long.mail.nickname', /^a\.very\.long\.m-[0-9a-f]{6}$/],
    ['a character that is not allowed', 'ada+lovelace', /^adalovelace-[0-9a-f]{6}$/],
    ['a dot at the end', 'ada.', /^ada-[0-9a-f]{6}$/],
    ["the end of a computer's name", 'ada$', /^ada\$-[0-9a-f]{6}$/],
    ['nothing that can be kept', '*?*', /^user-[0-9a-f]{6}$/],
    ['nothing', '', /^user-[0-9a-f]{6}$/],
  ])('is made up where that has %s', (_, nickname, pattern) => {
    const [first, second] = samAccountNames(nickname, ID);
    expect(first).toMatch(pattern);
    expect(samAccountNames(nickname, ID)).toEqual([first, second]);
    expect(samAccountNames(nickname, OTHER)).not.toContain(first);
  });

  it('can be taken by a domain controller, whatever the nickname is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.uuid(), (nickname, id) => {
        for (const name of samAccountNames(nickname, id)) {
          expect(name.length).toBeGreaterThan(0);
          expect(name.length).toBeLessThanOrEqual(20);
          // MS-SAMR 3.1.1.8.4, and what ends in a dot or a space is none for Windows either.
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
          expect(name).not.toMatch(/["/\\[\]:;|=,+*?<>@\u0000-\u001f]|[. $]$|^ |^[. ]+$/);
          expect(Buffer.from(name).toString()).toBe(name);
        }
      }),
    );
  });
});

describe('the common name', () => {
  it('is the display name, else the nickname, else the id', () => {
    expect(commonNames('Ada Lovelace', 'ada', ID)).toEqual([
      'Ada Lovelace',
      expect.stringMatching(/^Ada Lovelace \([0-9a-f]{6}\)$/),
      expect.stringMatching(/^Ada Lovelace \([0-9a-f]{12}\)$/),
    ]);
    expect(commonNames(' ', 'ada', ID)[0]).toBe('ada');
    expect(commonNames('', '', ID)[0]).toBe(ID);
  });

  it('has at most 64 characters, no control characters and no halves of pairs', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (name) => {
        for (const each of commonNames(name, 'nick', ID)) {
          expect(each.length).toBeLessThanOrEqual(64);
          expect(each.trim()).toBe(each);
          expect(each.length).toBeGreaterThan(0);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
          expect(each).not.toMatch(/[\u0000-\u001f\u007f]/);
        }
      }),
    );
    expect(commonNames(`${'x'.repeat(63)}😀`, 'nick', ID)[0]).toBe('x'.repeat(63));
  });
});

describe('FILETIME', () => {
  it.each([
    // 116444736000000000 is MS-DTYP's own number for 1970.
    ['1970-01-01T00:00:00Z', 116_444_736_000_000_000n],
    ['1601-01-01T00:00:00.000Z', 0n],
    ['1970-01-01T00:00:00.0000001Z', 116_444_736_000_000_001n],
    ['1970-01-01T00:00:01.5Z', 116_444_736_015_000_000n],
    ['1970-01-01T00:00:00.00000019Z', 116_444_736_000_000_001n],
  ])('of %s', (iso, expected) => {
    expect(filetimeOf(iso)).toBe(expected);
  });

  it('of a time in UTC only', () => {
    for (const text of ['yesterday', '2026-01-01T00:00:00', '2026-01-01T00:00:00+01:00', '']) {
      expect(() => filetimeOf(text)).toThrow(RangeError);
    }
  });
});
