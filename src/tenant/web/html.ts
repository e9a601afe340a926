/** HTML by tagged templates in which everything that is put in is escaped, unless it is such a template's result itself. */

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Only `html` makes one: a string never passes for markup. */
export class Html {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }

  /** For values in text and in quoted attributes; `undefined`, `null` and `false` leave nothing. */
  static template(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
    let text = strings[0]!;
    for (const [i, value] of values.entries()) text += render(value) + strings[i + 1]!;
    return new Html(text);
  }
}

export type HtmlValue = string | number | Html | readonly Html[] | undefined | null | false;

function render(value: HtmlValue): string {
  if (value === undefined || value === null || value === false) return '';
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(render).join('');
  return String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

/** `html\`<p title="${title}">${text}</p>\``; attributes always in quotes. */
export const html = Html.template;
