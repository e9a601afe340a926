/** Text for man(7): the escapes and the few macros that the manual pages use. */

/** One line of running text: backslashes, hyphens that are to be copied, and what would be a request at a line's start. */
export function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
}

/** Running text, broken between words: manual sources keep to 80 columns, and roff fills lines anyway. */
export function filled(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).map((each) => escaped(each))) {
    if (line !== '' && line.length + word.length >= 76) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** A macro's argument, in quotes. */
const argument = (text: string) => `"${escaped(text).replaceAll('"', '\\(dq')}"`;

export const heading = (text: string) => `.SH ${argument(text)}`;
export const subheading = (text: string) => `.SS ${argument(text)}`;
export const bold = (text: string) => `\\fB${escaped(text)}\\fR`;
export const italic = (text: string) => `\\fI${escaped(text)}\\fR`;

/** A paragraph with a tag; `tag` is roff already, `body` is text. */
export const tagged = (tag: string, body: string): string[] => ['.TP', tag, ...filled(body)];

/** Lines as they stand, in the fixed font where there is one. */
export function verbatim(text: string): string[] {
  // mandoc objects to blank lines outside of verbatim text, and to trailing blanks anywhere.
  return ['.nf', ...text.split('\n').map((line) => escaped(line.trimEnd())), '.fi'];
}

/** `.TH`. `date` as YYYY-MM-DD. */
export function title(name: string, section: number, date: string, version: string, manual: string): string {
  return `.TH ${[name, String(section), date, `phsync ${version}`, manual].map((text) => `"${text}"`).join(' ')}`;
}
