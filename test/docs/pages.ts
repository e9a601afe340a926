/** What stands in the fenced blocks of a page. */

export interface Block {
  readonly language: string;
  readonly text: string;
  /** The nearest heading above, without its `#`. */
  readonly heading: string;
  /** 1-based, of the opening fence. */
  readonly line: number;
}

/** Every fenced block of `page`, in its order. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [i, line] of page.split('\n').entries()) {
    if (open !== undefined) {
      if (line === '```') {
        blocks.push({ language: open.language, text: open.lines.join('\n'), heading, line: open.line });
        open = undefined;
      } else open.lines.push(line);
    } else if (line.startsWith('```')) open = { language: line.slice(3), line: i + 1, lines: [] };
    else if (/^#+ /.test(line)) heading = line.replace(/^#+ /, '');
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} has no end`);
  return blocks;
}

/** The part of `page` under the heading `## title`. */
export function chapterOf(page: string, title: string): string {
  const chapter = page.split(/^(?=## )/m).find((each) => each.startsWith(`## ${title}\n`));
  if (chapter === undefined) throw new Error(`no chapter ${title}`);
  return chapter;
}
