/**
 * Turns the examples of documentation into programs: fenced blocks of pages, and `@example`s. What an expression
 * statement has behind `//` is what it must give: `console.log(…); // text`, or any other expression's `util.inspect`.
 * `…` stands for anything, and `a | b` for what it gives the first and the second time.
 */

export interface Example {
  readonly name: string;
  /** TypeScript; `cjs` is CommonJS in JavaScript. */
  readonly language: 'ts' | 'cjs';
  readonly code: string;
}

/** The blocks in `ts` and `cjs` of a Markdown page; any other language of a program is refused. */
export function examplesOfPage(page: string, text: string): Example[] {
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].flatMap(([, language, code], i) => {
    if (language !== 'ts' && language !== 'cjs') throw new Error(`${page}: a block in ${language || 'no language'}`);
    return [{ name: `${page} ${i + 1}`, language, code: code! }];
  });
}

/** The `@example`s of a source file, with the names that they take for granted. */
export function examplesOfSource(file: string, text: string, publicNames: readonly string[]): Example[] {
  const comments = [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)].map(([, comment]) =>
    comment!.replace(/^\s*\* ?/gm, '').trimEnd(),
  );
  const examples = comments.flatMap((comment) => [...comment.matchAll(/^@example\s+([\s\S]*?)(?=^@|$(?![\s\S]))/gm)]);
  return examples.map(([, code], i) => {
    const imported = `import { ${publicNames.filter((name) => new RegExp(`\\b${name}\\b`).test(code!)).join(', ')} } from 'phsync';`;
    const takesHasher = /\bhasher\b/.test(code!) && !/\bhasher =/.test(code!);
    const hasher = takesHasher
      ? "import { createHasher as make } from 'phsync';\nconst hasher = make({ threads: 1 });\n"
      : '';
    return { name: `${file} ${i + 1}`, language: 'ts', code: `${imported}\n${hasher}${code}\n` };
  });
}

/** How many outputs the code states, and the code with a check for each. */
export function withChecks(code: string): { readonly code: string; readonly stated: number } {
  let stated = 0;
  const checked = code
    .split('\n')
    .map((line) => {
      const [, indent, statement, expected] =
        /^(\s*)(?!const |let |import |\/\/|})(\S.*);\s*\/\/ (.+)$/.exec(line) ?? [];
      if (statement === undefined) return line;
      const outputs = JSON.stringify(expected!.split(' | '));
      stated += expected!.split(' | ').length;
      const logged = /^console\.log\((.*)\)$/.exec(statement);
      return logged === null
        ? `${indent}$check(${outputs}, ${JSON.stringify(statement)}, $inspect(${statement}));`
        : `${indent}$check(${outputs}, ${JSON.stringify(statement)}, $format(${logged[1]}));`;
    })
    .join('\n');
  return { code: checked, stated };
}

/** What `withChecks` calls; the program fails where an output differs, or fewer came than were stated. */
export const checker = (stated: number): string => `
const $times = new Map<string, number>();
let $seen = 0;
const $inspect = (value: unknown): string => $util.inspect(value, { breakLength: Infinity });
const $format = (...values: unknown[]): string => $util.format(...values);
function $check(outputs: readonly string[], statement: string, got: string): void {
  const time = $times.get(statement) ?? 0;
  $times.set(statement, time + 1);
  const wanted = outputs[Math.min(time, outputs.length - 1)]!;
  const pattern = wanted.split('…').map((part) => part.replace(/[.*+?^\${}()|[\\]\\\\]/g, '\\\\$&')).join('.+');
  if (!new RegExp('^' + pattern + '$').test(got)) throw new Error(statement + '\\n  says ' + wanted + '\\n  gave ' + got);
  $seen += 1;
}
process.once('exit', () => {
  if ($seen >= ${stated} || process.exitCode) return;
  process.exitCode = 1;
  console.error('${stated} outputs are stated, ' + $seen + ' came');
});
`;
