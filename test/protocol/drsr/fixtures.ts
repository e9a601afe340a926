/** The stubs in fixtures/, which make_fixtures.py made with Samba's NDR library. */

import { readFileSync } from 'node:fs';

const read = (name: string) => JSON.parse(readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8'));

export const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
export const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

/** Stubs made up, as Samba packs them. */
export const stub = (name: string): Uint8Array => {
  const text: string | undefined = read('stubs.json')[name];
  if (text === undefined) throw new Error(`no stub ${name}`);
  return bytes(text);
};

/** What Samba reads in one reply. */
export interface SambaFacts {
  readonly level: number;
  readonly more: boolean;
  readonly ncObjects: number;
  readonly extendedRet: number;
  readonly invocationId: string;
  readonly usnTo: readonly [string, string, string];
  readonly cursors: readonly (readonly [string, string])[];
  readonly prefixes: readonly (readonly [number, string])[];
  readonly objects: readonly {
    readonly dn: string;
    readonly guid: string;
    readonly sid: string | null;
    readonly parent: string | null;
    readonly attributes: Readonly<Record<string, readonly string[]>>;
    readonly meta: readonly (readonly [number, number, string, string])[] | null;
  }[];
}

/** Replies that a Samba DC sent, and what Samba reads in them. */
export const recorded = (): { name: string; stub: Uint8Array; facts: SambaFacts }[] =>
  Object.entries(read('recorded.json') as Record<string, { stub: string; facts: SambaFacts }>).map(([name, entry]) => ({
    name,
    stub: bytes(entry.stub),
    facts: entry.facts,
  }));

export const drsVector = (name: string): Uint8Array =>
  bytes(JSON.parse(readFileSync(new URL('../../vectors/drs.json', import.meta.url), 'utf8'))[name]);

/** The stub's 32-bit words with every referent id (phsync's, Samba's, Samba's for [ref]) as one. */
export function withoutReferents(data: Uint8Array): string[] {
  return (hex(data).match(/.{1,8}/g) ?? []).map((word) => (/^(....0200|f1aef1ae)$/.test(word) ? 'referent' : word));
}
