/** Names and passwords of the simulated people. */

import { draw32 } from './random.js';

// biome-ignore format: in rows
const GIVEN = [
  'Ada', 'Björn', 'Chloé', 'Dmitri', 'Eleni', 'Farah', 'Gustavo', 'Hana', 'Ines', 'Jamal', 'Kenji', 'Łucja', 'Mateo',
  'Nadia', 'Ömer', 'Priya', 'Quentin', 'Rania', 'Søren', 'Thandi', 'Uwe', 'Valentina', 'Wen', 'Xenia', 'Yusuf', 'Zoë',
] as const;
// biome-ignore format: in rows
const FAMILY = [
  'Andersson', 'Bauer', 'Castillo', 'Dubois', 'Eriksen', 'Fischer', 'García', 'Haddad', 'Ivanova', 'Jensen', 'Kowalski',
  'Li', 'Müller', 'Nakamura', "O'Brien", 'Papadopoulos', 'Quiroga', 'Rossi', 'Singh', 'Tanaka', 'Usman', 'Vogel',
  'Weiß', 'Xu', 'Yılmaz', 'Zhang',
] as const;
/** Short words of several scripts: an NT hash is over UTF-16, and ASCII alone would not show a mistake there. */
const WORDS = ['Amber', 'Birke', 'Zürich', 'Señor', 'Кедр', '東京', 'Ångström', 'Olive', 'Falke', '🌲pine'] as const;

export function nameOf(seed: number, index: number): { readonly given: string; readonly family: string } {
  const x = draw32(seed, 2 * index + 0x40000000);
  return { given: GIVEN[x % GIVEN.length]!, family: FAMILY[(x >>> 8) % FAMILY.length]! };
}

/** The `version`-th password of an object, at most 27 UTF-16 units so that it fills one MD4 block at most. */
export function passwordFor(seed: number, index: number, version: number): string {
  const x = draw32(seed ^ Math.imul(version, 0x85ebca6b), 2 * index + 1);
  return `${WORDS[x % WORDS.length]!}-${x.toString(36)}.${version}`;
}
