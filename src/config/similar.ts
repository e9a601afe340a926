/** "Did you mean": the known word that a mistyped one is nearest to, by the Damerau-Levenshtein distance (restricted). */

/** Insertions, deletions, replacements and swaps of neighbours between two words. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      }
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** Far above any key or command; keeps pasted text out of the table. */
const MAX_LENGTH = 40;

/** The nearest of `known`, case aside, where no more than a third of the longer word differs. */
export function similar(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  let best: { readonly name: string; readonly differs: number } | undefined;
  for (const name of known) {
    const differs = distance(word.toLowerCase(), name.toLowerCase());
    if (differs > Math.max(word.length, name.length) / 3) continue;
    if (best === undefined || differs < best.differs) best = { name, differs };
  }
  return best?.name;
}

/** `did you mean NAME? `, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const name = similar(word, known);
  return name === undefined ? '' : `did you mean ${name}? `;
}
